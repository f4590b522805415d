"""A machine that boots by EFI firmware and systemd-boot: there `systemctl kexec` loads the boot loader's entry by itself,
with that entry's line. The units see to it that the chain is handed on; without them it is found all the same."""

from cases.suite_releases import Release
from cases.support import *
from cases.units import *
from harness import suites


class TrixieEfi(Release):
    suite = suites.TRIXIE

    def made_machine(self, name, kernel, initrd, disk):
        entry = suites.boot_disk(self.suite, initrd, f"console=ttyS0 panic=-1 {self.line}", image_path("efi.img"))
        return Machine(name, memory=STOCK_MEMORY, drives=[disk, entry], firmware=provision.firmware())

    def setUp(self):
        super().setUp()
        self.must("mkdir -p /efi && { mountpoint -q /efi || mount -t vfat /dev/vdb1 /efi; } && test -d /sys/firmware/efi")

    def test_control_the_entry_is_found(self):
        """systemd-boot says so in a variable of the firmware, in UTF-16."""
        variable = "/sys/firmware/efi/efivars/LoaderEntrySelected-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
        self.assertIn("debian.conf", self.must(f"tr -d '\\000' <{variable}"))

    def test_by_hand_without_loading_the_chain_is_found_and_that_is_said(self):
        """Whoever forgets to load: nothing is lost, and nobody takes it for handed on."""
        files = self.save()
        self.next_kernel("systemctl kexec")
        self.assertNotIn("pram=", self.cmdline())
        self.assertEqual(self.status(), "unnamed")
        self.must(f"pram-verify load --erase --pfn={RESERVED_PFN:x} {LOADED}")
        self.assertEqual(contents(self.machine, LOADED), files)

    def test_units_hand_the_chain_on(self):
        files = self.make_files()
        self.enable()
        self.next_kernel("systemctl kexec")
        self.assert_restored(files)


del Release
