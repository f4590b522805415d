"""memmap=nn!ss: a range that is a block device once nd_pmem has it. Secure Boot leaves this way alone."""

import chain
from cases.support import *

RANGE, SIZE = 0x10000000, 32 << 20
HEAD = RANGE // chain.PAGE
# A reserved range besides, to show what lockdown takes away.
APPEND = f"nokaslr memmap=32M!{RANGE:#x},16M$0x14000000"
MODULES = ("nd_e820", "nd_pmem")


class SavedToPmem(BootCase):
    """Saved through /dev/pmem0 by the stock kernel, loaded through it by the newest one under lockdown."""

    @classmethod
    def setUpClass(cls):
        first, second = provision.stock_kernel(), provision.newest_kernel()
        inner = initramfs.initramfs(image_path("pmem-next.cpio.gz"), {
            **program_files(), **initramfs.module_files(second.modules(*MODULES))})
        image = initramfs.initramfs(image_path("pmem.cpio.gz"), {
            **program_files(), **provision.kexec_files(), "/boot/vmlinuz": second.image, "/boot/initrd": inner,
            **initramfs.module_files(first.modules(*MODULES))})
        cls.machine = machine = cls.start(first.image, image, APPEND, STOCK_MEMORY)
        make_samples(machine, "/tmp/files")
        cls.files = contents(machine, "/tmp/files")
        cls.unclaimed = run(machine, "save", "--flat", "--region", f"{RANGE:#x}+32M", "/tmp/files")
        cls.by_dev_mem = chain_contents(machine, HEAD)
        run(machine, "erase", "--region", f"{RANGE:#x}+32M", "--pfn", f"{HEAD:x}")

        machine.must("load-modules")
        cls.iomem = machine.must("cat /proc/iomem")
        cls.claimed = run(machine, "save", "--flat", "--region", f"{RANGE:#x}+32M", "/tmp/files")
        machine.must("mke2fs -F /dev/pmem0 >/dev/null && sync")
        before = machine.memory(RANGE, SIZE)
        cls.over_a_file_system = run(machine, "save", "--flat", "--device", "/dev/pmem0", "/tmp/files")
        cls.file_system_stays = machine.memory(RANGE, SIZE) == before
        cls.forced = run(machine, "save", "--flat", "--device", "/dev/pmem0", "--force", "/tmp/files")
        cls.forced_contents = chain_contents(machine, HEAD)
        cls.twice = run(machine, "save", "--flat", "--device", "/dev/pmem0", "/tmp/files")
        # A machine whose command line names this range alone.
        machine.must(f"echo 'memmap=32M!{RANGE:#x}' >/tmp/line && mount --bind /tmp/line /proc/cmdline")
        cls.by_itself = run(machine, "save", "--flat", "--replace", "/tmp/files")
        cls.by_itself_contents = chain_contents(machine, HEAD)
        machine.must("umount /proc/cmdline")
        cls.erased = run(machine, "erase", "--device", "/dev/pmem0")
        cls.head_after_erase = machine.memory(RANGE, chain.PAGE)
        cls.saved = run(machine, "save", "--flat", "--device", "/dev/pmem0", "/tmp/files")
        cls.checked = in_guest(machine, "--pfn", f"{HEAD:x}")

        machine.must("kexec -s -l /boot/vmlinuz --initrd=/boot/initrd --command-line='console=ttyS0 panic=-1 "
                     f"{APPEND} lockdown=integrity {cls.saved.output.strip()}'")
        machine.kexec()
        machine.must("load-modules && mkdir /tmp/out /tmp/again")
        cls.checked_locked = in_guest(machine)
        cls.loaded = run(machine, "load", "/tmp/out")
        cls.loaded_contents = contents(machine, "/tmp/out")
        cls.loaded_by_device = run(machine, "load", "--device", "/dev/pmem0", "--erase", "/tmp/again")
        cls.loaded_by_device_contents = contents(machine, "/tmp/again")
        cls.head_after_load = machine.memory(RANGE, chain.PAGE)
        machine.must("echo later >/tmp/again/later")
        cls.files_locked = contents(machine, "/tmp/again")
        cls.saved_locked = run(machine, "save", "--flat", "--device", "/dev/pmem0", "/tmp/again")
        cls.contents_locked = chain_contents(machine, HEAD)
        cls.dev_mem_locked = run(machine, "save", "--flat", "--region", "0x14000000+16M", "/tmp/again")

    def test_control_the_driver_has_the_range_and_lockdown_is_on(self):
        self.assertRegex(self.iomem, r"10000000-11ffffff : Persistent Memory \(legacy\)\n\s+.*namespace0\.0")
        self.assertEqual(self.machine.release, provision.newest_kernel().release)
        self.assertIn("Operation not permitted", self.machine.run("dd if=/dev/mem bs=1 count=1").errors)

    def test_before_the_driver_has_it_the_range_is_written_through_dev_mem(self):
        self.assert_run(self.unclaimed, 0, f"pram={HEAD:x}\n")
        self.assertEqual(self.by_dev_mem, self.files)

    def test_once_the_driver_has_it_dev_mem_is_not_used(self):
        self.assert_run(self.claimed, 8, "", r"a driver uses(.|\n)*--device")

    def test_a_file_system_is_not_written_over_without_force(self):
        self.assert_run(self.over_a_file_system, 8, "", r"/dev/pmem0 is not empty: it holds ext2(.|\n)*--force")
        self.assertTrue(self.file_system_stays)
        self.assert_run(self.forced, 0, f"pram={HEAD:x}\n")
        self.assertEqual(self.forced_contents, self.files)

    def test_the_only_device_is_chosen_by_itself(self):
        self.assert_run(self.by_itself, 0, f"pram={HEAD:x}\n")
        self.assertEqual(self.by_itself_contents, self.files)

    def test_a_second_save_is_refused(self):
        self.assert_run(self.twice, 8, "", r"holds a chain already(.|\n)*--replace")

    def test_erase_clears_the_head(self):
        self.assert_run(self.erased, 0)
        self.assertEqual(self.head_after_erase, bytes(chain.PAGE))

    def test_what_was_saved_is_intact(self):
        self.assert_run(self.saved, 0, f"pram={HEAD:x}\n")
        self.assert_verdict(self.checked, "intact")

    def test_the_next_kernel_checks_and_loads_it_under_lockdown(self):
        self.assert_verdict(self.checked_locked, "intact")
        self.assert_run(self.loaded, 0)
        self.assertEqual(self.loaded_contents, self.files)

    def test_load_erase_through_the_device_under_lockdown(self):
        self.assert_run(self.loaded_by_device, 0)
        self.assertEqual(self.loaded_by_device_contents, self.files)
        self.assertEqual(self.head_after_load, bytes(chain.PAGE))

    def test_save_through_the_device_under_lockdown(self):
        self.assert_run(self.saved_locked, 0, f"pram={HEAD:x}\n")
        self.assertEqual(self.contents_locked, self.files_locked)

    def test_a_reserved_range_cannot_be_written_under_lockdown_and_the_device_is_named_as_the_way_out(self):
        self.assert_run(self.dev_mem_locked, 8, "", r"/dev/mem(.|\n)*lockdown(.|\n)*--device")
