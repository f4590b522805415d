"""Chains in ordinary memory, which the kernel itself hands over to the next one (KHO and LUO): saved with --kho, kexec'ed,
looked at before any mount, loaded, and the memory given back. And what is said where the hand-over does not happen.

The two kernels do not understand each other's hand-over. Both are built for tests: Documentation/KHO.md says how.
"""

import functools
import time
import types

from cases.support import *
from harness import debian
from harness.machine import BOOT_DEADLINE

FIRST, OTHER = "bzImage-kho-7.3", "bzImage-kho-7.1"
LINE = "kho=on liveupdate=on"
# A host that is busy elsewhere lets the kernel's check of its timer fail, which is a panic.
BUSY_HOST = "no_timer_check"


@functools.lru_cache(maxsize=None)
def walker():
    """The checker that is not ours, for the guest, where there is no Python."""
    path = image_path("kcore-walk")
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-O2", "-static", "-o", path, REPOSITORY / "Tests/oracle/kcore-walk.c"], check=True)
    return path


@functools.lru_cache(maxsize=None)
def kho_image(kexecs=1, more=()):
    """The initrd of these machines: both kernels lie in it, and the initrd of the next one."""
    files = program_files() | {"/bin/kcore-walk": walker()}
    if kexecs > 0:
        files |= {**provision.kexec_files(), "/boot/initrd": kho_image(kexecs - 1)}
        files |= {f"/boot/{name}": PRAM_KERNELS / name for name in (FIRST, OTHER)} | dict(more)
    return initramfs.initramfs(image_path(f"kho-{kexecs}-{len(more)}.cpio.gz"), files)


def sums(machine, folder):
    """SHA-256 of every file below a folder."""
    return machine.must(f"cd {folder} && find . -type f -exec sha256sum {{}} + | sort -k 2")


def free(machine):
    """MemFree in KiB; what the processors' own lists hold is put back first."""
    machine.must("echo 1 >/proc/sys/vm/drop_caches; echo 1 >/proc/sys/vm/compact_memory || true; sleep 1")
    return int(machine.must("grep ^MemFree: /proc/meminfo | tr -dc 0-9"))


class KhoCase(BootCase):
    """Subclasses say which kernel comes first; helpers for what comes next."""

    needs_pram_kernels = True
    kernels = (FIRST, OTHER)
    kernel = FIRST
    memory = "1G"
    kexecs = 1

    @classmethod
    def boot(cls, line=LINE):
        cls.machine = machine = cls.start(PRAM_KERNELS / cls.kernel, kho_image(cls.kexecs), f"{line} {BUSY_HOST}", cls.memory)
        # What the running kernel hands over is read from its image.
        machine.must(f"ln -sf /boot/{cls.kernel} /boot/vmlinuz-$(uname -r)")
        return machine

    @classmethod
    def fill(cls, megabytes, folder="/tmp/tree"):
        cls.machine.must(f"mkdir -p {folder}/deep && head -c {megabytes << 20} /dev/urandom >{folder}/large && "
                         f"echo snow >{folder}/deep/small && : >{folder}/empty && ln -s large {folder}/link && "
                         f"head -c 4096 /dev/urandom >{folder}/page")
        cls.sums = sums(cls.machine, folder)

    @classmethod
    def save(cls, folder="/tmp/tree", *words):
        """Saves it, and takes the files away: their memory is wanted."""
        cls.saved = run(cls.machine, "save", "--kho", folder, *words)
        cls.machine.must(f"rm -rf {folder}")
        cls.head = int(cls.saved.output.removeprefix("pram=") or "0", 16)

    @classmethod
    def load_next(cls, kernel):
        """Loads the next kernel, as pram-verify does it."""
        return cls.machine.run(f"pram-verify kexec /boot/{kernel} /boot/initrd")

    @classmethod
    def load_by_hand(cls, kernel, line=None, mode="-s"):
        line = LINE if line is None else line
        cls.machine.must(f"kexec {mode} -l /boot/{kernel} --initrd=/boot/initrd "
                         f"--command-line='console=ttyS0 panic=-1 {BUSY_HOST} {line} pram={cls.head:x}'")

    def assert_lost(self, machine, evidence):
        """What `boot` and `check` say of a chain that nobody has handed over."""
        machine.must("pram-verify boot")
        self.assertEqual(machine.must("cat /run/pram-verify/status"), "lost")
        report = in_guest(machine)
        self.assertEqual((report.verdict, report.status), ("lost", 4), f"\n{report}")
        self.assertEqual([finding["kind"] for finding in report.findings], ["handover-lost"], f"\n{report}")
        self.assertRegex(report.findings[0]["message"], evidence)
        self.assertEqual(report.json["hand_over"]["state"], "lost")
        self.assertLess(len(machine.must("cat /run/pram-verify/report.txt").splitlines()), 30)


