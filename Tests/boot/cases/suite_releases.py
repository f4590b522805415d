"""The whole way on each current Debian release, with its own kernel, initramfs tools, kexec-tools and systemd: what is
saved is verified under the next kernel before anything is mounted, and loaded. The units end to end, what each release's
kexec-tools and systemd do by themselves, and what used to be lost without a word.

Run by `Tests/boot/run --suites`, which writes Documentation/TESTED.md.
"""

from cases.support import *
from cases.units import *
from harness import suites


class Release(UnitsMachine):
    """A machine of one release, with the initrd of one tool. KASLR is on, as users have it."""

    suite, tool = suites.TRIXIE, "initramfs-tools"
    line = f"{distribution.ROOT} memmap=16M$0x10000000"

    @classmethod
    def parts(cls):
        disk, initrds = cls.suite.disk(PROGRAM, (cls.tool,))
        return cls.suite.kernel, initrds[cls.tool], disk

    def wait_until_up(self):
        super().wait_until_up()
        self.must(f"ln -sf boot/{self.tool}.img /initrd.img")


class WholeWay:
    """What holds for every tool."""

    def test_save_kexec_load(self):
        """As README says."""
        files = self.make_files("/srv/files")
        self.must("pram-verify save --replace /srv/files && pram-verify-kexec /vmlinuz /initrd.img")
        self.next_kernel("systemctl kexec")
        self.assertIn(f" pram={RESERVED_PFN:x}", self.cmdline())
        self.assert_verified_before_mount()
        self.assertEqual(self.must("pram-verify status"), "intact")
        self.must(f"pram-verify load --erase {LOADED}")
        self.assertEqual(contents(self.machine, LOADED), files)
        self.assert_no_chain_in_memory()


class TrixieInitramfsTools(WholeWay, Release):
    pass
