"""Chains with parity on a machine that runs Debian's own kernel: what was put onto them is undone by the `boot` that
finds it, or by `repair`.
"""

import random

import chain
from cases.support import *

LOW, LOW_SIZE = 0x10000000, 32 << 20


def fill(machine, folder, mebibytes):
    machine.must(f"set -e; mkdir {folder}; cd {folder}; head -c {mebibytes << 20} /dev/urandom >large; "
                 "head -c 3000001 /dev/urandom >second; echo s >small")


class Overwritten(BootCase):
    """Parity as save makes it unless it is told otherwise."""

    @classmethod
    def setUpClass(cls):
        append = f"nokaslr memmap={LOW_SIZE >> 20}M${LOW:#x} pram={LOW // chain.PAGE:x} pram_verify.policy=repair"
        cls.machine = machine = cls.start(provision.stock_kernel().image, stock_image(), append, STOCK_MEMORY)
        fill(machine, "/tmp/files", 20)
        cls.files = contents(machine, "/tmp/files")
        cls.dice = random.Random(4)

    def setUp(self):
        self.assert_run(run(self.machine, "save", "--replace", "/tmp/files"), 0)
        self.report = in_guest(self.machine)
        self.assert_verdict(self.report, "intact")
        self.before = self.machine.memory(LOW, LOW_SIZE)
        self.pages = self.report.json["counts"]["entries"] + self.report.json["counts"]["links"]

    def overwrite(self, first, count=1):
        """Random bytes over pages of the range."""
        self.machine.must(f"dd if=/dev/urandom of=/dev/mem bs=4096 seek={LOW // chain.PAGE + first} count={count} "
                          "conv=notrunc 2>/dev/null")

    def assert_repaired_by_boot(self):
        self.machine.must("pram-verify boot")
        self.assertEqual(self.machine.must("cat /run/pram-verify/status"), "corrected")
        self.assertEqual(self.machine.memory(LOW, LOW_SIZE), self.before)

    def test_a_run_of_4_percent(self):
        self.overwrite(2000, self.pages * 4 // 100)
        self.assert_repaired_by_boot()

    def test_the_first_4_percent_with_the_head(self):
        self.overwrite(0, self.pages * 4 // 100)
        self.assert_repaired_by_boot()

    def test_the_head_page(self):
        self.overwrite(0)
        self.assert_repaired_by_boot()

    def test_a_head_page_of_zeros(self):
        self.machine.must(f"dd if=/dev/zero of=/dev/mem bs=4096 seek={LOW // chain.PAGE} count=1 conv=notrunc 2>/dev/null")
        self.assert_repaired_by_boot()

    def test_pages_at_random(self):
        for page in self.dice.sample(range(100, 5000), 20):
            self.overwrite(page)
        self.assert_run(run(self.machine, "repair", "--dry-run"), 4, errors="nothing was changed")
        self.assert_run(run(self.machine, "repair"), 1, f"pram={LOW // chain.PAGE:x}\n")
        self.assertEqual(self.machine.memory(LOW, LOW_SIZE), self.before)

    def test_what_was_erased_stays_erased(self):
        self.assert_run(run(self.machine, "erase"), 0)
        erased = self.machine.memory(LOW, LOW_SIZE)
        self.machine.must("pram-verify boot")
        self.assertEqual(self.machine.must("cat /run/pram-verify/status"), "empty")
        self.assertEqual(self.machine.memory(LOW, LOW_SIZE), erased)


class OverwrittenByKexec(BootCase):
    """kexec -c lays the next kernel out without regard to a range that `memmap=` sets aside: 16 MiB with the head."""

    start_of_range, hit = 0x34000000, 16 << 20

    @classmethod
    def setUpClass(cls):
        # With nokaslr the kernel would run where it was put, on the range, and nothing could be written there.
        append = f"memmap=128M${cls.start_of_range:#x} pram_verify.policy=repair "
        # An emulated processor decodes slowly.
        append += "pram_verify.timeout=1200"
        cls.machine = machine = cls.start(provision.stock_kernel().image, stock_image(), append, "1G")
        fill(machine, "/tmp/files", 48)
        cls.files = contents(machine, "/tmp/files")
        cls.saved = run(machine, "save", "--parity=50", "/tmp/files")
        machine.must("pram-verify cmdline >/tmp/line")
        cls.before = machine.memory(cls.start_of_range, cls.hit)
        machine.must(f"kexec -c -l /boot/vmlinuz --initrd=/boot/initrd --mem-max={cls.start_of_range + cls.hit:#x} "
                     '--command-line="$(cat /tmp/line)"')
        machine.kexec()
        cls.arrived = machine.memory(cls.start_of_range, cls.hit)
        machine.must("pram-verify boot")

    def test_control_the_head_and_thousands_of_pages_are_lost(self):
        def pages(memory):
            return [memory[at:at + chain.PAGE] for at in range(0, self.hit, chain.PAGE)]
        changed = sum(old != new for old, new in zip(pages(self.before), pages(self.arrived)))
        self.assertGreater(changed, 2000)
        self.assertNotEqual(self.before[:chain.PAGE], self.arrived[:chain.PAGE])

    def test_boot_repairs_it_before_any_mount(self):
        self.assert_run(self.saved, 0)
        self.assertEqual(self.machine.must("cat /run/pram-verify/status"), "corrected")
        self.assertEqual(self.machine.memory(self.start_of_range, self.hit), self.before)
        self.assert_verdict(in_guest(self.machine), "intact")

    def test_everything_loads(self):
        self.assert_run(run(self.machine, "load", "/tmp/out"), 0)
        self.assertEqual(contents(self.machine, "/tmp/out"), self.files)
