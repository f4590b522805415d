"""What the documents say of options, findings and exit codes is what the program has."""
import json
import pathlib
import re
import subprocess

from support import CommandTest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def text(name):
    return (ROOT / name).read_text()


class Documents(CommandTest):
    def commands(self):
        help_text = self.run_program("--help").out.decode()
        commands = re.findall(r"^  ([a-z]+) ", help_text, re.MULTILINE)
        self.assertGreater(len(commands), 10)
        return [name for command in commands for name in self.members(command) or [command]]

    def members(self, command):
        """The commands of two words that begin with this one."""
        help_text = self.run_program(command, "--help").out.decode()
        return re.findall(rf"^  ({command} [a-z]+) ", help_text, re.MULTILINE)

    def options(self):
        texts = [self.run_program(*command.split(), "--help").out.decode() for command in self.commands()]
        return sorted(set(re.findall(r"^  (?:-[a-z], )?--([a-z-]+)", "\n".join(texts), re.MULTILINE)))

    def manual(self):
        pages = sorted((ROOT / "man").glob("*.[0-9]"))
        self.assertGreater(len(pages), 3)
        return "\n".join(page.read_text() for page in pages)

    def test_every_option_is_in_the_manual_pages(self):
        manual = self.manual()
        self.assertGreater(len(self.options()), 10)
        for option in self.options():
            self.assertRegex(manual, rf"(?m)^\.It .*Fl \\-{option}( |$)")

    def test_every_command_is_in_the_manual_pages(self):
        manual = self.manual()
        for command in self.commands():
            self.assertRegex(manual, rf"(?m)^\.It Cm {command}( |$)")

    def test_every_kernel_parameter_is_in_the_manual_pages(self):
        manual = self.manual()
        help_text = self.run_program("boot", "--help").out.decode()
        parameters = re.findall(r"^  (pram_verify\.\w+)=(\S+)", help_text, re.MULTILINE)
        self.assertGreater(len(parameters), 4)
        items = {re.sub(r" (Ns|Ar|Cm)\b|(?<=[=|]) | (?=[=|])", "", line)
                 for line in re.findall(r"^\.It Cm (pram_verify\..*)", manual, re.MULTILINE)}
        self.assertEqual({item.replace(" ", "") for item in items}, {f"{name}={values}" for name, values in parameters})

    def test_every_page_that_is_referred_to_is_there(self):
        pages = {page.name for page in (ROOT / "man").iterdir()}
        named = {f"{name}.{section}" for name, section in re.findall(r"^\.Xr (pram-verify\S*) (\d)", self.manual(), re.M)}
        self.assertEqual(named - pages, set())
        self.assertEqual(pages - named - {"pram-verify.8"}, set(), "no page leads to these")

    def test_the_readme_is_short_and_its_links_lead_somewhere(self):
        lines = text("README.md").splitlines()
        self.assertLessEqual(len(lines), 150)
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text("README.md")):
            if not target.startswith("http"):
                self.assertTrue((ROOT / target).exists(), target)
        headings = {re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
                    for line in text("Documentation/ADMINISTRATION.md").splitlines() if line.startswith("#")}
        for anchor in re.findall(r"ADMINISTRATION\.md#([^)]+)\)", text("README.md")):
            self.assertIn(anchor, headings)

    def test_the_version_stands_in_one_place(self):
        version = self.run_program("--version").out.split()[1].decode()
        source = ROOT / "Sources/CHookFiles/hook_files.c"
        self.assertIn(f'#define VERSION "{version}"\n', source.read_text())
        self.assertEqual(re.findall(r"^## \[(\d.*?)\]", text("CHANGELOG.md"), re.M)[0], version)
        for folder in ("Makefile", "README.md", "debian", "man", "packaging", "scripts"):
            place = ROOT / folder
            for path in [place] if place.is_file() else filter(pathlib.Path.is_file, place.rglob("*")):
                self.assertNotIn(version, path.read_text(), path)

    def test_manual_pages_are_clean(self):
        pages = sorted((ROOT / "man").glob("*.[0-9]"))
        done = subprocess.run(["mandoc", "-Tlint", *map(str, pages)], capture_output=True, text=True, timeout=60)
        # Which other packages' pages this machine has is no matter.
        lines = [line for line in (done.stdout + done.stderr).splitlines()
                 if not re.search("referenced manual not found|outdated mandoc.db", line)]
        self.assertEqual(lines, [])

    def test_every_finding_of_the_schema_is_described(self):
        schema = json.loads(text("Documentation/report.schema.json"))
        kinds = schema["$defs"]["finding"]["properties"]["kind"]["enum"]
        self.assertGreater(len(kinds), 20)
        for kind in kinds:
            self.assertIn(f"`{kind}`", text("Documentation/REPORT.md"))
