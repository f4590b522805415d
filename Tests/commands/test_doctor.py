"""`doctor` on recorded machines (recorded.py): golden texts and JSON, and one thing after the other that is wrong."""

import json
import os
import pathlib
import re
import shutil
import tempfile

import recorded
from recorded import FORMS, IOMEM, LINE, MEMMAP, OPTIONS, RELEASE, WANTS, kernel
from support import DAMAGED, FAILED, INTACT, PROGRAM, ROOT, USAGE, CommandTest
from test_kexec import KexecTest

GOLDEN = pathlib.Path(__file__).resolve().parent / "doctor"


def validator():
    import jsonschema

    schema = json.loads((ROOT / "Documentation/doctor.schema.json").read_text())
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


class DoctorTest(CommandTest):
    @classmethod
    def setUpClass(cls):
        """The image is large, and the same for all machines."""
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="pram-verify-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.bare = cls.folder / "bare.img"
        cls.bare.write_bytes(recorded.bare_image())
        cls.image = cls.folder / "helped.img"
        cls.image.write_bytes(recorded.bare_image())
        os_status = os.spawnv(os.P_WAIT, str(PROGRAM), [
            str(PROGRAM), "image", "append", "--flavour=initramfs-tools", str(cls.image)])
        assert os_status == 0, os_status

    def root(self, *changes):
        """A machine's files; each change takes what the one before has left."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        self.addCleanup(shutil.rmtree, folder)
        machine = recorded.Recorded(folder, self.image)
        for change in changes:
            change(machine)
        return machine.write()

    def look(self, root, *words):
        """(exit status, the JSON, its checks by their names)"""
        result = self.run_program("doctor", f"--root={root}", "--json", *words)
        report = json.loads(result.out)
        self.assertEqual([error.message for error in validator().iter_errors(report)], [], result)
        self.assertEqual(report["exit"], result.status)
        self.assertEqual(report["ready"], result.status == INTACT)
        return result, report, {check["id"]: check for check in report["checks"]}


class RecordedMachines(DoctorTest):
    """UPDATE_GOLDEN=1 writes the files anew, to be looked at before they are believed."""

    def compare(self, name, text):
        path = GOLDEN / name
        if os.environ.get("UPDATE_GOLDEN"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        self.assertEqual(text, path.read_text(), f"{name} is another one now")

    def test_text_and_json(self):
        for machine in recorded.MACHINES:
            with self.subTest(machine.__name__):
                root = self.root(machine)
                name = machine.__name__.replace("_", "-")
                text = self.run_program("doctor", f"--root={root}")
                for line in text.out.decode().split("\nA range that")[0].splitlines():
                    self.assertLess(len(line), 80)
                self.compare(f"{name}.txt", text.out.decode())
                result, report, _ = self.look(root)
                self.assertEqual(text.status, result.status)
                del report["version"]
                self.compare(f"{name}.json", json.dumps(report, indent=2) + "\n")

    def test_which_of_them_are_ready(self):
        ready = {machine.__name__ for machine in recorded.MACHINES if self.look(self.root(machine))[0].status == 0}
        self.assertEqual(ready, {"debian_13_ready", "newest_with_kho", "kho_alone", "with_crashkernel", "with_pmem_device",
                                 "with_ramoops", "pram_kernel"})

    def test_what_is_no_machine(self):
        folder = tempfile.mkdtemp(dir=self.folder)
        for root in (folder, "/nowhere", "/dev/null"):
            with self.subTest(root):
                self.assertEqual(self.run_program("doctor", f"--root={root}").status, FAILED)
                result = self.run_program("doctor", f"--root={root}", "--json")
                report = json.loads(result.out)
                self.assertEqual([error.message for error in validator().iter_errors(report)], [], result)
                self.assertEqual(report["exit"], FAILED)
                self.assertIn(report["failure"]["message"], result.err.decode())

    def test_usage(self):
        for words in (["x"], ["--size=0"], ["--size=x"], ["--size=-1"], ["--pfn=1"], ["--root="]):
            with self.subTest(words):
                self.assertEqual(self.run_program("doctor", *words).status, USAGE)


# Staged misconfigurations: name, what is done, the check that changes, its state, what it says, what its remedy says.

def line(text):
    return lambda machine: machine.line(text)


def iomem(old, new):
    assert old in IOMEM
    return lambda machine: machine.iomem(IOMEM.replace(old, new))


def put(path, content):
    return lambda machine: machine.put(path, content)


def option(name, value="n"):
    return lambda machine: machine.config({key: text for key, text in {**OPTIONS, name: value}.items() if text != "n"})


def hands_over(machine):
    machine.config({**OPTIONS, "CONFIG_KEXEC_HANDOVER": "y", "CONFIG_LIVEUPDATE": "y"})


def drop(*starts):
    return lambda machine: machine.drop(*starts)


def together(*changes):
    def change(machine):
        for one in changes:
            one(machine)

    return change


NOT_RESERVED = iomem("""1fffffff : System RAM
  01000000-01ffffff : Kernel code
  02000000-02ffffff : Kernel data
