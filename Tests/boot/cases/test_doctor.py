"""`doctor` and `rehearse` on live machines: the range that is proposed carries files over a kexec, and a rehearsal says
beforehand what a kexec would do to them."""

import json
import shlex

import chain
from cases.support import *


def doctor(machine, *words):
    """How it ended, and its JSON."""
    result = run(machine, "doctor", "--json", *words)
    report = json.loads(result.output)
    return result, report, {check["id"]: check for check in report["checks"]}


class Proposed(BootCase):
    """What is proposed is put on the command line by a script, and nothing else: no nokaslr, either."""

    memory = "512M"

    @classmethod
    def setUpClass(cls):
        kernel = provision.stock_kernel().image
        first = Machine(f"{cls.__name__}First", kernel, stock_image(), "quiet", cls.memory)
        cls.addClassCleanup(first.close)
        first.start()
        first.wait_ready()
        cls.before = doctor(first, "--size=48M")
        cls.proposal = cls.before[1]["proposal"]
        first.close()

        cls.machine = machine = cls.start(kernel, stock_image(), f"{cls.proposal['parameter']} quiet", cls.memory)
        cls.ready = doctor(machine)
        make_samples(machine, "/tmp/files")
        cls.files = contents(machine, "/tmp/files")
        cls.saved = run(machine, "save", "--flat", "/tmp/files")
        cls.holding = doctor(machine)
        cls.loaded = run(machine, "kexec", "/boot/vmlinuz", "/boot/initrd")
        cls.with_kernel = doctor(machine)
        machine.kexec()
        cls.arrived = run(machine, "load", "/tmp/out")
        cls.after = contents(machine, "/tmp/out")

    def test_without_a_range_it_is_not_ready(self):
        result, report, checks = self.before
        self.assertEqual((result.status, report["ready"]), (4, False), result)
        self.assertEqual(checks["reserved-range"]["state"], "problem")
        self.assertEqual(checks["firmware-map"]["state"], "ok")
        self.assertEqual(self.proposal["size"], 48 << 20)

    def test_with_the_proposal_it_is_ready(self):
        result, report, checks = self.ready
        self.assertEqual((result.status, report["ready"]), (0, True), result)
        self.assertIsNone(report["proposal"])
        for name in ("reserved-range", "firmware-map", "dev-mem", "kaslr", "crashkernel", "ramoops"):
            self.assertEqual(checks[name]["state"], "ok", checks[name])

    def test_files_are_saved_and_arrive(self):
        self.assert_run(self.saved, 0)
        self.assert_run(self.loaded, 0)
        self.assert_run(self.arrived, 0)
        self.assertEqual(self.after, self.files)

    def test_it_sees_the_chain_and_the_loaded_kernel(self):
        self.assertIn("will be told of the chain", self.holding[2]["chain"]["message"])
        self.assertEqual(self.with_kernel[2]["kexec-loaded"]["state"], "ok")
        self.assertIn("knows of the chain", self.with_kernel[2]["kexec-loaded"]["message"])


class ProposedOf3GiB(Proposed):
    memory = "3G"


class ProposedOf5GiB(Proposed):
    """With memory on both sides of 4 GiB."""

    memory = "5G"


class Rehearsed(BootCase):
    """A rehearsal that passes, over a kexec from the stock kernel to the newest one."""

    @classmethod
    def setUpClass(cls):
        cls.machine = machine = cls.start(
            provision.stock_kernel().image, stock_image(), STOCK_APPEND, STOCK_MEMORY)
        cls.first = machine.must("uname -r")
        cls.rehearsed = run(machine, "rehearse", "/boot/vmlinuz", "/boot/initrd")
        cls.waiting = run(machine, "rehearse", "--result")
        machine.kexec()
        cls.second = machine.must("uname -r")
        machine.must("pram-verify boot")
        cls.record = machine.must("cat /run/pram-verify/rehearsal")
        cls.status = run(machine, "status")
        cls.result = run(machine, "rehearse", "--result")
        cls.check = doctor(machine)[2]["rehearsal"]

    def test_it_says_what_to_do(self):
        self.assert_run(self.rehearsed, 0)
        self.assertIn("systemctl kexec", self.rehearsed.output)
        self.assert_run(self.waiting, 8)

    def test_it_passed_between_these_kernels(self):
        lines = self.record.splitlines()
        self.assertIn("state passed", lines)
        self.assertIn("lost 0", lines)
        self.assertIn(f"from {self.first.strip()}", lines)
        self.assertIn(f"to {self.second.strip()}", lines)
        self.assert_run(self.result, 0)
        self.assertNotEqual(self.first, self.second)

    def test_status_and_doctor_know(self):
        self.assertIn("rehearsal: passed", self.status.output)
        self.assertIn("passed", self.check["message"])

    def test_the_canary_filled_the_range(self):
        pages = int(next(line.split()[1] for line in self.record.splitlines() if line.startswith("pages ")))
        self.assertGreaterEqual(pages, RESERVED_SIZE // chain.PAGE - 2)


class OverwrittenByKexec(BootCase):
    """kexec -c, called by hand, lays the next kernel out without regard to a range near the top of memory."""

    @classmethod
    def setUpClass(cls):
        start, size = 0x3c000000, 32 << 20
        cls.range = (start, size)
        cls.machine = machine = cls.start(
            provision.stock_kernel().image, stock_image(), f"nokaslr memmap=32M${start:#x}", "1G")
        cls.rehearsed = run(machine, "rehearse", "--no-load", "/boot/vmlinuz", "/boot/initrd")
        machine.must("pram-verify cmdline >/tmp/line")
        machine.must('kexec -c -l /boot/vmlinuz --initrd=/boot/initrd --command-line="$(cat /tmp/line)"')
        machine.kexec()
        machine.must("pram-verify boot")
        cls.record = machine.run("cat /run/pram-verify/rehearsal")
        cls.result = run(machine, "rehearse", "--result")
        cls.json = run(machine, "rehearse", "--result", "--json")

    def test_it_fails_and_shows_where(self):
        self.assert_run(self.rehearsed, 0)
        self.assertIn("state failed\n", self.record.output, f"\n{self.record}")
        self.assert_run(self.result, 4)
        self.assertIn("pages of 3", self.result.output)
        self.assertRegex(self.result.output, r"map: +\|[.#]*#[.#]*\|")
        report = json.loads(self.json.output)
        self.assertGreater(report["lost"], 0)
        start, size = self.range
        self.assertTrue(report["overwritten"])
        for piece in report["overwritten"]:
            self.assertGreaterEqual(piece["start"], start)
            self.assertLessEqual(piece["start"] + piece["size"], start + size)

    def test_what_is_called_overwritten_is_no_page_of_the_canary(self):
        report = json.loads(self.json.output)
        piece = report["overwritten"][0]
        page = self.machine.memory(piece["start"], chain.PAGE)
        self.assertNotEqual(page[:8], b"pvcanary"[::1])
        start, _ = self.range
        whole = {entry["start"] + offset for entry in report["overwritten"] for offset in range(0, entry["size"], 4096)}
        if start + 2 * 4096 not in whole:
            self.assertEqual(self.machine.memory(start + 2 * 4096, 8), b"pvcanary")
