"""Chains in the memory of machines that run Debian's own kernels: nothing there knows of pram but the program.

The chains are put into memory by QEMU before the kernel starts: one in a range reserved with memmap=, one in the
middle of System RAM (a stock kernel does not clear free pages), and one whose pages lie in both.
"""

import hashlib

import chain
from cases.support import *


class Chains:
    """The three chains of these machines. Nothing overlaps."""

    def __init__(self):
        self.files = sample_files()
        self.reserved, self.reserved_head = chain.write_chain(self.files, iter(range(RESERVED_PFN, 1 << 52)))
        self.ram, self.ram_head = chain.write_chain(self.files, iter(range(RAM_PFN, 1 << 52)))
        self.across, self.across_head = chain.write_chain(
            self.files, alternating(RESERVED_PFN + 0x800, RAM_PFN + 0x800))
        self.pages = {**self.reserved, **self.ram, **self.across}

    def page_of(self, memory, file, index):
        """Where page `index` of a file lies."""
        return next(pfn for pfn, page in memory.items() if page == file.pages[index])


class OnStockKernel(BootCase):
    """The kernel that the release installs by default."""

    @classmethod
    def kernel(cls):
        return provision.stock_kernel()

    @classmethod
    def setUpClass(cls):
        cls.chains = Chains()
        cls.machine = cls.start(
            cls.kernel().image, stock_image(), f"{STOCK_APPEND} pram={cls.chains.reserved_head:x}", STOCK_MEMORY,
            loads=chain.runs(cls.chains.pages))

    def test_control_all_pages_lie_in_memory_as_written(self):
        changed = [pfn for pfn, page in self.chains.pages.items() if page_reader(self.machine)(pfn) != page]
        self.assertEqual(changed, [])

    def test_control_strict_devmem_refuses_system_ram_and_allows_the_reserved_range(self):
        reserved, ram = (self.machine.run(f"dd if=/dev/mem bs=4096 count=1 skip={pfn} | sha256sum && [ $? = 0 ]")
                         for pfn in (self.chains.reserved_head, self.chains.ram_head))
        self.assertIn(hashlib.sha256(self.chains.pages[self.chains.reserved_head]).hexdigest(), reserved.output)
        self.assertIn("Operation not permitted", ram.errors)

    def test_chain_named_on_the_command_line_is_intact_in_a_reserved_range_by_itself(self):
        report = in_guest(self.machine)
        self.assert_verdict(report, "intact")
        self.assert_files(report, self.chains.files)

    def test_chain_in_a_reserved_range_is_intact_through_dev_mem(self):
        report = in_guest(self.machine, "--memory", "/dev/mem")
        self.assert_verdict(report, "intact")
        self.assert_files(report, self.chains.files)

    def test_list_shows_the_files(self):
        report = in_guest(self.machine, command="list")
        self.assertEqual(report.status, 0, f"\n{report}")
        self.assertEqual({bytes.fromhex(file["name_hex"]) for file in report.json.get("files", [])},
                         {file.name for file in self.chains.files}, f"\n{report}")

    def test_extract_gives_the_stored_bytes_back(self):
        contents = chain.read_files(self.chains.pages.__getitem__, self.chains.reserved_head)
        extracted = self.machine.run("rm -rf /tmp/out; mkdir /tmp/out; pram-verify extract /tmp/out")
        self.assertEqual(extracted.status, 0, f"\n{extracted}")
        sums = self.machine.must("cd /tmp/out && sha256sum * && stat -c '%n %a' 'café 雪.txt'; rm -r /tmp/out")
        for name, data in contents.items():
            self.assertIn(f"{hashlib.sha256(data).hexdigest()}  {name.decode()}\n", sums)
        self.assertIn("café 雪.txt 600", sums)

    def test_a_flipped_byte_is_found_at_its_page_and_in_its_file_only(self):
        large = self.chains.files[0]
        pfn = self.chains.page_of(self.chains.reserved, large, 77)
        flip_in_guest(self.machine, pfn * chain.PAGE + 1234)
        try:
            report = in_guest(self.machine)
        finally:
            flip_in_guest(self.machine, pfn * chain.PAGE + 1234)
        self.assert_verdict(report, "damaged")
        self.assertEqual(report.finding_pages(), {pfn}, f"\n{report}")
        self.assert_files(report, self.chains.files[1:])
        self.assert_verdict(in_guest(self.machine), "intact")

    def report_with_second_link_spoiled(self, offset):
        """What check says while one byte of the second link is inverted, and that link's page."""
        link = chain.walk(self.chains.reserved.__getitem__, self.chains.reserved_head)[1]
        flip_in_guest(self.machine, link.pfn * chain.PAGE + offset)
        try:
            return in_guest(self.machine), link.pfn
        finally:
            flip_in_guest(self.machine, link.pfn * chain.PAGE + offset)

    def test_a_flipped_byte_in_the_second_links_slack_is_damage_at_that_link(self):
        # Whatever became of the flags: no kernel writes anything but zeros there.
        report, pfn = self.report_with_second_link_spoiled(chain.PAGE - 6)
        self.assert_verdict(report, "damaged")
        self.assert_names_page(report, pfn)

    def test_a_flipped_byte_in_an_entry_of_the_second_link_is_found_at_that_link(self):
        # The checksum in entry 5. Cleared flags could be the reason too, so "indeterminate" is a fair answer.
        report, pfn = self.report_with_second_link_spoiled(24 + 5 * 24 + 4)
        self.assertIn(report.verdict, ("damaged", "indeterminate"), f"\n{report}")
        self.assertEqual(report.status, EXIT_STATUS["damaged"], f"\n{report}")
        self.assert_names_page(report, pfn)
        self.assertNotIn(b"large.img", report.files(), f"\n{report}")

    def test_chain_in_system_ram_is_intact_through_kcore(self):
        report = in_guest(self.machine, "--memory", "/proc/kcore", "--pfn", f"{self.chains.ram_head:x}")
        self.assert_verdict(report, "intact")
        self.assert_files(report, self.chains.files)

    def test_chain_in_system_ram_is_intact_by_itself(self):
        report = in_guest(self.machine, "--pfn", f"{self.chains.ram_head:x}")
        self.assert_verdict(report, "intact")
        self.assert_files(report, self.chains.files)

    def test_why_dev_mem_refuses_system_ram_is_explained(self):
        report = in_guest(self.machine, "--memory", "/dev/mem", "--pfn", f"{self.chains.ram_head:x}")
        self.assert_explained(report, r"strict[-_ ]?devmem")

    def test_kcore_alone_cannot_show_a_reserved_range_and_that_is_explained(self):
        report = in_guest(self.machine, "--memory", "/proc/kcore")
        self.assert_explained(report, r"only /dev/mem reaches|System RAM")

    def test_chain_across_a_reserved_range_and_system_ram_is_intact_by_itself(self):
        report = in_guest(self.machine, "--pfn", f"{self.chains.across_head:x}")
        self.assert_verdict(report, "intact")
        self.assert_files(report, self.chains.files)

    def test_why_another_user_than_root_sees_nothing_is_explained(self):
        self.machine.must("mkdir -p /etc && echo 'nobody:x:65534:65534::/:/bin/sh' >/etc/passwd")
        report = Report(self.machine.run("start-stop-daemon -S -c nobody -x /sbin/pram-verify -- check --json"))
        self.assert_explained(report, r"\broot\b|privilege|CAP_SYS|permission denied")

    def test_without_pram_on_the_command_line_there_is_no_chain(self):
        self.assert_verdict(in_guest(self.machine, "--cmdline", "quiet xpram=10000 -- pram=10000"), "absent")

    def test_a_head_where_nothing_lies_is_not_called_intact(self):
        report = in_guest(self.machine, "--pfn", f"{RESERVED_PFN + 0xff0:x}")
        self.assertIn(report.verdict, ("damaged", "indeterminate"), f"\n{report}")
        self.assertEqual(report.status, 4, f"\n{report}")


