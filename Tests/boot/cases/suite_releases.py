"""The whole way on each current Debian release, with its own kernel, initramfs tools, kexec-tools and systemd: what is
saved is verified under the next kernel before anything is mounted, and loaded. The units end to end, what each release's
kexec-tools and systemd do by themselves, from release to release, and what used to be lost without a word.

Run by `Tests/boot/run --suites`, which writes Documentation/TESTED.md.
"""

import json

from cases.support import *
from cases.units import *
from harness import suites


class Release(UnitsMachine):
    """A machine of one release, with the initrd of one tool. KASLR is on, as users have it."""

    suite, tool = suites.TRIXIE, "initramfs-tools"
    line = f"{distribution.ROOT} memmap=16M$0x10000000 quiet"

    @classmethod
    def parts(cls):
        disk, initrd = cls.suite.disk(PROGRAM, cls.tool)
        return cls.suite.kernel, initrd, disk

    def save(self, folder="/srv/files"):
        files = self.make_files(folder)
        self.must(f"pram-verify save --replace {folder}")
        return files

    def assert_arrived(self, files):
        """Verified before any mount, and loaded by hand: every byte is as it was."""
        self.assertIn(f" pram={RESERVED_PFN:x}", self.cmdline())
        self.assert_verified_before_mount()
        self.assertEqual(self.status(), "intact")
        self.must(f"pram-verify load --erase {LOADED}")
        self.assertEqual(contents(self.machine, LOADED), files)
        self.assertEqual(self.status(), "empty")
        self.assert_no_chain_in_memory()

    def loaded(self):
        return self.must("cat /sys/kernel/kexec_loaded") == "1"

    def settings(self, **values):
        """Settings of kexec-tools."""
        self.must("".join(f"echo '{name}={value}' >>{DEBIAN_SETTINGS};" for name, value in values.items()))


class WholeWay:
    """What holds for every release and tool."""

    def test_save_kexec_load(self):
        """As README says."""
        files = self.make_files("/srv/files")
        self.must("pram-verify save --replace /srv/files && pram-verify-kexec /vmlinuz /initrd.img")
        self.next_kernel("systemctl kexec")
        self.assert_arrived(files)

    def test_units_end_to_end(self):
        """A service writes until it is stopped; nothing was loaded before the shutdown saves it but by systemctl's wish
        for a kernel to be there."""
        files = self.make_files()
        self.enable()
        files = self.start_writer(SAVED, files)
        self.must("pram-verify-kexec /vmlinuz /initrd.img")
        self.next_kernel("systemctl kexec")
        self.assert_restored(files)
        self.assertRegex(self.journal(UNIT, -1), rf"saved {len(files)} files .* of {SAVED} at page 0x")
        self.assertIn(f"restored {len(files)} files into {LOADED}", self.journal(UNIT))


class NothingIsLostWithoutAWord:
    """What used to be lost silently, on a running machine of each release."""

    def test_a_save_that_fails_hands_nothing_older_on(self):
        self.save()
        self.must("mkdir -p /srv/large && head -c 20000000 /dev/urandom >/srv/large/file")
        together = self.machine.run("pram-verify save --replace /srv/large && pram-verify-kexec /vmlinuz /initrd.img")
        self.assertEqual((together.status, self.loaded()), (8, False), together)
        after = self.machine.run("pram-verify-kexec /vmlinuz /initrd.img")
        self.assertEqual((after.status, self.loaded()), (4, False), after)
        self.assertRegex(after.errors, "last save failed|save .* failed")
        by_name = self.machine.run(f"pram-verify-kexec --pfn={RESERVED_PFN:x} /vmlinuz /initrd.img")
        self.assertEqual((by_name.status, self.loaded()), (0, True), by_name)

    def test_a_damaged_chain_is_not_handed_on(self):
        self.make_files("/srv/files")
        self.must("pram-verify save --replace --parity=0 /srv/files")
        spoil(self.machine, RESERVED_PFN, "large.img", 3)
        refused = self.machine.run("pram-verify-kexec /vmlinuz /initrd.img")
        self.assertEqual((refused.status, self.loaded()), (4, False), refused)
        self.assertEqual(self.machine.run("pram-verify-kexec --without-chain /vmlinuz /initrd.img").status, 0)
        self.assertTrue(self.loaded())

    def test_systemctl_kexec_with_nothing_loaded_says_so(self):
        result = self.machine.run("systemctl kexec")
        self.assertNotEqual(result.status, 0, result)
        self.assertIn("No kexec kernel loaded", result.errors)
        self.assertEqual(self.must("systemctl is-system-running; systemctl list-jobs --no-legend"), "running")

    def test_a_directory_without_room_keeps_its_older_files(self):
        self.save()
        self.must("mkdir -p /mnt/small && mount -t tmpfs -o size=64k none /mnt/small && echo older >/mnt/small/page")
        try:
            result = self.machine.run("pram-verify load --force --erase /mnt/small")
            self.assertEqual(result.status, 8, result)
            self.assertEqual(self.must("cat /mnt/small/page; ls /mnt/small"), "older\npage")
        finally:
            self.must("umount /mnt/small")
        self.assertEqual(self.status(), "intact")
        self.assertEqual(in_guest(self.machine).verdict, "intact")

    def test_one_word_one_meaning_where_run_cannot_be_written(self):
        """What /run says of a chain that is no more is never said again."""
        self.save()
        self.must("mount --bind /run/pram-verify /run/pram-verify && mount -o remount,bind,ro /run/pram-verify")
        try:
            loaded = self.machine.run(f"pram-verify load --erase {LOADED}")
            said = self.machine.run("pram-verify status")
        finally:
            self.must("umount /run/pram-verify")
        self.assertEqual(self.must(f"test -e {LOADED}/page && echo there"), "there", loaded)
        self.assertFalse(said.status == 0 and said.output.startswith("status:  intact"), (loaded, said))

    def test_a_lost_dollar_is_seen_before_the_reboot(self):
        for value, states in (("memmap=16M\\\\\\$0x10000000", ["ok"]), ("memmap=16M$0x10000000", ["warning"]),
                              ("memmap=16M!0x10000000", ["ok"])):
            self.machine.put("/etc/default/grub", f'GRUB_CMDLINE_LINUX="{value}"\n'.encode())
            checks = json.loads(self.machine.run("pram-verify doctor --json").output)["checks"]
            self.assertEqual([check["state"] for check in checks if check["id"] == "next-kernel"], states, checks)
        self.must("rm /etc/default/grub")