20000000-23ffffff : Persistent Memory (legacy)
24000000-7ffdffff""", """7ffdffff""")

STAGED = [
    ("the kernel did not take it", NOT_RESERVED, "reserved-range", "problem", "as \"System RAM\"", "memmap="),
    ("a driver has it", iomem("(legacy)\n", "(legacy)\n  20000000-20ffffff : dax0.0\n"), "reserved-range", "ok",
     "a pmem device, through which save writes", ""),
    ("the initrd lies there", put("sys/kernel/boot_params/data",
                                  bytes(0x218) + (0x21000000).to_bytes(4, "little") + (1 << 20).to_bytes(4, "little")),
     "reserved-range", "problem", "where the boot loader put the initrd", "another range"),
    ("half a page", together(line(LINE.replace("64M!", "67110400!")), drop("etc/default/grub")), "reserved-range",
     "problem", "does not consist of whole pages", "multiples of 4096|whole|--region"),
    ("several ranges", together(
        line(LINE + " memmap=16M$0x30000000"),
        iomem("24000000-7ffdffff : System RAM\n",
              "24000000-2fffffff : System RAM\n30000000-30ffffff : Reserved\n31000000-7ffdffff : System RAM\n"),
        drop("etc/default/grub")),
     "reserved-range", "warning", "several ranges are set aside", "--region"),
    ("it is a device's by the firmware", lambda machine: machine.memmap(
        [*MEMMAP[:3], (0x100000, 0x20ffffff, "System RAM"), (0x21000000, 0x7ffdffff, "Reserved")]), "firmware-map",
     "problem", "does not call all of", "System RAM"),
    ("no firmware's map", drop("sys/firmware/memmap"), "firmware-map", "unknown", "not among the files", ""),
    ("no /dev/mem", option("CONFIG_DEVMEM"), "dev-mem", "warning", "no /dev/mem", "--device"),
    ("locked down", put("sys/kernel/security/lockdown", "none [integrity] confidentiality\n"), "lockdown", "warning",
     "locked down \\(integrity\\)", "--device"),
    ("locked down more", put("sys/kernel/security/lockdown", "none integrity [confidentiality]\n"), "lockdown",
     "warning", "locked down \\(confidentiality\\)", "--device"),
    ("the lockdown is not known", drop("sys/kernel/security"), "lockdown", "unknown", "not known", ""),
    ("no kexec(8)", together(drop("usr/sbin/kexec", "var/lib/dpkg"), put("usr/bin/true", "")), "kexec-tools", "problem",
     "not installed", "install kexec-tools"),
    ("an older kexec(8)", lambda machine: machine.dpkg("2.0.25-3"), "kexec-tools", "warning", "kexec_load", "-s"),
    ("kexec switched off", put("proc/sys/kernel/kexec_load_disabled", "1\n"), "kexec-tools", "problem", "switched off",
     "sysctl"),
    ("no kexec in the kernel", lambda machine: machine.config(
        {name: "y" for name in OPTIONS if not name.startswith("CONFIG_KEXEC")}), "kexec-tools", "problem",
     "has no kexec", "kernel"),
    ("no kexec_file_load", option("CONFIG_KEXEC_FILE"), "kexec-tools", "warning", "no kexec_file_load", "pram-verify"),
    ("somebody has loaded a kernel", put("sys/kernel/kexec_loaded", "1\n"), "kexec-loaded", "warning",
     "not by pram-verify", "pram-verify kexec"),
    ("the loaded kernel has no range", together(
        put("sys/kernel/kexec_loaded", "1\n"), put("run/pram-verify/loaded", "time 1\nkernel /k\nline quiet\n")),
     ("next-kernel", "kexec-loaded"), "problem", "does not set 0x20000000", "once more"),
    ("behind four regions", together(
        line(LINE.replace("memmap=64M!0x20000000", "memmap=1K#1G memmap=1K#1G memmap=1K#1G memmap=1K#1G "
                          "memmap=64M!0x20000000")), drop("etc/default/grub")),
     "kaslr", "problem", "first four memmap= regions", "before all others"),
    ("the boot loader forgets it", lambda machine: machine.grub("quiet"), "next-kernel", "warning",
     "/etc/default/grub does not set", "there, too"),
    ("the boot loader takes the dollar", lambda machine: machine.grub("memmap=64M$0x20000000"), "next-kernel",
     "warning", "taken for a variable", r"\\\\\\\$ss"),
    ("an entry of systemd-boot forgets it", put("boot/loader/entries/a.conf", "options root=/dev/vda1\n"),
     "next-kernel", "warning", "/boot/loader/entries/a.conf", "there, too"),
    ("a kernel that is none", put(f"boot/vmlinuz-{RELEASE}", "MZ" + 1000 * "x"), "next-kernel", "warning",
     "is no kernel that can be started", "install the kernel"),
    ("an empty kernel", put(f"boot/vmlinuz-{RELEASE}", ""), "next-kernel", "warning", "is no kernel", "anew"),
    ("no kernel", drop("boot/vmlinuz"), "next-kernel", "warning", "no kernel in /boot", "name one"),
    ("a line that is full", line(LINE + " " + "x" * 1990), "command-line-room", "problem", "2016 are possible",
     "shorten"),
    ("a line that is nearly full", line(LINE + " " + "x" * 1900), "command-line-room", "warning", "bytes are left",
     "shorten"),
    ("the crash kernel is there by its address", line(LINE + " crashkernel=64M@0x21000000"), "crashkernel", "problem",
     "crash kernel", "another"),
    ("the crash kernel is there", together(line(LINE + " crashkernel=16M"), iomem(
        "(legacy)\n", "(legacy)\n  20000000-20ffffff : Crash kernel\n")), "crashkernel", "problem", "crash kernel",
     "another"),
    ("ramoops is there", line(LINE + " ramoops.mem_address=0x20000000 ramoops.mem_size=0x100000"), "ramoops", "problem",
     "ramoops", "mem_address"),
    ("ramoops is there and loaded", put("sys/module/ramoops/parameters/mem_address", "536870912\n"), "ramoops",
     "problem", "ramoops", "mem_address"),
    ("the next kernel takes memory over in another form", together(
        hands_over, line(LINE + " kho=on liveupdate=on"),
        put(f"boot/vmlinuz-{RELEASE}", kernel(*FORMS)),
        put("boot/vmlinuz-6.13.0-other", kernel("kho-v3", "memfd-v2"))),
     ("kho", "next-kernel", "initrd-helper", "rehearsal"), "warning", "takes memory over in another form", "memmap="),
    ("the next kernel takes no memory over", together(
        hands_over, line(LINE + " kho=on liveupdate=on"),
        put(f"boot/vmlinuz-{RELEASE}", kernel())), "kho", "warning", "takes no memory over", "start one"),
    ("no image", drop("boot/initrd"), ("initrd-helper", "next-kernel"), "unknown", "no image", "image check"),
    ("unit not enabled", drop(WANTS), "units", "warning", "not enabled", "enable --now pram-verify.service$"),
    ("unit not installed", together(
        drop(WANTS, "usr/lib/systemd/system/pram"), put("usr/lib/systemd/system/ssh.service", "[Unit]\n")),
     "units", "warning", "not installed", "install"),
    ("Debian loads by itself", put("etc/default/kexec", "LOAD_KEXEC=true\n"), "units", "warning", "LOAD_KEXEC",
     "kexec.d/pram-verify"),
    ("damaged at boot", put("run/pram-verify/status", "damaged\n"), "chain", "problem", "damaged", "status"),
    ("never tried", drop("var/lib/pram-verify-state"), "rehearsal", "warning", "never tried", "rehearse"),
    ("tried in vain", lambda machine: machine.rehearsal("failed", extra="lost 2\noverwritten 0x20001000+0x2000\n"),
     "rehearsal", "problem", "2 of 16383 pages .* first at 0x20001000\\+0x2000", "rehearse again"),
    ("tried with another kernel", lambda machine: machine.rehearsal(to="6.1.0"), "rehearsal", "warning",
     "other kernels", "rehearse"),
    ("tried with another range", lambda machine: machine.rehearsal(start=0x50000000), "rehearsal", "warning",
     "another range", "rehearse"),
    ("under way", lambda machine: machine.rehearsal("waiting", to=None), "rehearsal", "warning", "under way",
     "--result"),
]


class Misconfigured(DoctorTest):
    def test_each_gives_its_own_line_and_nothing_else_changes(self):
        self.assertGreaterEqual(len(STAGED), 25)
        _, _, good = self.look(self.root())
        for name, change, ids, state, message, remedy in STAGED:
            with self.subTest(name):
                result, report, checks = self.look(self.root(change))
                ids = (ids,) if isinstance(ids, str) else ids
                check = checks[ids[0]]
                self.assertEqual(check["state"], state, check)
                self.assertRegex(check["message"], message)
                self.assertRegex(check["remedy"], remedy or "^$")
                others = [other for other in checks if checks[other]["state"] != good[other]["state"]]
                self.assertLessEqual(set(others), set(ids), {other: checks[other] for other in others})
                self.assertEqual(result.status, DAMAGED if "problem" in [c["state"] for c in checks.values()]
                                 or ids[0] == "firmware-map" else INTACT)

    def test_system_ram_that_nothing_shows(self):
        """Where chains lie in System RAM, /proc/kcore has to show it, or /dev/mem of a kernel that lets it."""
        def configured(**values):
            names = {f"CONFIG_{name}": value for name, value in values.items()}
            return lambda machine: machine.config(
                {key: text for key, text in {**OPTIONS, **names}.items() if text != "n"})

        for values, state in (({}, "ok"), ({"PROC_KCORE": "n"}, "problem"), ({"STRICT_DEVMEM": "n"}, "ok"),
                              ({"PROC_KCORE": "n", "STRICT_DEVMEM": "n"}, "ok"),
                              ({"PROC_KCORE": "n", "STRICT_DEVMEM": "n", "DEVMEM": "n"}, "problem")):
            with self.subTest(values):
                check = self.look(self.root(recorded.pram_kernel, configured(**values)))[2]["dev-mem"]
                self.assertEqual((check["state"], "CONFIG_PROC_KCORE" in check["remedy"]), (state, state == "problem"))
        # A range that is reserved is another matter.
        self.assertEqual(self.look(self.root(configured(PROC_KCORE="n")))[2]["dev-mem"]["state"], "ok")
        # That a kernel has pram is told by its configuration, where there is no more than that.
        told = self.root(recorded.pram_kernel, drop("sys/kernel/pram"), configured(PRAM="y"))
        self.assertEqual(self.look(told)[2]["reserved-range"], self.look(self.root(recorded.pram_kernel))[2]["reserved-range"])
        untold = self.root(recorded.pram_kernel, drop("sys/kernel/pram"))
        self.assertEqual(self.look(untold)[2]["reserved-range"]["state"], "problem")

    def test_an_image_without_the_helper(self):
        def change(machine):
            machine.put(f"boot/initrd.img-{RELEASE}", self.bare)

        _, _, checks = self.look(self.root(change))
        self.assertEqual(checks["initrd-helper"]["state"], "warning")
        self.assertRegex(checks["initrd-helper"]["message"], "will not check the chain: pram-verify is not in")


class Hostile(DoctorTest):
    def test_files_of_any_bytes_and_endless_ones(self):
        paths = ["proc/cmdline", "proc/iomem", "etc/default/grub", "etc/default/kexec", "etc/kernel/cmdline",
                 "sys/firmware/memmap/0/start", "sys/firmware/memmap/3/type", "var/lib/dpkg/status",
                 f"boot/config-{RELEASE}", f"boot/initrd.img-{RELEASE}", "proc/config.gz", "run/pram-verify/status",
                 "run/pram-verify/loaded", "var/lib/pram-verify-state/rehearsal", "sys/kernel/boot_params/data",
                 "sys/module/ramoops/parameters/mem_address", "sys/firmware/efi/runtime-map/0/phys_addr",
                 "boot/loader/entries/a.conf", "sys/kernel/security/lockdown", "proc/self/status", "sys/kernel/pram",
                 "proc/sys/kernel/osrelease"]
        noise = bytes(range(256)) * 8
        for content in (b"", noise, b"\n" * 3000, b"18446744073709551615\n", b"0xffffffffffffffff\n",
                        b"state failed\nrange 0x0+0xffffffffffffffff\noverwritten 0x0+0x1\n", b'"$\\'):
            for path in paths:
                with self.subTest(f"{path}: {content[:20]!r}"):
                    self.assertIn(self.look(self.root(put(path, content)), "--size=16M")[0].status, (INTACT, DAMAGED))

    def test_what_is_no_file(self):
        root = pathlib.Path(self.root())
        for path in ("proc/cmdline", "etc/default/grub", f"boot/initrd.img-{RELEASE}", "proc/iomem"):
            with self.subTest(path):
                (root / path).unlink()
                (root / path).mkdir()
                self.look(root)


class Supportconfig(DoctorTest):
    """What SUSE's tool collects: the files of a machine as sections of a few texts."""

    FOUND = "#==[ Configuration File ]===========================#\n# {}\n{}\n\n"
    LOG = """#==[ Command ]======================================#
# /bin/dmesg -T
[Mon Jan  5 10:00:00 2026] BIOS-provided physical RAM map:
[Mon Jan  5 10:00:00 2026] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable
[Mon Jan  5 10:00:00 2026] BIOS-e820: [mem 0x0000000000100000-0x000000007ffdffff] usable
Jan 05 10:00:00 Big kernel: BIOS-e820: [mem 0x0000000000100000-0x000000007ffdffff] usable
[Mon Jan  5 10:00:00 2026] BIOS-e820: [mem 0x000000007ffe0000-0x000000007fffffff] reserved
[Mon Jan  5 10:00:00 2026] BIOS-e820: [mem nonsense
"""

    def collect(self, line=LINE, grub=f'GRUB_CMDLINE_LINUX="{LINE}"', loaded="0"):
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        self.addCleanup(shutil.rmtree, folder)
        texts = {
            "basic-environment.txt": "#==[ Command ]====#\n# /bin/date\n",
            "boot.txt": self.FOUND.format("/etc/lilo.conf - File not found", "") + self.LOG
            + self.FOUND.format("/etc/default/grub", grub) + self.FOUND.format("/proc/cmdline", line),
            "crash.txt": self.FOUND.format("/sys/kernel/kexec_loaded", loaded),
            "proc.txt": self.FOUND.format("/proc/sys/kernel/osrelease", RELEASE)
            + self.FOUND.format("/proc/sys/kernel/kexec_load_disabled", "0"),
        }
        for name, text in texts.items():
            if text is not None:
                (folder / name).write_text(text)
        return folder

    def test_what_it_tells(self):
        result, _, checks = self.look(self.collect())
        self.assertEqual(result.status, DAMAGED)  # nobody has seen whether the kernel keeps off the range
        self.assertRegex(checks["reserved-range"]["message"], "64.0 MiB at 0x20000000|0x20000000")
        self.assertEqual(checks["firmware-map"]["state"], "ok", checks)
        self.assertEqual(checks["firmware-map"]["message"], "the firmware calls all of the range System RAM")
        self.assertEqual(checks["kexec-loaded"]["message"], "no kernel is loaded yet")
        self.assertEqual(checks["next-kernel"]["state"], "unknown")

    def test_the_firmwares_map_is_that_of_the_log(self):
        folder = self.collect()
        boot = folder / "boot.txt"
        boot.write_text(boot.read_text().replace("0x000000007ffdffff] usable", "0x0000000020ffffff] usable"))
        self.assertNotEqual(self.look(folder)[2]["firmware-map"]["state"], "ok")

    def test_what_is_wrong_there(self):
        _, _, checks = self.look(self.collect(grub='GRUB_CMDLINE_LINUX="quiet"', loaded="1"))
        self.assertRegex(checks["next-kernel"]["message"], "/etc/default/grub does not set")
        self.assertRegex(checks["kexec-loaded"]["message"], "not by pram-verify")
        _, _, checks = self.look(self.collect(line="quiet"))
        self.assertEqual(checks["reserved-range"]["state"], "problem")

    def test_any_bytes(self):
        folder = self.collect()
        for text in (b"", b"#==[\n" * 1000, b"#==[\n# /proc/cmdline", b"\0\xff" * 5000,
                     b"BIOS-e820: [mem -]\nBIOS-e820: [mem 0xffffffffffffffff-0x0] usable\n"):
            for name in ("boot.txt", "proc.txt", "crash.txt"):
                (folder / name).write_bytes(text)
            with self.subTest(text[:20]):
                status = self.run_program("doctor", f"--root={folder}").status
                self.assertIn(status, (DAMAGED, FAILED))