class OnNewestKernel(OnStockKernel):
    """The newest kernel that apt offers."""

    @classmethod
    def kernel(cls):
        return provision.newest_kernel()


class InLegacyPmem(BootCase):
    """memmap=nn!ss: the range people use for DAX file systems, while no driver has taken it."""

    @classmethod
    def setUpClass(cls):
        cls.files = sample_files()
        pages, head = chain.write_chain(cls.files, iter(range(RESERVED_PFN, 1 << 52)))
        cls.machine = cls.start(provision.stock_kernel().image, stock_image(),
                                f"{STOCK_APPEND.replace('$', '!')} pram={head:x}", STOCK_MEMORY,
                                loads=chain.runs(pages))

    def test_control_the_range_is_persistent_memory(self):
        self.assertIn("10000000-10ffffff : Persistent Memory (legacy)", self.machine.must("cat /proc/iomem"))

    def test_the_chain_is_intact_by_itself(self):
        report = in_guest(self.machine)
        self.assert_verdict(report, "intact")
        self.assert_files(report, self.files)


class UnderLockdown(BootCase):
    """lockdown=integrity: what machines with Secure Boot do."""

    @classmethod
    def setUpClass(cls):
        cls.chains = Chains()
        cls.machine = cls.start(
            provision.stock_kernel().image, stock_image(),
            f"{STOCK_APPEND} lockdown=integrity pram={cls.chains.reserved_head:x}", STOCK_MEMORY,
            loads=chain.runs(cls.chains.pages))

    def test_control_dev_mem_cannot_be_opened(self):
        self.assertIn("Operation not permitted", self.machine.run("dd if=/dev/mem bs=1 count=1").errors)

    def test_that_lockdown_refuses_dev_mem_is_explained(self):
        self.assert_explained(in_guest(self.machine, "--memory", "/dev/mem"), r"lockdown")

    def test_that_a_reserved_range_cannot_be_reached_is_explained_by_itself(self):
        self.assert_explained(in_guest(self.machine), r"lockdown")

    def test_chain_in_system_ram_is_still_intact_through_kcore(self):
        for memory in ("/proc/kcore", "auto"):
            with self.subTest(memory):
                report = in_guest(self.machine, "--memory", memory, "--pfn", f"{self.chains.ram_head:x}")
                self.assert_verdict(report, "intact")
                self.assert_files(report, self.chains.files)


