"""What the documents say of options, findings and exit codes is what the program has."""
import json
import pathlib
import re

from support import CommandTest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def text(name):
    return (ROOT / name).read_text()


def manuals():
    return "".join(text(f"man/{name}.8") for name in ("pram-verify", "pram-verify-image", "pram-verify-doctor"))


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

    def test_every_option_is_in_the_readme_and_the_manual_page(self):
        readme, manual = text("README.md"), manuals()
        self.assertGreater(len(self.options()), 10)
        for option in self.options():
            self.assertIn(f"--{option}", readme)
            self.assertIn(f"Fl \\-{option}", manual)

    def test_every_command_is_in_the_readme_and_the_manual_page(self):
        readme, manual = text("README.md"), manuals()
        for command in self.commands():
            self.assertIn(f"pram-verify {command} ", readme)
            self.assertRegex(manual, rf"Cm {command}\b")

    def test_every_kernel_parameter_is_in_the_readme_and_the_manual_page(self):
        readme, manual = text("README.md"), manuals()
        help_text = self.run_program("boot", "--help").out.decode()
        parameters = re.findall(r"^  (pram_verify\.\w+)=(\S+)", help_text, re.MULTILINE)
        self.assertGreater(len(parameters), 4)
        for name, values in parameters:
            cell = values.replace("|", "\\|")
            self.assertIn(f"| `{name}` | `{cell}` |", readme)
            self.assertIn(f"Cm {name} ", manual)
        self.assertEqual(set(re.findall(r"pram_verify\.\w+", readme)), {name for name, _ in parameters})

    def test_every_finding_of_the_schema_is_described(self):
        schema = json.loads(text("Documentation/report.schema.json"))
        kinds = schema["$defs"]["finding"]["properties"]["kind"]["enum"]
        self.assertGreater(len(kinds), 20)
        for kind in kinds:
            self.assertIn(f"`{kind}`", text("Documentation/REPORT.md"))
