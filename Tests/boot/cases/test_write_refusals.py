"""Where nothing is written, whatever is asked for: each rule on a real kernel that breaks it."""

import tempfile

import chain
from cases.support import *

FIRST, SECOND, THIRD = 0x10000000, 0x14000000, 0x18000000
HEAD = FIRST // chain.PAGE
WRITERS = (("save", "/tmp/files"), ("load", "--erase", "/tmp/out"), ("erase",), ("drop",), ("quarantine",))


@functools.lru_cache(maxsize=None)
def small_image():
    """An initrd with little more than the program, and ramoops to be loaded by hand."""
    modules = provision.stock_kernel().modules("ramoops")
    return initramfs.initramfs(image_path("refusals.cpio.gz"), {
        **program_files(), **{f"/ramoops/{number}.ko": data for number, data in enumerate(modules.values())}})


@functools.lru_cache(maxsize=None)
def saved_range():
    """What the program saves on the host into 1 MiB at the first range's address."""
    with tempfile.TemporaryDirectory() as folder:
        source, image = pathlib.Path(folder, "files"), pathlib.Path(folder, "image")
        source.mkdir()
        (source / "snow").write_text("snow\n" * 5000)
        subprocess.run([PROGRAM, "save", source, "--memory", image, "--size", "1M", "--base", f"{FIRST:#x}"],
                       check=True, stdout=subprocess.DEVNULL, timeout=60)
        return image.read_bytes()


class Refusals(BootCase):
    """Subclasses say what is on the kernel's command line."""

    loads, append = [], ""

    @classmethod
    def setUpClass(cls):
        cls.machine = cls.start(provision.stock_kernel().image, small_image(), f"nokaslr {cls.append}", STOCK_MEMORY,
                                loads=cls.loads)
        cls.machine.must("mkdir /tmp/files /tmp/out; echo snow >/tmp/files/snow")

    def assert_refused(self, pattern, *options, writers=WRITERS):
        """That all of the commands that write end so, and that memory is as it was."""
        before = self.machine.memory(FIRST, 1 << 20)
        for command, *operands in writers:
            with self.subTest(command):
                self.assert_run(run(self.machine, command, *operands, *options), 8, errors=pattern)
        self.assertEqual(self.machine.memory(FIRST, 1 << 20), before)


class ChainInMemory:
    """A chain lies in memory from the start."""

    @classmethod
    def setUpClass(cls):
        cls.loads = [(FIRST, saved_range())]
        super().setUpClass()

    def test_control_the_chain_is_there(self):
        self.assert_verdict(in_guest(self.machine), "intact")


class WithoutAReservedRange(ChainInMemory, Refusals):
    """Plain System RAM, in which a chain happens to lie."""

    append = f"pram={HEAD:x}"

    def test_nothing_is_written_and_the_way_out_is_named(self):
        self.assert_refused(r"reserves no memory(.|\n)*memmap=nn\$ss")

    def test_nothing_is_written_where_a_region_names_system_ram(self):
        self.assert_refused(r"reserves no memory", "--region", f"{FIRST:#x}+1M")

    def test_load_alone_reads_it(self):
        self.assert_run(run(self.machine, "load", "/tmp/out"), 0)
        self.assertEqual(self.machine.must("wc -c </tmp/out/snow; rm /tmp/out/snow"), "25000")


class WithALostDollar(Refusals):
    """What GRUB makes of memmap=512M$0x10000000: a limit of 512 MiB for all memory."""

    append = "memmap=512Mx10000000"

    def test_control_the_kernel_took_it_for_a_limit(self):
        self.assertLess(int(self.machine.must("awk '/MemTotal/ {print $2}' /proc/meminfo")), 512 << 10)

    def test_nothing_is_written_and_the_lost_dollar_is_explained(self):
        self.assert_refused(r"memmap=512Mx10000000 .*reserves nothing.*\$")


