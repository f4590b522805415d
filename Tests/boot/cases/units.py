"""What the cases on the units share: a Debian with systemd as PID 1, that goes from kernel to kernel.

One machine serves all cases of a class. Each case sets up what it needs, and leaves a machine that has started.
"""

import hashlib
import time

import chain
from cases.support import *
from harness import distribution
from harness.machine import BOOT_DEADLINE

UNIT = "pram-verify.service"
SETTINGS = "/etc/default/pram-verify"
DEBIAN_SETTINGS = "/etc/default/kexec"
SAVED, LOADED = "/var/lib/pram-verify", "/var/lib/restored"
ON_REBOOT = "/usr/lib/systemd/system-shutdown/kexec-on-reboot"


class UnitsMachine(BootCase):
    line = f"{distribution.ROOT} {STOCK_APPEND}"
    machine = None
    is_up = False
    number = 0

    @classmethod
    def parts(cls):
        """(kernel, initrd, disk) of the machine."""
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        cls.parts()

    def more_disks(self):
        return []

    def made_machine(self, name, kernel, initrd, disk):
        return Machine(name, kernel, initrd, self.line, STOCK_MEMORY, drives=[disk, *self.more_disks()])

    def setUp(self):
        cls = type(self)
        if not cls.is_up:
            if cls.machine is not None:
                cls.machine.close()
            cls.number += 1
            kernel, initrd, disk = self.parts()
            name = cls.__name__ if cls.number == 1 else f"{cls.__name__}-{cls.number}"
            cls.machine = self.made_machine(name, kernel, initrd, disk)
            cls.addClassCleanup(cls.machine.close)
            cls.machine.start()
            self.wait_until_up()
            self.must(f"cp {DEBIAN_SETTINGS} {DEBIAN_SETTINGS}.shipped; cp {SETTINGS} {SETTINGS}.shipped")
        self.must(f"systemctl -q disable --now {UNIT}; pram-verify erase; kexec -u; "
                  f"rm -rf {SAVED} {LOADED} {ON_REBOOT} /srv/files /srv/large /tmp/by-hand /tmp/made; "
                  f"cp {DEBIAN_SETTINGS}.shipped {DEBIAN_SETTINGS}; cp {SETTINGS}.shipped {SETTINGS}")
        self.assert_no_chain_in_memory()

    # Steps

    def must(self, command):
        return self.machine.must(command)

    def wait_until_up(self):
        """The machine has started, and systemd has nothing to complain about."""
        self.machine.wait_ready()
        self.assert_up()

    def assert_up(self):
        state = self.machine.run("systemctl is-system-running --wait", BOOT_DEADLINE)
        if state.output != "running\n":
            self.fail(f"{state}\n{self.machine.run('systemctl --failed; journalctl -b -p notice')}")
        type(self).is_up = True

    def next_kernel(self, command):
        """Runs a command that shuts down and starts the next kernel."""
        type(self).is_up = False
        # Such a command comes back at once; the agent is ended while this one waits.
        self.machine.kexec(f"{command} && sleep 600")
        self.assert_up()

    def shut_down(self, command):
        """Runs a command that ends the machine, and keeps it, halted, so that its memory can be looked at."""
        type(self).is_up = False
        self.machine.qmp("set-action", reboot="shutdown", shutdown="pause")
        self.must(command)
        for _ in range(120):
            if self.machine.qmp("query-status")["status"] == "shutdown":
                return
            time.sleep(1)
        self.fail(f"{command} did not end the machine: {self.machine.log[-2000:]}")

    def start_again(self):
        """Goes on after `shut_down`, by the boot loader."""
        self.machine.qmp("set-action", shutdown="poweroff")
        self.machine.reset()
        self.machine.resume()
        self.wait_until_up()

    def enable(self, *settings):
        self.machine.put(SETTINGS, "".join(f"{line}\n" for line in (*settings, f"LOAD_DIR={LOADED}")).encode())
        self.must(f"systemctl -q enable --now {UNIT}")

    def make_files(self, folder=SAVED):
        self.must(f"set -e; mkdir -p {folder}; cd {folder}; {WRITE_SAMPLES}")
        return contents(self.machine, folder)

    def start_writer(self, folder, files):
        """Starts a service that writes one file more when it is stopped, and takes its time; returns all files. Whoever
        does not wait for it comes too early: the unit to save, kexec-load to load."""
        self.machine.put("/run/systemd/system/writer.service", f"""[Unit]
After={UNIT}
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStop=/bin/sh -c 'sleep 6; echo last >{folder}/last'
""".encode())
        self.must("systemctl daemon-reload && systemctl start writer.service")
        return {**files, "last": (hashlib.sha256(b"last\n").hexdigest(), "644")}

    def load_kernel(self):
        self.must("pram-verify-kexec /vmlinuz /initrd.img && grep -q 1 /sys/kernel/kexec_loaded")

    # What is seen

    def head_page(self):
        return self.machine.memory(RESERVED_ADDRESS, chain.PAGE)

    def assert_no_chain_in_memory(self):
        self.assertEqual(self.head_page(), bytes(chain.PAGE))

    def cmdline(self):
        return self.must("cat /proc/cmdline")

    def status(self):
        return self.must("cat /run/pram-verify/status")

    def journal(self, unit, boot=0):
        return self.must(f"journalctl --no-pager -o cat -b {boot} -u {unit}")

    def assert_verified_before_mount(self):
        log = self.must("dmesg")
        found, mounted = log.find("] pram-verify: intact"), re.search(r"EXT4-fs \(vd[ab]\): mounted", log)
        self.assertTrue(mounted and 0 <= found < mounted.start(), log[-6000:])

    def assert_restored(self, files):
        """The chain was found intact before anything was mounted, its files are back, and nothing of it is left."""
        self.assertIn(f" pram={RESERVED_PFN:x}", self.cmdline())
        self.assert_verified_before_mount()
        self.assertEqual(contents(self.machine, LOADED), files, self.journal(UNIT))
        self.assertEqual(self.status(), "empty")
        self.assert_no_chain_in_memory()
        self.assertEqual(self.must("systemctl --failed --plain --no-legend"), "")


