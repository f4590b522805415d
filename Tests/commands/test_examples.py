"""Every command line that README.md and the manual pages' EXAMPLES show is run, and what README shows of the answer is
what comes. What cannot be run stands in NOT_RUN, with the reason; an example that is in no table fails."""

import ast
import os
import pathlib
import random
import re
import subprocess

import initrds
from support import CommandTest, DAMAGED, FAILED, FIXTURES, INTACT, PROGRAM, ROOT
from test_kexec import LINE, PRAM, KexecTest

# In a shell these lines go on with the next one.
GOES_ON = ("&&", "||", "|", "\\")

NOT_RUN = {
    "make run": "builds the program; what it runs then is run by test_the_main_job",
    "make static": "builds the program that these tests are run on",
    "make demo": "boots machines for a minute: Tests/boot/run test_process does the same",
    "make demo-kho": "the same, on a kernel that is not Debian's",
    "make install": "writes into the system: test_install runs it into a directory",
    "make uninstall": "the same",
    "make deb": "builds the program once more, from what is committed; CONTRIBUTING.md's recipe for a release has it",
    "make rpm": "the same",
    "update-initramfs -u": "makes this machine's own image: make-images runs mkinitramfs with the hooks, for test_image",
    "dracut -f": "the same, with dracut",
    "systemctl enable --now pram-verify": "needs systemd as PID 1: Tests/boot/run test_units",
    "pram-verify rehearse && systemctl kexec": "ends this kernel: Tests/boot/run test_doctor rehearses",
    "journalctl -b -1 -u pram-verify": "the same",
    "journalctl -u pram-verify": "the same",
    "ukify build --linux=vmlinuz --initrd=initrd.img --initrd=pram-verify.cpio --output=linux.efi":
        "no ukify in Debian 12; what it makes is read in test_image",
}


def joined(lines):
    """Lines of a shell, those that go on put together, each with one blank between words."""
    command = ""
    for line in lines:
        command = f"{command} {line.strip()}".strip()
        if not command.endswith(GOES_ON):
            yield re.sub(r" +", " ", command)
            command = ""
        elif command.endswith("\\"):
            command = command[:-1].rstrip()
    assert not command, command


def prompted(lines):
    """(command, [lines of its answer]) of what a terminal shows: commands stand behind `$ ` or `# `."""
    found, rest = [], list(lines)
    while rest:
        line = rest.pop(0)
        if line[:2] in ("$ ", "# "):
            command = [line[2:]]
            while command[-1].endswith(GOES_ON):
                command.append(rest.pop(0))
            found.append((next(joined(command)), []))
        elif found:
            found[-1][1].append(line)
    return found


def readme_examples():
    """(command, answer) of README.md: indented blocks, and `make` within the text."""
    text = (ROOT / "README.md").read_text()
    for block in re.findall(r"(?:^ {4}\S.*\n|^ {5,}.*\n)+", text, re.MULTILINE):
        lines = [line[4:] for line in block.splitlines()]
        if any(line.startswith(("$ ", "# ")) for line in lines):
            yield from prompted(lines)
        else:
            # What stands behind three blanks and more explains.
            yield from ((command, []) for command in joined(re.sub(r" {3,}.*", "", line) for line in lines))
    yield from ((command, []) for command in re.findall(r"`(make [^`]+)`", text))


def manual_examples():
    for page in sorted((ROOT / "man").glob("*.[0-9]")):
        section = page.read_text().partition(".Sh EXAMPLES\n")[2].partition("\n.Sh ")[0]
        lines = [re.sub(r"^\.Dl ", "", line).replace("\\e", "\\") for line in section.splitlines()]
        yield from ((command, []) for command, _ in prompted(line for line in lines if not line.startswith(".")))


def wanted():
    return [*readme_examples(), *manual_examples()]


