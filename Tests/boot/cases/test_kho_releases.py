"""The unit and the kernel's own hand-over on Debian's releases: a holder that outlives the shutdown with systemd 257, the
unit's fd store with 262, and from the one to the other and back. The kernel is built for tests: Documentation/KHO.md.
"""

from cases.support import *
from cases.units import LOADED, SAVED, SETTINGS, UNIT
from harness import distribution, suites
from harness.machine import BOOT_DEADLINE

KERNEL = "bzImage-kho-7.3-systemd"
LINE = f"{distribution.ROOT} kho=on liveupdate=on no_timer_check quiet"
HELD = "/run/pram-verify/held"


class Release(BootCase):
    """A machine whose first disk is one release's; the kernel lies on the second, another release on the third."""

    needs_pram_kernels = True
    kernels = (KERNEL,)
    suite, other, tool = suites.TRIXIE, None, "initramfs-tools"

    @classmethod
    def setUpClass(cls):
        kernel = PRAM_KERNELS / KERNEL
        padded = image_path("kho-kernel.img")
        padded.parent.mkdir(parents=True, exist_ok=True)
        content = kernel.read_bytes()
        padded.write_bytes(content + b"\0" * (-len(content) % 512))
        disk, initrd = cls.suite.disk(PROGRAM, cls.tool)
        drives = [disk, padded] + ([cls.other.disk(PROGRAM, cls.tool)[0]] if cls.other else [])
        cls.machine = cls.start(kernel, initrd, LINE, "1G", drives=drives)
        cls.size = len(content)

    # Steps

    def must(self, command):
        return self.machine.must(command)

    def prepare(self, *settings, first="vda"):
        """Once a system has started: a kernel to start next, settings, files, and the unit."""
        self.assert_up()
        self.must(f"head -c {self.size} /dev/vdb >/boot/vmlinuz-kho && ln -sf boot/vmlinuz-kho /vmlinuz && "
                  f"ln -sf /boot/vmlinuz-kho /boot/vmlinuz-$(uname -r)")
        lines = ('SAVE_OPTIONS="--kho --replace"', f"LOAD_DIR={LOADED}", *settings)
        self.machine.put(SETTINGS, "".join(f"{line}\n" for line in lines).encode())
        self.must(f"rm -rf {SAVED}/* {LOADED}; systemctl daemon-reload; systemctl -q enable --now {UNIT}")

    def make_files(self):
        self.must(f"set -e; mkdir -p {SAVED}; cd {SAVED}; {WRITE_SAMPLES}\nhead -c 9000000 /dev/urandom >large")
        return contents(self.machine, SAVED)

    def assert_up(self):
        state = self.machine.run("systemctl is-system-running --wait", BOOT_DEADLINE)
        self.assertEqual(state.output, "running\n", self.machine.run("systemctl --failed; journalctl -b -p notice"))

    def kexec(self, *words):
        """As people do it: a kernel is loaded first, for systemctl wants one, and once more by the unit."""
        self.must(f"pram-verify kexec --if-chain /vmlinuz /initrd.img; [ $(cat /sys/kernel/kexec_loaded) = 1 ] || "
                  f"pram-verify kexec --without-chain {' '.join(words)} /vmlinuz /initrd.img")
        self.machine.kexec("systemctl kexec && sleep 600")
        self.assert_up()

    def journal(self, boot=0):
        return self.must(f"journalctl --no-pager -o cat -b {boot} -u {UNIT}")

    def version(self):
        return int(re.search(r"\d+", self.must("systemctl --version")).group())

    def stored(self):
        return self.must(f"systemctl show -p NFileDescriptorStore --value {UNIT}").strip()

    def sessions(self, process):
        return self.must(f"ls -l /proc/{process}/fd | grep -c luo_session || true")

    # What is seen

    def assert_verified_early(self):
        """Intact, said before the disk was mounted."""
        log = self.must("dmesg")
        found, mounted = log.find("] pram-verify: intact"), log.find("EXT4-fs (vd")
        self.assertTrue(0 <= found < mounted, log[-6000:])

    def assert_restored(self, files):
        self.assertIn(" pram=", self.must("cat /proc/cmdline"), self.must("journalctl -b -1 -o cat | tail -n 40"))
        self.assert_verified_early()
        said = self.journal()
        self.assertEqual(contents(self.machine, LOADED), files, said)
        self.assertRegex(said, "memory is given back: (9|10)[0-9.]* M")
        self.assertEqual((self.stored(), self.sessions(1)), ("0", "0"))
        self.assert_verdict(in_guest(self.machine), "absent")


class CarriedOver:
    """What holds for each of them."""

    def test_the_unit_carries_files_over(self):
        self.prepare()
        files = self.make_files()
        self.kexec()
        self.assert_restored(files)
        said = self.must(f"journalctl --no-pager -o cat -b -1 -u {UNIT}")
        self.assertRegex(said, "saved [0-9]+ files")
        # What it said at its start is of the case before.
        stopping = said[said.rindex("Stopping"):]
        self.assertEqual("is held by process" in stopping, self.version() < 261, said)

    def test_what_was_not_restored_is_handed_on(self):
        """LOAD_DIR is a file: nothing is restored, and at the second kexec the chain goes on as it is."""
        self.prepare("LOAD_DIR=/etc/hostname")
        files = self.make_files()
        self.kexec()
        self.assert_verified_early()
        self.assertRegex(self.journal(), "not all files were restored|Not a directory")
        self.assertEqual(self.must(f"systemctl is-active {UNIT}").strip(), "active")
        self.must(f"echo LOAD_DIR={LOADED} >>{SETTINGS}; rm -rf {SAVED}/* {LOADED}; echo new >{SAVED}/new")
        # By pram-verify kexec, which hands it on first; the unit does the same.
        self.kexec()
        self.assert_restored(files)


    def test_the_head_is_taken_before_there_is_a_chain(self):
        """The next kernel is loaded first, and no other one when the unit has saved."""
        self.prepare('SAVE_OPTIONS="--kho --early --replace"')
        # It may have been started with other settings.
        self.must(f"systemctl restart {UNIT}")
        self.assertIn("early yes", self.must(f"cat {HELD}"))
        loaded = self.machine.run("pram-verify kexec /vmlinuz /initrd.img")
        self.assertEqual(loaded.status, 0, loaded)
        files = self.make_files()
        self.machine.kexec("systemctl kexec && sleep 600")
        self.assert_up()
        self.assert_restored(files)
        said = self.must(f"journalctl --no-pager -o cat -b -1 -u {UNIT}")
        self.assertRegex(said, "saved [0-9]+ files")
        self.assertNotIn("loaded /vmlinuz", said)


