"""`cmdline` on live machines: the line and the options that it gives keep a chain alive over a real kexec, and where it
says no the next kernel is started without `pram=`."""

import chain
from cases.support import *
from cases.test_stock_kernel import Chains
from cases.test_pram_kernel import AfterKexec

OWN = "BOOT_IMAGE=/boot/vmlinuz"


def kexec(machine, kernel, *words):
    """Loads and starts a kernel as cmdline says. Returns the line and the options."""
    words = " ".join(words)
    line = machine.must(f"pram-verify cmdline {words} >/tmp/line; cat /tmp/line")
    options = machine.must(f"pram-verify cmdline --kexec-options {words}")
    machine.must(f'kexec {options} -l {kernel} --initrd=/boot/initrd --command-line="$(cat /tmp/line)"')
    check = machine.run("pram-verify cmdline --check-loaded")
    machine.kexec()
    return line, options, check


class StockKernel(BootCase):
    """Over a kexec from the stock kernel to the newest one."""

    @classmethod
    def setUpClass(cls):
        cls.chains = Chains()
        append = f"{OWN} {STOCK_APPEND} pram={cls.chains.reserved_head:x}"
        cls.machine = cls.start(provision.stock_kernel().image, stock_image(), append, STOCK_MEMORY,
                                loads=chain.runs(cls.chains.pages))
        run = cls.machine.run
        cls.in_ram = run(f"pram-verify cmdline --pfn={cls.chains.ram_head:x}")
        cls.across = run(f"pram-verify cmdline --pfn={cls.chains.across_head:x}")
        cls.forgotten = run("pram-verify cmdline --remove memmap")
        cls.unnamed = run("tr ' ' '\\n' </proc/cmdline | grep -v pram= | tr '\\n' ' ' >/tmp/unnamed;"
                          "pram-verify cmdline --from /tmp/unnamed")
        cls.not_loaded = run("pram-verify cmdline --check-loaded")
        cls.machine.must("kexec -s -l /boot/vmlinuz --initrd=/boot/initrd --reuse-cmdline")
        cls.loaded_without = run("pram-verify cmdline --check-loaded --remove memmap")
        cls.load_options = run("pram-verify cmdline --kexec-options --kexec-load")
        cls.before = cls.machine.must("cat /proc/cmdline")
        cls.line, cls.options, cls.loaded = kexec(cls.machine, "/boot/vmlinuz")
        cls.after = cls.machine.must("cat /proc/cmdline")

    def test_the_chain_lives(self):
        self.assertEqual(self.options, "-s")
        self.assertEqual(self.loaded.status, 0, self.loaded)
        report = in_guest(self.machine)
        self.assert_verdict(report, "intact")
        self.assert_files(report, self.chains.files)

    def test_the_line_is_the_former_one_but_for_what_it_must_not_have(self):
        head = f"pram={self.chains.reserved_head:x}"
        words = [word for word in self.before.split(" ") if not word.startswith(("pram=", "BOOT_IMAGE="))]
        self.assertEqual(self.line, " ".join([*words, head]))
        self.assertEqual(self.after, self.line)

    def test_what_does_not_qualify(self):
        for result in (self.in_ram, self.across, self.forgotten):
            self.assertEqual(result.status, 4, result)
            self.assertNotIn("pram=", result.output.splitlines()[-1])
        self.assertIn("not reserved", self.in_ram.errors)
        self.assertIn("new command line", self.forgotten.errors)

    def test_nothing_loaded(self):
        self.assertEqual(self.not_loaded.status, 8, self.not_loaded)

    def test_loaded_with_a_line_that_would_not_have_the_chain(self):
        self.assert_run(self.loaded_without, 4, errors="not reserved by the new command line")
        self.assertIn("verdict: intact", self.loaded_without.output)

    def test_below_the_range(self):
        self.assertEqual(self.load_options.output.strip(), f"-c --mem-max={RESERVED_ADDRESS - 1:#x}")


class BelowTheRange(BootCase):
    """kexec_load, which would not spare a range near the top of memory by itself."""

    @classmethod
    def setUpClass(cls):
        cls.files = sample_files()
        start = 0x2c000000
        pages, head = chain.write_chain(cls.files, iter(range(start // chain.PAGE, 1 << 52)))
        append = f"nokaslr memmap=32M${start:#x} pram={head:x}"
        cls.machine = cls.start(provision.stock_kernel().image, stock_image(), append, STOCK_MEMORY,
                                loads=chain.runs(pages))
        cls.line, cls.options, cls.loaded = kexec(cls.machine, "/boot/vmlinuz", "--kexec-load")

    def test_the_chain_lives(self):
        self.assertEqual(self.options, "-c --mem-max=0x2bffffff")
        report = in_guest(self.machine)
        self.assert_verdict(report, "intact")
        self.assert_files(report, self.files)


class PramKernel(AfterKexec):
    """Saved by a kernel with pram and handed to a second one, which clears the LRU flags in it."""

    @classmethod
    def setUpClass(cls):
        cls.machine = machine = cls.start(PRAM_KERNELS / cls.first, pram_image(), cls.append, cls.memory)
        machine.must("mkdir /mnt && mount -t pram none /mnt")
        machine.must(f"set -e; cd /mnt; {cls.write}")
        cls.sums = machine.must("cd /mnt && sha256sum *")
        cls.mounted = machine.run("pram-verify cmdline")
        machine.must("umount /mnt")
        cls.head = machine.must("cat /sys/kernel/pram")
        cls.by_file = machine.run("pram-verify cmdline --kexec-file")
        cls.by_file_options = machine.run("pram-verify cmdline --kexec-options --kexec-file")
        cls.line, cls.options, cls.loaded = kexec(machine, "/boot/bzImage-pram")
        cls.pram_value = machine.must("cat /sys/kernel/pram")
        cls.unfit = machine.run("pram-verify cmdline")

    def test_the_chain_lives(self):
        self.assertEqual(self.options, "-c --mem-min=0x0 --mem-max=0x7ffffff")
        self.assertIn(f" pram={self.head}", self.line)
        self.assertEqual(self.pram_value, self.head)
        self.assertEqual(self.machine.must("mkdir -p /mnt; mount -t pram none /mnt; cd /mnt && sha256sum *"), self.sums)

    def test_cleared_flags_are_not_handed_on(self):
        self.assertEqual(self.unfit.status, 4, self.unfit)
        self.assertIn("--refit", self.unfit.errors)
        self.assertNotIn("pram=", self.unfit.output.replace("pram_banned=", ""))

    def test_kexec_file_load_is_refused(self):
        self.assertEqual(self.by_file.status, 4, self.by_file)
        self.assertEqual((self.by_file_options.status, self.by_file_options.output), (8, ""), self.by_file_options)

    def test_without_a_chain(self):
        self.assertEqual(self.mounted.status, 0, self.mounted)