class Links(DoctorTest):
    """Symbolic links of another machine lead where they lead there, never to this one."""

    def move(self, root, path, target):
        """Puts a file elsewhere, and an absolute link in its place."""
        place, new = pathlib.Path(root, path), pathlib.Path(root, os.path.normpath(target).lstrip("/"))
        new.parent.mkdir(parents=True, exist_ok=True)
        place.rename(new)
        place.symlink_to(target)

    def test_absolute_ones(self):
        root = self.root()
        before = self.look(root)[1]
        self.move(root, "etc/default/grub", "/usr/share/made-up/grub")
        self.move(root, "proc/cmdline", "/made-up/../made-up/./line")
        self.move(root, f"boot/initrd.img-{RELEASE}", "/../../../../made-up/initrd")
        self.move(root, "boot", "/made-up/boot")
        self.assertEqual(self.look(root)[1], before)

    def test_they_never_lead_to_this_machine(self):
        secret = pathlib.Path(tempfile.mkdtemp(dir=self.folder), "grub")
        secret.write_text('GRUB_CMDLINE_LINUX="memmap=64M$0x20000000"\n')
        root = self.root()
        place = pathlib.Path(root, "etc/default/grub")
        place.unlink()
        without = self.look(root)[1]
        for target in (secret, "../" * 30 + str(secret)[1:]):
            place.symlink_to(target)
            self.assertEqual(self.look(root)[1], without)
            place.unlink()

    def test_in_circles(self):
        root = self.root()
        for path in ("etc/default/grub", f"boot/vmlinuz-{RELEASE}", "proc/iomem"):
            place = pathlib.Path(root, path)
            place.unlink()
            place.symlink_to("/" + path)
        _, _, checks = self.look(root)
        self.assertRegex(checks["next-kernel"]["message"], "leads to no file")

    def test_what_is_no_program_is_not_installed(self):
        root = self.root(drop("var/lib/dpkg/status"))
        place = pathlib.Path(root, "usr/sbin/kexec")
        if place.exists():
            place.unlink()
        place.mkdir(parents=True)
        pathlib.Path(root, "usr/bin").mkdir(exist_ok=True)
        self.assertEqual(self.look(root)[2]["kexec-tools"]["state"], "problem")