class Trixie(CarriedOver, Release):
    """systemd 257: a process holds the session."""


class Forky(CarriedOver, Release):
    """systemd 262: the unit's fd store holds it."""

    suite = suites.NEXT

    def test_a_store_that_is_full_makes_a_process_hold_it(self):
        self.prepare()
        files = self.make_files()
        drop_in = f"/etc/systemd/system/{UNIT}.d"
        self.must(f"mkdir -p {drop_in}; printf '[Service]\\nFileDescriptorStoreMax=1\\n"
                  "ExecStartPost=/bin/sh -c \"systemd-notify --fd=0 --fdname=other </etc/hostname\"\\n' "
                  f">{drop_in}/small.conf; systemctl daemon-reload; systemctl restart {UNIT}")
        self.assertEqual(self.stored(), "1")
        self.kexec()
        said = self.must(f"journalctl --no-pager -o cat -b -1 -u {UNIT}")
        self.assertIn("fd store is full", said)
        self.assertIn("is held by process", said)
        self.must(f"rm -r {drop_in}; systemctl daemon-reload")
        self.assertEqual(contents(self.machine, LOADED), files, self.journal())

    def test_the_unit_is_gone(self):
        """systemd keeps what it stored for a unit that there is no more; whoever loads by hand gets it from there."""
        self.prepare()
        files = self.make_files()
        unit = f"/usr/lib/systemd/system/{UNIT}"
        self.must(f"mkdir -p /run/systemd/system; mv {unit} /run/systemd/system/; systemctl disable -q {UNIT}; "
                  f"cp /run/systemd/system/{UNIT} /root/; systemctl daemon-reload; systemctl start {UNIT}")
        self.kexec()
        self.assert_verified_early()
        self.assertIn("not-found", self.must(f"systemctl show -p LoadState {UNIT}"))
        self.assertEqual(self.stored(), "1")
        loaded = run(self.machine, "load", "--erase", LOADED)
        self.assert_run(loaded, 0)
        self.assertRegex(loaded.output, "memory is given back")
        self.assertEqual(contents(self.machine, LOADED), files)
        self.must(f"mv /root/{UNIT} {unit}; systemctl daemon-reload")

    def test_without_a_load_a_second_kexec_loses_it_and_says_so(self):
        """Where nobody runs the unit or pram-verify kexec: systemd carries a session that the next kernel does not have."""
        self.prepare("LOAD_DIR=")
        self.make_files()
        self.kexec()
        self.assert_verified_early()
        self.must(f"systemctl -q disable {UNIT}; echo SAVE_TARGETS= >>{SETTINGS}")
        line = run(self.machine, "cmdline")
        self.assert_run(line, 4, errors="save --again")
        head = re.search(r"pram=([0-9a-f]+)", self.must("cat /proc/cmdline")).group(1)
        self.must(f'kexec -s -l /vmlinuz --initrd=/initrd.img --command-line="console=ttyS0 panic=-1 {LINE} pram={head}"')
        self.machine.kexec("systemctl kexec && sleep 600")
        self.assert_up()
        self.assertEqual(self.must("cat /run/pram-verify/status"), "lost")


class ForkyDracut(CarriedOver, Release):
    """systemd 262 in the initrd, too: it takes the session out there, and hands it over to itself."""

    suite, tool = suites.NEXT, "dracut-systemd"

    def assert_verified_early(self):
        self.assertIn("] pram-verify: intact", self.must("dmesg"))
        said = self.must("journalctl --no-pager -b")
        self.assertRegex(said, "pram-verify: intact")
        # The initrd's systemd has a machine-id of its own.
        self.assertNotIn("another machine", said)


class AcrossReleases(Release):
    """From 257 to 262 and back, with one kernel: the session's name is all that both have to know."""

    suite, other = suites.TRIXIE, suites.NEXT

    def test_there_and_back(self):
        self.prepare()
        files = self.make_files()
        # The other one has its own settings.
        self.must("mount /dev/vdc /mnt && "
                  f"cp {SETTINGS} /mnt{SETTINGS} && cp --remove-destination /boot/vmlinuz-kho /mnt/vmlinuz && "
                  f"mkdir -p /mnt/etc/systemd/system/multi-user.target.wants && "
                  f"ln -sf /usr/lib/systemd/system/{UNIT} /mnt/etc/systemd/system/multi-user.target.wants/ && umount /mnt")
        self.assertLess(self.version(), 261)
        self.kexec("--remove root --append root=/dev/vdc")
        self.assertGreater(self.version(), 260)
        self.assert_restored(files)
        self.must(f"rm -rf {SAVED}; mv {LOADED} {SAVED}; ln -sf /vmlinuz /boot/vmlinuz-$(uname -r)")
        self.kexec("--remove root --append root=/dev/vda")
        self.assertLess(self.version(), 261)
        self.assert_restored(files)