class UnitsCases:
    """What holds on every release."""

    def test_by_hand(self):
        """As README says."""
        files = self.make_files("/tmp/by-hand")
        # Empty: the unit restores alone.
        self.enable("SAVE_TARGETS=")
        self.must("pram-verify save --replace /tmp/by-hand")
        self.must("""line=$(pram-verify cmdline) && options=$(pram-verify cmdline --kexec-options) &&
                         kexec $options -l /vmlinuz --initrd=/initrd.img --command-line="$line" """)
        self.next_kernel("pram-verify cmdline --check-loaded && systemctl kexec")
        self.assert_restored(files)

    def test_disabled_as_shipped(self):
        self.must(f"systemctl -q preset {UNIT}")
        self.assertEqual(self.machine.run(f"systemctl is-enabled {UNIT}").output, "disabled\n")
        self.make_files()
        self.load_kernel()
        self.next_kernel("systemctl kexec")
        self.assertNotIn("pram=", self.cmdline())
        self.assertEqual(self.status(), "absent")
        self.assert_no_chain_in_memory()

    def test_failing_save_stops_nothing_and_leaves_no_older_files(self):
        self.make_files()
        self.enable()
        # What is saved here is older than what the unit does not get saved later.
        self.must(f"pram-verify save {SAVED}")
        self.load_kernel()
        self.must(f"head -c 20000000 /dev/urandom >{SAVED}/too-large")
        self.next_kernel("systemctl kexec")
        said = self.journal(UNIT, -1)
        self.assertRegex(said, "the files need [0-9]+ pages of 4 KiB, and the range has 4096")
        self.assertIn("status=8", said)
        self.assertIn("its files will not arrive in the next kernel", said)
        self.assertIn("the older chain was erased", said)
        self.assertIn(f" pram={RESERVED_PFN:x}", self.cmdline())
        self.assertEqual(self.status(), "empty")
        self.assertEqual(self.machine.run(f"ls {LOADED}").output, "")
        self.assertIn("nothing is restored: the range is empty", self.journal(UNIT))

    def test_files_that_were_not_restored_stay_where_there_is_nothing_to_save(self):
        """As when the disk was full at boot: what lies in memory is the only copy."""
        files = self.make_files("/tmp/made")
        self.enable()
        self.must("pram-verify save /tmp/made")
        self.load_kernel()
        self.next_kernel("systemctl kexec")
        self.assertIn("holds nothing that can be saved", self.journal(UNIT, -1))
        self.assert_restored(files)

    def test_saved_before_kexec_and_restored_after_it(self):
        """Files that are nowhere but in memory: on a tmpfs, which is gone once file systems are unmounted."""
        self.must("mkdir -p /srv/state && mount -t tmpfs none /srv/state")
        files = self.make_files("/srv/state")
        self.enable("SAVE_DIR=/srv/state")
        files = self.start_writer("/srv/state", files)
        # Before there is anything to hand on; so the same kernel, with the same line, is loaded once more.
        self.must("pram-verify-kexec --append from=hand /vmlinuz /initrd.img")
        self.next_kernel("systemctl kexec")
        self.assertEqual(self.must("ls /srv/state"), "")
        self.assertIn(f" from=hand pram={RESERVED_PFN:x}", self.cmdline())
        self.assert_restored(files)
        self.assertRegex(self.journal(UNIT, -1), rf"saved {len(files)} files .* of /srv/state at page 0x")
        self.assertIn(f"restored {len(files)} files into {LOADED}", self.journal(UNIT))

    def test_a_kernel_that_another_program_had_loaded(self):
        """Nobody knows its line, so Debian's usual one takes its place."""
        files = self.make_files()
        self.enable()
        self.must("kexec -s -l /vmlinuz --initrd=/initrd.img --reuse-cmdline")
        self.next_kernel("systemctl kexec")
        self.assert_restored(files)

    def test_a_line_that_systemd_reads_in_another_way(self):
        """The kernel knows no single quotes; systemd takes all behind this one for one word."""
        files = self.make_files()
        self.enable()
        self.must("""pram-verify-kexec --append "odd='" /vmlinuz /initrd.img""")
        self.next_kernel("systemctl kexec")
        self.assertIn(" odd=' ", self.cmdline())
        self.assert_restored(files)

    def test_systemd_finds_no_fault_in_the_unit(self):
        # man-db is not installed here: whether the page is there is looked at instead.
        verified = self.machine.run(f"systemd-analyze verify --man=no {UNIT} "
                                    "/usr/lib/dracut/modules.d/50pram-verify/pram-verify-boot.service")
        # Up to 254 systemd leaves out what it does not know, and says so.
        errors = "".join(line for line in verified.errors.splitlines(True) if not re.search(
            "Unknown key (name )?'(SurviveFinalKillSignal|FileDescriptorStorePreserve)' in section", line))
        self.assertEqual((verified.status, verified.output, errors), (0, "", ""), verified)
        self.must("test -s /usr/share/man/man8/pram-verify.8")