class Proposals(DoctorTest):
    def test_it_goes_with_what_stands_in_the_file(self):
        root = self.root(recorded.Recorded.unused, lambda machine: machine.grub('console=ttyS0 x=\\"y\\"'))
        _, report, checks = self.look(root, "--size=100M")
        proposal = report["proposal"]
        self.assertEqual(proposal["size"], 100 << 20)
        start = f"{proposal['start']:#x}"
        self.assertEqual(proposal["parameter"], f"memmap=100M!{start}")
        self.assertEqual(proposal["grub"], f'GRUB_CMDLINE_LINUX="memmap=100M!{start} console=ttyS0 x=\\"y\\""')
        self.assertEqual(proposal["reserved_grub"],
                         f'GRUB_CMDLINE_LINUX="memmap=100M\\\\\\${start} console=ttyS0 x=\\"y\\""')
        text = self.run_program("doctor", f"--root={root}", "--size=100M").out.decode()
        for words in (proposal["grub"], proposal["reserved_grub"], "update-grub"):
            self.assertIn(words, text)

    def test_a_shell_makes_of_the_line_what_grub_wants(self):
        import subprocess

        _, report, _ = self.look(self.root(recorded.Recorded.unused))
        script = report["proposal"]["reserved_grub"] + '\nprintf %s "$GRUB_CMDLINE_LINUX"'
        made = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout.decode()
        self.assertEqual(made.strip(), report["proposal"]["reserved_parameter"].replace("$", "\\$"))

    def test_followed_it_is_ready(self):
        _, report, _ = self.look(self.root(recorded.Recorded.unused), "--size=64M")
        start, size = report["proposal"]["start"], report["proposal"]["size"]

        def follow(machine):
            machine.line(f"{report['proposal']['parameter']} quiet")
            machine.grub(re.fullmatch(r'GRUB_CMDLINE_LINUX="(.*)"', report["proposal"]["grub"])[1])
            machine.iomem(recorded.WITHOUT_RANGE.replace(
                "-7ffdffff : System RAM\n", f"-{start - 1:08x} : System RAM\n").replace(
                "7ffe0000-7f", f"{start:08x}-{start + size - 1:08x} : Persistent Memory (legacy)\n"
                f"{start + size:08x}-7ffdffff : System RAM\n7ffe0000-7f"))

        result, after, checks = self.look(self.root(recorded.Recorded.unused, follow))
        self.assertTrue(after["ready"], checks)
        self.assertIsNone(after["proposal"])

    def test_too_large(self):
        root = self.root(recorded.Recorded.unused)
        _, report, _ = self.look(root, "--size=2G")
        self.assertIsNone(report["proposal"])
        self.assertIn(b"there is no room of this size", self.run_program("doctor", f"--root={root}", "--size=2G").out)