class WithSeveralRanges(Refusals):
    """Two ranges that are free to be written, and two that ramoops has: by the command line, and by being loaded."""

    append = (f"memmap=16M${FIRST:#x},16M${SECOND:#x} memmap=16M${THIRD:#x} "
              f"ramoops.mem_address={SECOND + (1 << 20):#x} ramoops.mem_size=0x100000 pram={SECOND // chain.PAGE:x}")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.machine.must("cd /ramoops; for module in *.ko; do "
                         f"insmod $module $(grep -q mem_address $module && echo mem_address={THIRD} mem_size=0x100000) "
                         "|| exit; done")

    def test_control_all_three_are_reserved_and_ramoops_is_loaded(self):
        shown = self.machine.must("cat /proc/iomem").lower()
        for start in (FIRST, SECOND, THIRD):
            self.assertIn(f"{start:08x}-{start + (16 << 20) - 1:08x} : reserved", shown)
        self.assertEqual(self.machine.must("cat /sys/module/ramoops/parameters/mem_address"), str(THIRD))

    def test_without_region_nothing_is_written_and_all_are_named(self):
        self.assert_refused(r"several ranges: 0x10000000\+\S+ .*0x14000000\+\S+ .*0x18000000(.|\n)*--region")

    def test_a_region_that_is_not_reserved_is_refused(self):
        self.assert_refused(r"not named by memmap=", "--region", "0x1c000000+1M")
        self.assert_refused(r"reaches out of", "--region", f"{FIRST + (15 << 20):#x}+2M")

    def test_the_range_that_the_command_line_gives_to_ramoops_is_refused(self):
        self.assert_refused(r"is ramoops's", "--region", f"{SECOND:#x}+16M")

    def test_the_range_that_the_loaded_ramoops_uses_is_refused(self):
        self.assert_refused(r"is ramoops's", "--region", f"{THIRD:#x}+16M")

    def test_the_chosen_range_is_written_and_no_other(self):
        others = {start: self.machine.memory(start, 16 << 20) for start in (SECOND, THIRD)}
        region = ("--region", f"{FIRST:#x}+16M")
        self.assert_run(run(self.machine, "save", *region, "/tmp/files"), 0, f"pram={HEAD:x}\n")
        self.assertEqual({start: self.machine.memory(start, 16 << 20) for start in others}, others)
        self.assert_run(run(self.machine, "erase", *region, "--pfn", f"{HEAD:x}"), 0)
        self.assertEqual(self.machine.memory(FIRST, chain.PAGE), bytes(chain.PAGE))

    def test_where_the_command_line_names_another_chain_a_choice_is_asked_for(self):
        region = ("--region", f"{FIRST:#x}+16M")
        self.assert_run(run(self.machine, "save", "--replace", *region, "/tmp/files"), 0, f"pram={HEAD:x}\n")
        self.assert_refused(rf"page 0x{SECOND // chain.PAGE:x}.*page 0x{HEAD:x}(.|\n)*--pfn", *region,
                            writers=[("load", "/tmp/out"), *WRITERS[1:]])
        self.assert_run(run(self.machine, "load", *region, "--pfn", f"{HEAD:x}", "--erase", "/tmp/out"), 0)
        self.assertEqual(self.machine.must("cat /tmp/out/snow; rm /tmp/out/snow"), "snow")


class InACrashKernel(ChainInMemory, Refusals):
    """elfcorehdr= is what kexec adds to the command line of a crash kernel."""

    append = f"memmap=32M${FIRST:#x} elfcorehdr={FIRST + (16 << 20):#x} pram={HEAD:x}"

    def test_nothing_is_written(self):
        self.assert_refused(r"this is a crash kernel")
        self.assert_refused(r"this is a crash kernel", "--pfn", f"{HEAD:x}")

    def test_load_wants_the_head_by_name(self):
        self.assert_run(run(self.machine, "load", "/tmp/out"), 8, errors=r"this is a crash kernel(.|\n)*--pfn")
        self.assertEqual(self.machine.must("ls /tmp/out"), "")
        self.assert_run(run(self.machine, "load", "--pfn", f"{HEAD:x}", "/tmp/out"), 0)
        self.assertEqual(self.machine.must("wc -c </tmp/out/snow; rm /tmp/out/snow"), "25000")


class UnderLockdownWithoutPmem(Refusals):
    """lockdown=integrity, as with Secure Boot: a reserved range cannot be reached at all."""

    append = f"memmap=32M${FIRST:#x} lockdown=integrity"

    def test_nothing_is_written_and_the_way_out_is_a_pmem_range(self):
        self.assert_refused(r"/dev/mem(.|\n)*lockdown(.|\n)*--device")