class Examples(KexecTest):
    """A made-up machine on which the program is in the PATH, as after `make install`."""

    def setUp(self):
        super().setUp()
        for name, target in (("pram-verify", PROGRAM), ("pram-verify-kexec", ROOT / "kexec/pram-verify-kexec")):
            (self.programs / name).symlink_to(target)
        self.program("systemctl", 'printf "[systemctl %s]\\n" "$*" >>"$CALLS"')
        self.place = self.scratch / "place"
        self.place.mkdir()

    def assert_example(self, command):
        """It is in the documents. Returns what they show as its answer."""
        answers = [answer for shown, answer in wanted() if shown == command]
        self.assertTrue(answers, f"no document has: {command}")
        return max(answers, key=len)

    def here(self, command, status=INTACT):
        """Runs an example in a folder of its own, as any user would, and compares what is shown of the answer."""
        shown = self.assert_example(command)
        done = subprocess.run(["sh", "-c", command], cwd=self.place, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60,
                              env={"PATH": f"{self.programs}:/usr/bin:/bin"})
        self.assertEqual(done.returncode, status, done)
        said = iter(re.sub(r"\d+ ms\b", "N ms", done.stdout).splitlines())
        for line in shown:
            if line != "...":
                self.assertIn(re.sub(r"\d+ ms\b", "N ms", line), said, done.stdout)
        return done.stdout

    def there(self, command, before="true", after="true", **options):
        """Runs an example on the made-up machine."""
        self.assert_example(command)
        result = self.machine(f"cd {self.place} && {before} && {command} && {after}", **options)
        self.assertEqual(result.status, INTACT, result)
        return result

    def fill(self, name):
        folder = self.place / name
        folder.mkdir(parents=True)
        (folder / "noise").write_bytes(random.Random(1).randbytes(100_000))
        (folder / "snow").write_bytes(b"snow\n")
        return folder

    def dump(self, name="vmcore"):
        """A raw image with a chain, and the command line of the kernel that it is of."""
        self.lay()
        (self.place / name).symlink_to(self.memory)
        (self.place / "cmdline").write_text(f"{LINE} {PRAM}\n")


class Readme(Examples):
    def test_the_main_job(self):
        self.built()
        (self.place / "Tests").symlink_to(ROOT / "Tests")
        done = subprocess.run([ROOT / "scripts/run"], cwd=self.place, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, INTACT, done)
        self.assertIn("verdict: ", done.stdout)

    def built(self):
        """The program lies where `make run` leaves it."""
        (self.place / "build").mkdir()
        (self.place / "build/pram-verify").symlink_to(PROGRAM)

    def test_one_bit_of_one_page_changed(self):
        self.built()
        (self.place / "Tests").symlink_to(FIXTURES.parent)
        self.here("build/pram-verify --memory Tests/fixtures/corpus/images/c_data_flip.img.gz --pfn 1d3", DAMAGED)

    def test_a_directory_in_an_image(self):
        self.built()
        self.here("mkdir files && seq 20000 >files/numbers && echo snow >files/snow")
        self.here("build/pram-verify save --memory t.img --size 2M files")
        self.here("printf X | dd of=t.img bs=1 seek=60000 conv=notrunc")
        self.here("build/pram-verify check --memory t.img --pfn 1", DAMAGED)
        self.here("build/pram-verify repair --memory t.img", 1)
        self.here("build/pram-verify extract --memory t.img --pfn 1 out")
        for name in ("numbers", "snow"):
            self.assertEqual((self.place / "out" / name).read_bytes(), (self.place / "files" / name).read_bytes())

    def test_over_a_kexec(self):
        source = self.fill("DIR")
        self.there("pram-verify save --replace DIR && pram-verify-kexec /vmlinuz /initrd.img && systemctl kexec")
        self.assert_loaded(f"{LINE} {PRAM}", "-s", kernel="[/vmlinuz]", initrd="[--initrd=/initrd.img]")
        self.assertTrue(self.calls.read_text().endswith("[systemctl kexec]\n"))
        source.rename(self.place / "before")
        self.there("pram-verify load --erase DIR", line=f"{LINE} {PRAM}")
        self.assertEqual((source / "noise").read_bytes(), (self.place / "before/noise").read_bytes())

    def boot_image(self):
        """The image of the kernel that runs, where Debian has it."""
        (self.place / f"initrd.img-{os.uname().release}").write_bytes(initrds.archive(
            initrds.record("init", b"#!/bin/sh\n", 0o100755), initrds.record("scripts", mode=0o040755),
            initrds.record("scripts/functions", b"\n"), initrds.record("bin", mode=0o040755),
            initrds.record("bin/sh", b"\x7fELF", 0o100755), initrds.record("bin/cat", b"\x7fELF", 0o100755),
            initrds.record("scripts/init-top", mode=0o040755), initrds.record("scripts/init-top/ORDER", b"")))
        return f"mount --bind {self.place} /boot"

    def test_at_boot(self):
        self.lay()
        result = self.there("pram-verify status", before="pram-verify boot", line=f"{LINE} {PRAM}")
        self.assertIn(b"intact", result.out)
        bind = self.boot_image()
        result = self.there("pram-verify image check /boot/initrd.img-$(uname -r) || "
                            "pram-verify image append /boot/initrd.img-$(uname -r)", before=bind)
        self.assertIn(b"appended for initramfs-tools", result.err)
        self.there("pram-verify image check /boot/initrd.img-$(uname -r)", before=bind)

    def test_dumps(self):
        self.dump()
        self.assertIn('"verdict": "intact"', self.here("pram-verify check --memory=vmcore --cmdline-file=cmdline --json")
                      .replace('"verdict":"intact"', '"verdict": "intact"'))
        self.here("pram-verify extract --memory=vmcore --cmdline-file=cmdline saved")
        self.assertEqual((self.place / "saved/one").read_bytes(), b"1")