class ThisMachine(KexecTest):
    """On a made-up machine with memory."""

    def checks(self, script="true", **options):
        result = self.machine(f"mkdir -p /sys/kernel/security && {script} >/dev/null && $pv doctor --json",
                              **options)
        report = json.loads(result.out)
        self.assertEqual([error.message for error in validator().iter_errors(report)], [], result)
        return {check["id"]: check for check in report["checks"]}

    def test_no_chain(self):
        self.assertEqual(self.checks()["chain"]["state"], "ok")

    def test_a_chain_that_will_be_handed_on(self):
        self.lay()
        self.assertRegex(self.checks()["chain"]["message"], "will be told of the chain at page 0x100: 5 files")

    def test_a_damaged_chain(self):
        self.lay(flip=True)
        check = self.checks()["chain"]
        self.assertEqual(check["state"], "problem")
        self.assertIn("damaged", check["message"])

    def test_a_save_that_failed(self):
        check = self.checks("{ $pv save /nowhere; true; }")["chain"]
        self.assertEqual(check["state"], "problem", check)
        self.assertIn("the last save failed", check["message"])

    def test_a_kernel_that_was_loaded_before_the_chain(self):
        checks = self.checks("$pv kexec /k /i && $pv save --flat $src")
        self.assertEqual(checks["kexec-loaded"]["state"], "problem")
        checks = self.checks("$pv kexec /k /i")
        self.assertEqual(checks["kexec-loaded"]["state"], "ok")

    def test_a_kernel_that_was_loaded_for_a_chain_that_is_gone(self):
        check = self.checks("{ $pv save --flat $src && $pv kexec /k /i && $pv erase; }")["kexec-loaded"]
        self.assertEqual(check["state"], "warning")
        self.assertIn("not there any more", check["message"])

    def test_it_changes_nothing(self):
        self.lay()
        before = self.memory.read_bytes()
        result = self.machine("$pv doctor >/dev/null; find /run -type f")
        self.assertEqual(self.memory.read_bytes(), before)
        self.assertIn(result.out.split(), ([], [b"/run/pram-verify/lock"]))
