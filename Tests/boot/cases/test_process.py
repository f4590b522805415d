"""A process goes on under another kernel; and out of a dump that was damaged on the way none is made."""

from cases import counting
from cases.support import *

DUMPED, KERNELS = 2, ("6.1", "6.12")
GOOD = """\
I am 0a1b2c3d and count 1; process 20001, Linux 6.1, boot 11111111
I am 0a1b2c3d and count 2; process 20001, Linux 6.1, boot 11111111
I am 0a1b2c3d and count 3; process 20001, Linux 6.12, boot 22222222
I am 0a1b2c3d and count 4; process 20001, Linux 6.12, boot 22222222
"""


class Judgement(unittest.TestCase):
    """What the log of a process that did not simply count on is taken for."""

    def test_the_log_of_one_that_did(self):
        self.assertEqual(counting.faults(GOOD, DUMPED, KERNELS), [])

    def test_logs_of_others(self):
        lines = GOOD.splitlines()
        for name, log in {
            "nothing": "",
            "stopped": "\n".join(lines[:2]),
            "began anew": GOOD.replace("count 3", "count 1").replace("count 4", "count 2"),
            "a number twice": GOOD.replace("count 3", "count 2").replace("count 4", "count 3"),
            "a number left out": GOOD.replace("count 4", "count 5"),
            "another process": "\n".join(lines[:2]) + "\n" + "\n".join(lines[2:]).replace("0a1b2c3d", "4e5f6071"),
            "another number": "\n".join(lines[:3]) + "\n" + lines[3].replace("20001", "20002"),
            "another kernel too early": "\n".join([lines[0], lines[1].replace("6.1,", "6.12,"), *lines[2:]]),
            "the same kernel": GOOD.replace("6.12", "6.1"),
            "the same boot": GOOD.replace("22222222", "11111111"),
            "a third boot": "\n".join(lines[:3]) + "\n" + lines[3].replace("22222222", "33333333"),
            "rubbish": GOOD + "Segmentation fault\n",
        }.items():
            with self.subTest(name):
                self.assertNotEqual(counting.faults(log, DUMPED, KERNELS), [])


class ProcessCase(BootCase):
    """From a counting process to the next kernel, with its dump in the reserved range."""

    @classmethod
    def setUpClass(cls):
        cls.scenario = scenario = counting.Counting(cls.__name__)
        cls.machine = scenario.machine
        cls.addClassCleanup(cls.machine.close)
        for step in (scenario.start, scenario.count, scenario.dump, scenario.save, scenario.load_kernel):
            step()
        cls.dump = contents(cls.machine, "/tmp/dump")
        cls.log = cls.machine.must(f"cat {counting.LOG}")
        cls.damage()
        scenario.kexec()
        cls.kernel_log = cls.machine.must("dmesg")

    @classmethod
    def damage(cls):
        pass

    def assert_said_before_any_mount(self, verdict):
        said, mounted = (self.kernel_log.find(text) for text in (f"] pram-verify: {verdict}", "EXT4-fs (vda): mounted"))
        self.assertTrue(0 <= said < mounted, self.kernel_log[-6000:])

    def assert_newest_kernel_runs(self):
        self.assertEqual(self.machine.release, provision.newest_kernel().release)
        self.assertNotEqual(self.machine.release, provision.stock_kernel().release)


class ProcessGoesOn(ProcessCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.scenario.verified()
        cls.scenario.load()
        cls.loaded = contents(cls.machine, "/tmp/dump")
        cls.scenario.restore()

    def test_control_the_newest_kernel_runs(self):
        self.assert_newest_kernel_runs()

    def test_verified_before_any_mount(self):
        self.assert_said_before_any_mount("intact")

    def test_the_dump_is_what_it_was(self):
        self.assertIn("pages-1.img", self.dump)
        self.assertEqual(self.loaded, self.dump)

    def test_it_counts_on_from_where_it_was(self):
        log = self.machine.must(f"cat {counting.LOG}")
        self.assertEqual(self.scenario.faults(), [], log)
        self.assertIn(f"process {self.machine.must('pidof counter')}, ", log)


class DamagedProcess(ProcessCase):
    """One byte of the process's memory is another one before the next kernel starts."""

    @classmethod
    def damage(cls):
        cls.pfn = spoil(cls.machine, RESERVED_PFN, "pages-1.img", 3)

    def test_control_the_newest_kernel_runs(self):
        self.assert_newest_kernel_runs()

    def test_said_before_any_mount(self):
        self.assert_said_before_any_mount("damaged")

    def test_status_and_check_name_the_file(self):
        for report in (in_guest(self.machine), in_guest(self.machine, command="status")):
            self.assert_verdict(report, "damaged")
            self.assertEqual(set(report.files("damaged")), {b"pages-1.img"}, f"\n{report}")
            self.assert_names_page(report, self.pfn)
        shown = run(self.machine, "status")
        self.assert_run(shown, 4)
        self.assertRegex(shown.output, r"(?m)^ +damaged: pages-1\.img$")

    def test_it_is_not_loaded_and_no_process_is_made_of_the_rest(self):
        self.machine.must("mkdir /tmp/dump")
        loaded = run(self.machine, "load", "--erase", "/tmp/dump")
        self.assertEqual(loaded.status, 4, loaded)
        self.assertIn("not extracted: pages-1.img: it is damaged", loaded.output)
        others = {name: file for name, file in self.dump.items() if name != "pages-1.img"}
        self.assertEqual(contents(self.machine, "/tmp/dump"), others)
        self.assertNotEqual(self.machine.run(counting.RESTORE).status, 0)
        self.assertIn("Restoring FAILED", self.machine.must("cat /tmp/restore.log"))
        self.machine.must("sleep 3; ! pidof counter")
        self.assertEqual(self.machine.must(f"cat {counting.LOG}"), self.log)
        # For want of that file alone. criu has no checksums: with a hole in the process's memory it is content.
        self.assertEqual(run(self.machine, "load", "--damaged", "--force", "/tmp/dump").status, 4)
        self.assertEqual(self.machine.run(counting.RESTORE).status, 0)