class Manual(Examples):
    def test_pram_verify(self):
        self.lay()
        self.assertIn(b"verdict: intact", self.there("pram-verify", line=f"{LINE} {PRAM}").out)
        self.fill("files")
        self.run_program("save", "--memory", str(self.place / "range.img"), "--size=1M", "--base=0x10000000",
                         str(self.place / "files"))
        self.here("pram-verify --memory=range.img --base=0x10000000 --pfn=10000")
        listed = self.here("pram-verify list --memory=range.img --base=0x10000000 --pfn=10000")
        self.assertIn("noise", listed)
        self.here("pram-verify extract --memory=range.img --base=0x10000000 --pfn=10000 --stdout=noise >noise")
        self.assertEqual((self.place / "noise").read_bytes(), (self.place / "files/noise").read_bytes())

    def test_doctor(self):
        # This machine has what it has: whether it is ready is told by test_doctor, on recorded ones.
        ready = self.run_program("doctor", "--size=256M").status == INTACT
        self.here("pram-verify doctor --size=256M", INTACT if ready else DAMAGED)
        self.here("pram-verify rehearse --result", FAILED)

    def test_save(self):
        source = self.fill("lib/pram-verify")
        bind = f"mount --bind {self.place}/lib /var/lib"
        self.there("pram-verify save --replace /var/lib/pram-verify && pram-verify-kexec /vmlinuz /initrd.img && "
                   "systemctl kexec", before=bind)
        self.assert_loaded(f"{LINE} {PRAM}", "-s", kernel="[/vmlinuz]", initrd="[--initrd=/initrd.img]")
        noise = (source / "noise").read_bytes()
        (source / "noise").unlink()
        (source / "snow").unlink()
        self.there("pram-verify load --erase /var/lib/pram-verify", before=bind, line=f"{LINE} {PRAM}")
        self.assertEqual((source / "noise").read_bytes(), noise)

    def test_streams(self):
        folder = self.fill("srv")
        bind = f"mount --bind {folder} /srv"
        self.there("tar -c /srv | pram-verify save --stdin=srv.tar", before=bind)
        noise = (folder / "noise").read_bytes()
        (folder / "noise").unlink()
        self.there("pram-verify load --stdout=srv.tar | tar -x -C /", before=bind, line=f"{LINE} {PRAM}")
        self.assertEqual((folder / "noise").read_bytes(), noise)

    def test_on_an_image(self):
        self.fill("files")
        self.here("pram-verify save --memory=t.img --size=2M files")
        self.here("pram-verify drop --memory=t.img --dry-run")
        self.here("pram-verify load --memory=t.img restored")
        self.assertEqual((self.place / "restored/snow").read_bytes(), b"snow\n")

    def test_the_next_kernel_by_hand(self):
        self.lay()
        self.there("line=$(pram-verify cmdline) && options=$(pram-verify cmdline --kexec-options) && "
                   'kexec $options -l /vmlinuz --initrd=/initrd.img --command-line="$line" && '
                   "pram-verify cmdline --check-loaded && systemctl kexec")
        self.assert_loaded(f"{LINE} {PRAM}", "-s", kernel="[/vmlinuz]", initrd="[--initrd=/initrd.img]")
        self.there("pram-verify-kexec /vmlinuz /initrd.img && systemctl kexec")

    def test_images(self):
        self.here("pram-verify image make --flavour=systemd pram-verify.cpio")
        self.assertIn("usr/sbin/pram-verify", self.run_program(
            "image", "list", str(self.place / "pram-verify.cpio")).out.decode().split())


class Completeness(CommandTest):
    def test_every_example_is_run_or_named_with_a_reason(self):
        shown = {command for command, _ in wanted()}
        self.assertGreater(len(shown), 30)
        calls = [node for node in ast.walk(ast.parse(pathlib.Path(__file__).read_text())) if isinstance(node, ast.Call)]
        run = {call.args[0].value for call in calls
               if getattr(call.func, "attr", "") in ("here", "there") and isinstance(call.args[0], ast.Constant)}
        self.assertGreater(len(run), 20)
        self.assertEqual(shown - run - NOT_RUN.keys(), set(), "run by no test: add one, or a reason to NOT_RUN")
        self.assertEqual(NOT_RUN.keys() - shown, set(), "in NOT_RUN, and in no document")
        self.assertEqual(NOT_RUN.keys() & run, set(), "in NOT_RUN, and run all the same")