class Arrives:
    """One kernel, and the same once more."""

    megabytes = 32

    @classmethod
    def setUpClass(cls):
        machine = cls.boot()
        cls.fill(cls.megabytes)
        cls.save()
        cls.status = run(machine, "status")
        cls.line = run(machine, "cmdline", "--kernel", f"/boot/{cls.kernel}")
        cls.given = run(machine, "cmdline", "--kernel", f"/boot/{cls.kernel}", "--cmdline", "quiet pram=1234")
        cls.loaded_kernel = cls.load_next(cls.kernel)
        if cls.loaded_kernel.status:
            return
        machine.kexec()
        machine.must("pram-verify boot")
        cls.boot_status = machine.must("cat /run/pram-verify/status")
        cls.boot_report = machine.must("cat /run/pram-verify/report.txt")
        cls.checked = in_guest(machine)
        cls.walked = machine.run(f"kcore-walk {cls.head:x}")
        cls.handing_on = run(machine, "cmdline")
        # A neighbour that takes what memory there is.
        machine.must("dd if=/dev/zero of=/run/neighbour bs=1M count=380 2>/dev/null; rm /run/neighbour")
        cls.pressed = in_guest(machine)
        cls.refused = [run(machine, word) for word in ("drop", "quarantine", "repair")]
        cls.before = free(machine)
        cls.loaded = run(machine, "load", "--erase", "/tmp/out")
        cls.loaded_sums = sums(machine, "/tmp/out")
        machine.must("rm -rf /tmp/out")
        cls.after = free(machine)
        cls.check_after = in_guest(machine)

    def test_a_line_that_was_made_before_does_not_hide_it(self):
        self.assert_run(self.given, 0)
        self.assertIn(f"pram={self.head:x}", self.given.output.split())

    def test_it_is_saved_and_held(self):
        self.assert_run(self.saved, 0, errors="session pram-verify-[0-9a-f]{8}-[0-9a-f]{8} is held by process")
        self.assertIn("is held by process", self.status.output)
        self.assert_run(self.loaded_kernel, 0)

    def test_the_next_line_names_it(self):
        self.assert_run(self.line, 0, errors="kexec is called with -s")
        self.assertIn(f"pram={self.head:x}", self.line.output.split())
        self.assertEqual(self.line.output.split().count("kho=on"), 1)
        self.assertEqual(self.line.output.split().count("liveupdate=on"), 1)

    def test_boot_finds_it_intact(self):
        self.assertEqual(self.boot_status, "intact")
        self.assertIn("are held back since the kexec", self.boot_report)
        self.assertNotIn("manages and reuses", self.boot_report)

    def test_check_says_that_the_frames_are_held(self):
        self.assert_verdict(self.checked, "intact")
        self.assertEqual(self.checked.json["hand_over"]["state"], "held")
        self.assertEqual(self.checked.json["hand_over"]["frames_held"], self.checked.json["hand_over"]["frames"])

    def test_a_checker_of_its_own_finds_every_page_good(self):
        self.assertEqual(self.walked.status, 0, self.walked)
        links, pages = map(int, re.fullmatch(r"links (\d+) pages (\d+) bad 0\n", self.walked.output).groups())
        self.assertEqual(links + pages, self.checked.json["hand_over"]["frames"])
        self.assertGreater(pages, self.megabytes * 256)

    def test_it_outlives_a_neighbour_that_fills_memory(self):
        self.assert_verdict(self.pressed, "intact")

    def test_nothing_that_would_write_it_does(self):
        for result in self.refused:
            self.assert_run(result, 8, "", "(?s)System RAM, which nobody can write.*save --again")

    def test_a_second_kexec_is_not_handed_it_by_that(self):
        self.assert_run(self.handing_on, 4, errors="is in no session for the next one")
        self.assertNotIn("pram=", self.handing_on.output)
        self.assertIn("save --again", self.handing_on.errors)

    def test_it_is_loaded_and_the_memory_given_back(self):
        self.assert_run(self.loaded, 0)
        self.assertEqual(self.loaded_sums, self.sums)
        self.assertRegex(self.loaded.output, "memory is given back")
        self.assertGreater(self.after - self.before, self.megabytes * 1024 * 8 // 10)

    def test_nothing_is_found_once_it_is_given_back(self):
        self.assert_verdict(self.check_after, "absent")


class SameKernel73(Arrives, KhoCase):
    """7.3 to 7.3."""


class SameKernel71(Arrives, KhoCase):
    """7.1 to 7.1, by the same program."""

    kernel = OTHER


class OtherKernel(KhoCase):
    """7.3 to 7.1: predicted, and called lost when done all the same."""

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.fill(16)
        cls.save()

    def test_it_is_predicted_and_then_named(self):
        machine = self.machine
        line = run(machine, "cmdline", "--kernel", f"/boot/{OTHER}")
        self.assert_run(line, 4, errors=r"takes memory over in another form \(kho-v3, luo-session-v2, luo-v1, memfd-v2\)")
        self.assertNotIn("pram=", line.output)
        self.assert_run(self.load_next(OTHER), 4, errors="no kernel is loaded")
        self.load_by_hand(OTHER)
        machine.kexec()
        self.assert_lost(machine, "KHO: .*incompatible")


class NoHandOver(KhoCase):
    """7.3 to a kernel of Debian, which knows no hand-over."""

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.fill(16)
        cls.save()

    @classmethod
    def boot(cls, line=LINE):
        kernel = {"/boot/debian": provision.newest_kernel().image}
        cls.machine = cls.start(PRAM_KERNELS / cls.kernel, kho_image(more=tuple(kernel.items())), f"{line} {BUSY_HOST}",
                                cls.memory)

    def test_it_is_predicted_and_then_named(self):
        machine = self.machine
        line = run(machine, "cmdline", "--kernel", "/boot/debian")
        self.assert_run(line, 4, errors="takes no memory over")
        self.assertNotIn("pram=", line.output)
        self.load_by_hand("debian")
        machine.kexec()
        self.assert_lost(machine, "knows no hand-over")


class Unasked(KhoCase):
    """Without kho=on or liveupdate=on: says which one is missing."""

    @classmethod
    def setUpClass(cls):
        cls.boot("kho=on")
        cls.fill(1)

    def test_liveupdate_is_missing(self):
        result = run(self.machine, "save", "--kho", "/tmp/tree")
        self.assert_run(result, 8, "", "liveupdate=on is missing")

    def test_nothing_is_left_running(self):
        run(self.machine, "save", "--kho", "/tmp/tree")
        self.assertEqual(self.machine.must("ps | grep -c '[@]ram-verify' || true"), "0")


class HolderGone(KhoCase):
    """Who holds the session is killed, before the next kernel is loaded and after."""

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.fill(16)

    def test_it_is_noticed_before_and_after(self):
        machine = self.machine
        self.save()
        self.load_by_hand(FIRST)
        again = run(machine, "save", "--kho", "/bin")
        self.assert_run(again, 8, "", "a chain is saved already")
        holder = int(re.search("held by process ([0-9]+)", self.saved.errors).group(1))
        self.assertEqual(machine.must(f"cat /proc/{holder}/oom_score_adj"), "-1000")
        self.assertEqual(machine.must(f"head -c 1 /proc/{holder}/cmdline"), "@")
        self.assertEqual(machine.must(f"ls /proc/{holder}/fd | wc -l").strip(), "4")
        machine.must(f"kill -9 {holder}; sleep 1")
        status = run(machine, "status")
        self.assertIn("is gone", status.output)
        self.assertEqual(status.status, 4, f"\n{status}")
        line = run(machine, "cmdline")
        self.assert_run(line, 4, errors="is gone, and the chain with it")
        self.assertNotIn("pram=", line.output)
        machine.kexec()
        self.assert_lost(machine, "are not held back")


class NotHandedOver(KhoCase):
    """kexec -c: nothing is handed over."""

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.fill(16)
        cls.save()

    def test_it_is_refused_and_then_named(self):
        machine = self.machine
        line = run(machine, "cmdline", "--kexec-options", "--kexec-load")
        self.assertNotEqual(line.status, 0)
        self.assertIn("kexec -c) hands no memory over", line.errors)
        self.load_by_hand(FIRST, mode="-c")
        machine.kexec()
        self.assert_lost(machine, "handed no memory over")


class SwitchedOff(KhoCase):
    """The next kernel has kho=off: all of it is there, and nobody can give the memory back."""

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.fill(16)
        cls.save()

    def test_it_is_intact_and_stays(self):
        machine = self.machine
        self.load_by_hand(FIRST, "kho=off")
        machine.kexec()
        machine.must("pram-verify boot")
        self.assertEqual(machine.must("cat /run/pram-verify/status"), "intact")
        loaded = run(machine, "load", "--erase", "/tmp/out")
        self.assertEqual(sums(machine, "/tmp/out"), self.sums)
        self.assertRegex(loaded.output, "stays taken until the next boot")


class Locked(KhoCase):
    """The next kernel is locked down against changes by root: all goes as ever, for what is read is /proc/kcore."""

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.fill(64)
        cls.save()

    def test_it_is_verified_loaded_and_given_back(self):
        machine = self.machine
        self.load_by_hand(FIRST, f"{LINE} lockdown=integrity")
        machine.kexec()
        self.assertIn("[integrity]", machine.must(
            "mount -t securityfs none /sys/kernel/security; cat /sys/kernel/security/lockdown"))
        machine.must("pram-verify boot")
        self.assertEqual(machine.must("cat /run/pram-verify/status"), "intact")
        self.assertEqual(in_guest(machine).json["hand_over"]["state"], "held")
        before = free(machine)
        loaded = run(machine, "load", "--erase", "/tmp/out")
        self.assert_run(loaded, 0)
        self.assertEqual(sums(machine, "/tmp/out"), self.sums)
        machine.must("rm -r /tmp/out")
        # Some of it waits in the processor's own lists.
        self.assertGreater(free(machine) - before, 30 << 10, loaded)


class LockedAgainstReading(KhoCase):
    """Against reading, too: check says why it cannot look, and nothing is called damaged or lost."""

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.fill(1)
        cls.save()

    def test_it_says_why_it_cannot_look(self):
        machine = self.machine
        self.load_by_hand(FIRST, f"{LINE} lockdown=confidentiality")
        machine.kexec()
        machine.must("pram-verify boot")
        self.assertIn(machine.must("cat /run/pram-verify/status"), ("failed", "indeterminate"))
        report = in_guest(machine)
        self.assertNotIn(report.verdict, ("lost", "damaged", "intact", "absent"))
        self.assertTrue(report.says("lockdown|locked down"), f"\n{report}")


class LoadedFromItsSession(KhoCase):
    """Locked down against reading, with the session's name on the line: load takes the chain out of its session, and keeps
    it in another until --erase."""

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.fill(64)
        cls.save()

    def test_it_is_loaded_kept_and_given_back(self):
        machine = self.machine
        line = run(machine, "cmdline", "--kernel", f"/boot/{FIRST}", "--append", "lockdown=confidentiality")
        self.assert_run(line, 0)
        session = re.search("session pram-verify-([0-9a-f]{8}-[0-9a-f]{8}) is held by process", self.saved.errors).group(1)
        self.assertIn(f"pram_verify.session={session}", line.output.split())
        machine.must(f"kexec -s -l /boot/{FIRST} --initrd=/boot/initrd --command-line='{line.output.strip()}'")
        machine.kexec()
        self.assertIn("[confidentiality]", machine.must(
            "mount -t securityfs none /sys/kernel/security; cat /sys/kernel/security/lockdown"))
        machine.must("pram-verify boot")
        self.assertNotIn("is ignored", machine.must("cat /run/pram-verify/report.txt"))
        self.assertEqual(machine.run("head -c 4096 /proc/kcore >/dev/null").status, 1)
        self.assertNotIn(in_guest(machine).verdict, ("lost", "damaged", "intact", "absent"))
        before = free(machine)
        loaded = run(machine, "load", "/tmp/out")
        self.assert_run(loaded, 0, None, None)
        self.assertEqual(sums(machine, "/tmp/out"), self.sums)
        self.assertRegex(loaded.output, f"(?s)out of its session.*session pram-verify-{session} is held by process")
        self.assertIn("is held by process", run(machine, "status").output)
        machine.must("rm -r /tmp/out; mkdir /tmp/small; mount -t tmpfs -o size=1M none /tmp/small")
        full = run(machine, "load", "--erase", "/tmp/small")
        self.assertNotEqual(full.status, 0, full)
        machine.must("umount /tmp/small")
        erased = run(machine, "load", "--erase", "/tmp/out")
        self.assert_run(erased, 0, None, None)
        self.assertEqual(sums(machine, "/tmp/out"), self.sums)
        self.assertRegex(erased.output, "memory is given back")
        machine.must("rm -r /tmp/out")
        # Some of it waits in the processor's own lists.
        self.assertGreater(free(machine) - before, 30 << 10, erased)
        self.assert_verdict(in_guest(machine), "absent")


class NobodyNamesIt(KhoCase):
    """The next kernel is started without pram=: what lies there is found, and nothing is restored by itself."""

    words = ()

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.fill(16)
        cls.save("/tmp/tree", *cls.words)

    def test_it_is_found_and_named(self):
        machine = self.machine
        machine.must(f"kexec -s -l /boot/{FIRST} --initrd=/boot/initrd "
                     f"--command-line='console=ttyS0 panic=-1 {BUSY_HOST} {LINE}'")
        machine.kexec()
        started = time.monotonic()
        machine.must("pram-verify boot")
        print(f"    boot took {time.monotonic() - started:.1f} s")
        self.assertEqual(machine.must("cat /run/pram-verify/status"), "unnamed")
        report = in_guest(machine)
        self.assertEqual((report.verdict, report.status), ("intact", 0), f"\n{report}")
        self.assertEqual([finding["kind"] for finding in report.findings if finding["kind"] == "chain-unnamed"],
                         ["chain-unnamed"], f"\n{report}")
        self.assertEqual(report.json["head"], report.json["head"] | {"pfn": f"0x{self.head:x}", "origin": "session"})
        self.assertEqual(report.json["hand_over"]["state"], "held")
        status = run(machine, "status")
        self.assertEqual(status.status, 4, f"\n{status}")
        self.assertIn(f"load --pfn={self.head:x}", status.output)
        self.assertIn("that no command line names", machine.run("pram-verify doctor").output.replace("\n", " ").replace("  ", ""))
        self.assertEqual(machine.run("pram-verify load /tmp/out && ls /tmp/out").output.count("small"), 0)
        self.assert_run(run(machine, "save", "--kho", "/bin"), 8, "", "has arrived, and was not loaded")
        loaded = run(machine, "load", "--erase", f"--pfn={self.head:x}", "/tmp/out")
        self.assert_run(loaded, 0)
        self.assertEqual(sums(machine, "/tmp/out"), self.sums)
        self.assertRegex(loaded.output, "memory is given back")
        self.assert_verdict(in_guest(machine), "absent")


class NobodyNamesItWithoutParity(NobodyNamesIt):
    """The same where only its links tell where it begins."""

    words = ("--parity=0",)


class TwoSaves(KhoCase):
    """The second one is refused, and with --replace it takes the first one's place."""

    @classmethod
    def setUpClass(cls):
        cls.boot()

    def test_the_last_one_arrives(self):
        machine = self.machine
        machine.must("mkdir /tmp/a /tmp/b && echo old >/tmp/a/file && echo new >/tmp/b/file")
        self.save("/tmp/a")
        first = int(re.search("held by process ([0-9]+)", self.saved.errors).group(1))
        self.assert_run(run(machine, "save", "--kho", "/tmp/b"), 8, "", "a chain is saved already")
        self.save("/tmp/b", "--replace")
        self.assert_run(self.saved, 0)
        second = int(re.search("held by process ([0-9]+)", self.saved.errors).group(1))
        self.assertNotEqual(first, second)
        self.assertEqual(machine.run(f"test -e /proc/{first}/exe").status, 1)
        self.assert_run(self.load_next(FIRST), 0)
        machine.kexec()
        self.assert_run(run(machine, "load", "--erase", "/tmp/out"), 0)
        self.assertEqual(machine.must("cat /tmp/out/file"), "new")


class OutOfMemory(KhoCase):
    """A neighbour takes all memory once the chain is saved: the OOM killer ends it, and spares who holds the session."""

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.fill(64)
        cls.save()
        cls.loaded_kernel = cls.load_next(FIRST)

    def test_the_holder_is_spared(self):
        machine = self.machine
        self.assert_run(self.loaded_kernel, 0)
        # No single one may ask for more than there is.
        machine.must("for each in 1 2 3 4; do tail -c 400m /dev/zero >/dev/null & done; tries=0; "
                     "until dmesg | grep -q 'Out of memory: Killed process'; do "
                     "tries=$((tries + 1)); [ $tries -lt 100 ] || exit 1; sleep 1; done; killall tail; true")
        status = run(machine, "status")
        self.assertIn("held:    yes", status.output)
        machine.kexec()
        self.assert_verdict(in_guest(machine), "intact")
        self.assert_run(run(machine, "load", "--erase", "/tmp/out"), 0)
        self.assertEqual(sums(machine, "/tmp/out"), self.sums)


class HandedOnByKexec(KhoCase):
    """pram-verify kexec puts a chain that has arrived into a session for the next kernel by itself."""

    kexecs = 2

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.fill(16)
        cls.save()

    def test_it_is_intact_in_the_third_kernel(self):
        machine = self.machine
        self.assert_run(self.load_next(FIRST), 0)
        machine.kexec()
        machine.must(f"ln -sf /boot/{FIRST} /boot/vmlinuz-$(uname -r)")
        self.assert_run(self.load_next(FIRST), 0, errors="is held by process")
        machine.kexec()
        self.assert_run(run(machine, "load", "--erase", "/tmp/out"), 0)
        self.assertEqual(sums(machine, "/tmp/out"), self.sums)


class TwoInARow(KhoCase):
    """Handed on by `save --again`: the same frames in the third kernel."""

    kexecs = 2

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.fill(16)
        cls.save()

    def test_it_is_intact_in_the_third_kernel(self):
        machine = self.machine
        self.assert_run(self.load_next(FIRST), 0)
        machine.kexec()
        machine.must(f"ln -sf /boot/{FIRST} /boot/vmlinuz-$(uname -r)")
        again = run(machine, "save", "--again")
        self.assert_run(again, 0, f"pram={self.head:x}\n", "is held by process")
        self.assert_run(self.load_next(FIRST), 0)
        machine.kexec()
        self.assert_verdict(in_guest(machine), "intact")
        self.assert_run(run(machine, "load", "--erase", "/tmp/out"), 0)
        self.assertEqual(sums(machine, "/tmp/out"), self.sums)


class TwoWithoutAgain(KhoCase):
    """The second kexec without `save --again`, by hand: lost, and named."""

    kexecs = 2

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.fill(16)
        cls.save()

    def test_it_is_named(self):
        machine = self.machine
        self.load_by_hand(FIRST)
        machine.kexec()
        self.load_by_hand(FIRST)
        machine.kexec()
        self.assert_lost(machine, "are not held back")


class OneByteChanged(KhoCase):
    """A byte of a file's page is changed from outside between the kernels: that file is named, and the others load."""

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.fill(16)
        cls.save()

    def test_the_file_is_named(self):
        machine = self.machine
        self.assert_run(self.load_next(FIRST), 0)
        machine.kexec()
        names, page = None, None
        for link in chain.walk(page_reader(machine), self.head):
            for entry in link.entries:
                if entry.type == chain.META:
                    content = page_reader(machine)(entry.pfn)
                    names = content[16:16 + content[12]]
                elif names == b"page":
                    page = entry.pfn
        address = page * chain.PAGE + 1000
        machine.write_memory(address, bytes([machine.memory(address, 1)[0] ^ 0xFF]))
        report = in_guest(machine)
        self.assert_verdict(report, "damaged")
        self.assert_names_page(report, page)
        self.assertEqual(set(report.files("damaged")), {b"page"})
        walked = machine.run(f"kcore-walk {self.head:x}")
        self.assertEqual(walked.status, 1, walked)
        self.assertTrue(walked.output.startswith(f"bad page {page:x}\nlinks "), walked)
        self.assertEqual(report.json["hand_over"]["state"], "held")
        line = run(machine, "cmdline")
        self.assert_run(line, 4, errors="(?s)is damaged.*load what is good of it")
        self.assertNotIn("quarantine", line.errors)
        self.assert_run(run(machine, "save", "--again"), 8, "", "is not intact")
        loaded = run(machine, "load", "--erase", "/tmp/out")
        self.assertEqual(loaded.status, 4, f"\n{loaded}")
        arrived = sums(machine, "/tmp/out")
        self.assertEqual(set(self.sums.splitlines()) - set(arrived.splitlines()),
                         {line for line in self.sums.splitlines() if line.endswith("./page")})


class HealedOnTheWay(KhoCase):
    """What is lost between the kernels comes back while it is loaded: nobody can write that memory."""

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.fill(16)
        cls.save()

    def change(self, page):
        address = page * chain.PAGE + 1000
        self.machine.write_memory(address, bytes([self.machine.memory(address, 1)[0] ^ 0xFF]))

    def assert_comes_back(self, machine, *words):
        report = in_guest(machine)
        self.assert_verdict(report, "damaged")
        self.assertEqual(report.json["hand_over"]["state"], "held")
        self.assertEqual(report.json["repair"]["possible"], "all", f"\n{report}")
        self.assertIn("repairable: all of it, by load --repair", machine.run("pram-verify check").output)
        self.assert_run(run(machine, "repair"), 8, "", "(?s)System RAM, which nobody can write.*--repair")
        extracted = run(machine, "extract", "--repair", "/tmp/beside")
        self.assertEqual(sums(machine, "/tmp/beside"), self.sums, extracted)
        machine.must("rm -r /tmp/beside")

    def test_everything_comes_back(self):
        machine = self.machine
        self.assert_run(self.saved, 0)
        self.assertNotIn("parity", self.saved.errors)
        self.assert_run(self.load_next(FIRST), 0)
        machine.kexec()
        self.assert_verdict(in_guest(machine), "intact")
        reader = page_reader(machine)
        links = list(chain.walk(reader, self.head))
        entries = [entry for link in links for entry in link.entries]
        frames = sorted({entry.pfn for entry in entries} | {link.pfn for link in links})
        print(f"    {len(frames)} frames in {1 + sum(a + 1 != b for a, b in zip(frames, frames[1:]))} runs")
        names = {}
        for number, entry in enumerate(entries):
            if entry.type == chain.META:
                content = reader(entry.pfn)
                names[content[16:16 + content[12]]] = number
        # A page of a file, a page that names a file, the manifest's first page, a link that is not the head.
        for lost in ([entries[names[b".pram-manifest.mtree"] + 1].pfn], [entries[names[b"page"] + 1].pfn, entries[names[b"large"]].pfn],
                     [links[3].pfn], [self.head]):
            for page in lost:
                self.change(page)
            with self.subTest(f"{lost}"):
                self.assert_comes_back(machine)
        # A run of 4 % of all frames.
        start = len(frames) // 2
        for page in frames[start:start + len(frames) * 3 // 100]:
            self.change(page)
        self.assert_comes_back(machine)
        before = free(machine)
        loaded = run(machine, "load", "--repair", "--erase", "/tmp/out")
        self.assert_run(loaded, 0)
        self.assertEqual(sums(machine, "/tmp/out"), self.sums)
        machine.must("rm -r /tmp/out")
        self.assertRegex(loaded.output, "memory is given back")
        self.assertGreater(free(machine) - before, 16 * 1024 * 8 // 10)


class TooLarge(KhoCase):
    """More than there is room for is refused before anything is taken."""

    memory = "512M"

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.fill(200)

    def test_it_is_refused(self):
        machine = self.machine
        before = free(machine)
        result = run(machine, "save", "--kho", "/tmp/tree")
        self.assert_run(result, 8, "", "are free outside of what the kernel sets aside")
        self.assertLess(abs(before - free(machine)), 20_000)


class Large(KhoCase):
    """256 MiB in a machine of 1 GiB, from a stream."""

    @classmethod
    def setUpClass(cls):
        cls.boot()

    def test_it_arrives(self):
        machine = self.machine
        machine.must("head -c 1048576 /dev/urandom >/tmp/block")
        make = "(n=0; while [ $n -lt 255 ]; do cat /tmp/block; echo $n; n=$((n + 1)); done)"
        digest = machine.must(f"{make} | sha256sum")
        saved = machine.run(f"{make} | pram-verify save --kho --stdin=data --size=258M")
        self.assert_run(saved, 0, errors="is held by process")
        self.assert_run(self.load_next(FIRST), 0)
        machine.kexec()
        machine.must("pram-verify boot")
        self.assertEqual(machine.must("cat /run/pram-verify/status"), "intact")
        self.assertEqual(machine.must("pram-verify load --stdout=data | sha256sum"), digest)
        before = free(machine)
        erased = run(machine, "erase")
        self.assert_run(erased, 0)
        # Some of it waits in the processor's own lists.
        self.assertGreater(free(machine) - before, 230 << 10)


class OnePage(KhoCase):
    """The smallest tree."""

    @classmethod
    def setUpClass(cls):
        cls.boot()

    def test_it_arrives(self):
        machine = self.machine
        machine.must("mkdir /tmp/tree && echo snow >/tmp/tree/small")
        self.save()
        self.assert_run(self.load_next(FIRST), 0)
        machine.kexec()
        self.assert_verdict(in_guest(machine), "intact")
        self.assert_run(run(machine, "load", "--erase", "/tmp/out"), 0)
        self.assertEqual(machine.must("cat /tmp/out/small"), "snow")


class WithSystemd(BootCase):
    """The unit on this release's systemd, on a kernel as distributions build it: stopped on the way to the kexec it saves,
    and leaves a holder, which outlives the shutdown; started, it restores, and gives the memory back."""

    needs_pram_kernels = True
    kernels = ("bzImage-kho-7.3-systemd",)

    @classmethod
    def setUpClass(cls):
        kernel = types.SimpleNamespace(image=PRAM_KERNELS / "bzImage-kho-7.3-systemd", release="kho")
        # The kernel finds the disk by itself; this is not used.
        unused = initramfs.initramfs(image_path("kho-unused.cpio.gz"))
        disk = debian.image(kernel, unused, PROGRAM)
        cls.machine = cls.start(kernel.image, None, f"root=/dev/vda rw {BUSY_HOST} {LINE}", "1G", drives=[disk])

    def assert_up(self):
        state = self.machine.run("systemctl is-system-running --wait", BOOT_DEADLINE)
        self.assertEqual(state.output, "running\n", self.machine.run("systemctl --failed; journalctl -b -p notice"))

    def test_the_unit_carries_files_over(self):
        machine = self.machine
        self.assert_up()
        saved, loaded = "/var/lib/pram-verify", "/var/lib/restored"
        machine.put("/etc/default/pram-verify", f"""SAVE_OPTIONS="--kho --replace"
LOAD_DIR={loaded}
KEXEC_KERNEL=/vmlinuz
KEXEC_INITRD=
""".encode())
        machine.must("systemctl -q enable --now pram-verify.service")
        machine.must(f"set -e; mkdir -p {saved}; cd {saved}; {WRITE_SAMPLES}")
        before = sums(machine, saved)
        # systemctl kexec wants one to be loaded; the unit loads it once more.
        machine.must("pram-verify kexec /vmlinuz")
        machine.kexec("systemctl kexec && sleep 600")
        self.assert_up()
        journal = machine.must("journalctl -b -o cat -u pram-verify.service")
        self.assertEqual(sums(machine, loaded), before, journal)
        self.assertIn("memory is given back", journal)
        self.assertIn("pram=", machine.must("cat /proc/cmdline"))


class Streamed(KhoCase):
    """Standard input, into as much memory as was said."""

    @classmethod
    def setUpClass(cls):
        cls.boot()

    def test_it_arrives(self):
        machine = self.machine
        machine.must("head -c 5000000 /dev/urandom >/tmp/stream")
        digest = machine.must("sha256sum </tmp/stream")
        saved = machine.run("pram-verify save --kho --stdin=data --size=8M </tmp/stream")
        self.assert_run(saved, 0, errors="is held by process")
        self.assert_run(self.load_next(FIRST), 0)
        machine.kexec()
        self.assertEqual(machine.must("pram-verify load --stdout=data | sha256sum"), digest)