class KexecTools12:
    """Debian 12: a reboot loads a kernel by /etc/init.d/kexec-load, and kexec-on-reboot starts it."""

    def test_kexec_load_on_the_way_to_a_reboot(self):
        files = self.make_files()
        self.enable('SAVE_TARGETS="kexec.target reboot.target"')
        files = self.start_writer(SAVED, files)
        self.settings(LOAD_KEXEC="true", USE_GRUB_CONFIG="false", APPEND="")
        self.must(f"cp /usr/share/pram-verify/kexec-on-reboot {ON_REBOOT}")
        self.next_kernel("systemctl reboot")
        self.assert_restored(files)


class KexecTools13:
    """From Debian 13 on: kexec-load-kernel by hand, with the snippet in /etc/default/kexec.d."""

    def test_kexec_load_kernel(self):
        files = self.save()
        self.must("kexec-load-kernel")
        self.next_kernel("systemctl kexec")
        self.assert_arrived(files)

    def test_a_reboot_starts_the_kernel_that_is_loaded(self):
        files = self.save()
        self.must("pram-verify-kexec /vmlinuz /initrd.img")
        self.next_kernel("systemctl reboot")
        self.assert_arrived(files)

    def test_kexec_load_kernel_from_grub_cfg_keeps_the_range(self):
        self.save()
        self.settings(USE_GRUB_CONFIG="true")
        self.must("mkdir -p /boot/grub")
        self.machine.put("/boot/grub/grub.cfg", b"""menuentry 'Debian' {
\tlinux /boot/vmlinuz root=/dev/vda memmap=16M\\$0x10000000 of=grub
\tinitrd /initrd.img
}
### END /etc/grub.d/10_linux ###
""")
        self.must("kexec-load-kernel; rm -r /boot/grub")
        note = self.must("cat /run/pram-verify/loaded")
        self.assertIn("memmap=16M$0x10000000", note)
        self.assertIn(f"pram={RESERVED_PFN:x}", note)
        self.must("pram-verify cmdline --check-loaded")

    def test_kexec_load_kernel_stops_at_a_chain_that_cannot_be_handed_on(self):
        self.make_files("/srv/files")
        self.must("pram-verify save --replace --parity=0 /srv/files")
        spoil(self.machine, RESERVED_PFN, "large.img", 3)
        result = self.machine.run("kexec-load-kernel")
        self.assertEqual((result.status, self.loaded()), (4, False), result)

    def test_kexec_load_kernel_without_a_chain(self):
        self.must("kexec-load-kernel")
        self.assertTrue(self.loaded())
        # Its line is not known, whatever was loaded and unloaded before.
        self.must("test ! -e /run/pram-verify/loaded")


class InitramfsTools(WholeWay, NothingIsLostWithoutAWord, Release):
    pass


class BookwormInitramfsTools(KexecTools12, InitramfsTools):
    suite = suites.BOOKWORM


class TrixieInitramfsTools(KexecTools13, InitramfsTools):
    suite = suites.TRIXIE


class NextInitramfsTools(KexecTools13, InitramfsTools):
    suite = suites.NEXT


class Dracut(WholeWay, Release):
    tool = "dracut-systemd"


class BookwormDracutSystemd(Dracut):
    suite = suites.BOOKWORM


class TrixieDracutSystemd(Dracut):
    suite = suites.TRIXIE


class NextDracutSystemd(Dracut):
    suite = suites.NEXT


class BookwormDracutShell(Dracut):
    suite, tool = suites.BOOKWORM, "dracut-shell"


class TrixieDracutShell(Dracut):
    suite, tool = suites.TRIXIE, "dracut-shell"


class NextDracutShell(Dracut):
    suite, tool = suites.NEXT, "dracut-shell"


class Upgrade(Release):
    """From one release to the next one's kernel, initrd and root file system, which lie on another disk."""

    to = suites.NEXT

    def more_disks(self):
        return [self.to.disk(PROGRAM, self.tool)[0]]

    def test_files_arrive_in_the_next_release(self):
        files = self.save()
        self.must("mkdir -p /mnt/next && mount -o ro /dev/vdb /mnt/next")
        self.must("pram-verify-kexec --remove=root --append=root=/dev/vdb /mnt/next/vmlinuz /mnt/next/initrd.img")
        self.must("umount /mnt/next")
        before = self.must("uname -r; cat /etc/debian_version")
        self.next_kernel("systemctl kexec")
        after = self.must("uname -r; cat /etc/debian_version")
        self.assertEqual((self.suite.release, self.to.release), (before.split()[0], after.split()[0]))
        self.assertNotEqual(before.split()[1], after.split()[1])
        self.assert_arrived(files)


class BookwormToTrixie(Upgrade):
    suite, to = suites.BOOKWORM, suites.TRIXIE


class TrixieToNext(Upgrade):
    suite, to = suites.TRIXIE, suites.NEXT


del InitramfsTools, Dracut, Upgrade