class OverKexec(BootCase):
    """A chain in a reserved range while the stock kernel kexecs the newest one."""

    @classmethod
    def setUpClass(cls):
        cls.chains = Chains()
        append = f"{STOCK_APPEND} pram={cls.chains.reserved_head:x}"
        cls.machine = cls.start(provision.stock_kernel().image, stock_image(), append, STOCK_MEMORY,
                                loads=chain.runs(cls.chains.reserved))
        cls.before = in_guest(cls.machine)
        # -s: a kernel loaded with -c may be put into the range, because kexec-tools does not see memmap=.
        cls.machine.must("kexec -s -l /boot/vmlinuz --initrd=/boot/initrd "
                         f"--command-line='console=ttyS0 panic=-1 {append}'")
        cls.machine.kexec()

    def test_control_the_newest_kernel_runs_and_the_range_kept_its_bytes(self):
        self.assertEqual(self.machine.release, provision.newest_kernel().release)
        changed = [pfn for pfn, page in self.chains.reserved.items() if page_reader(self.machine)(pfn) != page]
        self.assertEqual(changed, [])

    def test_the_chain_is_intact_before_and_after(self):
        self.assert_verdict(self.before, "intact")
        after = in_guest(self.machine)
        self.assert_verdict(after, "intact")
        self.assert_files(after, self.chains.files)
