"""What is said to somebody who wrote nearly the right thing."""

import os
import re

import chain
from support import DAMAGED, FAILED, INTACT, USAGE, CommandTest, kinds
from test_boot import HEAD, MEMORY, START, BootTest

MIB = 1 << 20


class HintTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.source = self.scratch / "source"
        self.source.mkdir()
        for number in range(20):
            (self.source / f"file{number}").write_bytes(os.urandom(10_000))
        self.image = str(self.scratch / "image")

    def save(self, *words):
        return self.run_program("save", str(self.source), "--memory", self.image, *words)


class Hints(HintTest):
    def warnings(self, pfn):
        checked = self.run_json("check", "--memory", self.image, "--pfn", pfn)
        self.assertEqual(checked.status, DAMAGED)
        self.assertTrue({"no-chain", "page-not-in-source"} & set(kinds(checked.report)), checked)
        return checked.report.get("warnings", [])

    def test_a_pfn_that_is_decimal_or_an_address(self):
        self.save("--size", "16M")
        for written in ("256", "0x100000", "100000"):
            hint, = self.warnings(written)
            self.assertTrue(hint.endswith("--pfn=100"), hint)
        self.assertEqual(self.warnings("101"), [])

    def test_bytes_with_another_suffix(self):
        for written in ("64MiB", "64MB", "64 M", "-1"):
            refused = self.save(f"--size={written}")
            self.assertEqual(refused.status, USAGE, refused)
            self.assertIn(b"64M or 1G", refused.err)

    def test_a_region_as_memmap_has_it(self):
        for sign in "$!@#":
            refused = self.save(f"--region=16M{sign}0x10000000")
            self.assertEqual(refused.status, USAGE, refused)
            self.assertIn(b"that is 0x10000000+0x1000000 here", refused.err)

    def test_what_the_kernel_makes_up_is_not_saved_and_keeps_nothing(self):
        refused = self.run_json("save", "/proc/self", "--memory", self.image, "--size", "1M")
        self.assertEqual((refused.status, refused.report["failure"]["cause"]), (FAILED, "not-savable"), refused)
        self.assertFalse(os.path.exists(self.image))
        self.save("--size", "1M")
        for words in ((), ("--erase",)):
            refused = self.run_json("load", "/proc", "--memory", self.image, *words)
            self.assertEqual(refused.status, FAILED, refused)
        self.assertEqual(self.run_program("check", "--memory", self.image, "--pfn", "1").status, INTACT)


class ImageSizes(HintTest):
    """The size that a refusal names is the smallest that does, with page 0 and what lies below 1 MiB left out."""

    def test_the_size_that_is_named_does(self):
        for extra, base in ((0, "0"), (0, "0x1000000"), (17 * MIB, "0"), (15 * MIB + 700_000, "0")):
            with self.subTest(extra=extra, base=base):
                (self.source / "large").write_bytes(os.urandom(extra))
                refused = self.save("--size=16K", f"--base={base}")
                self.assertEqual(refused.status, FAILED, refused)
                size = int(re.search(rb"an image with --size=(\d+)K has room for all of it", refused.err)[1])
                saved = self.save(f"--size={size}K", f"--base={base}")
                self.assertEqual((saved.status, saved.err), (INTACT, b""), saved)
                os.unlink(self.image)
                small = self.save(f"--size={size - 4}K", f"--base={base}")
                self.assertTrue(small.status == FAILED or b"has room for" in small.err, small)
                if os.path.exists(self.image):
                    os.unlink(self.image)


class DryRun(HintTest):
    def estimate(self, *words):
        told = self.run_json("save", str(self.source), "--dry-run", *words)
        self.assertEqual(told.status, INTACT, told)
        return told.report["estimate"]

    def test_nothing_is_written_and_a_range_of_that_size_does(self):
        for parity in (0, 5, 50):
            told = self.estimate(f"--parity={parity}")
            self.assertFalse(os.path.exists(self.image))
            self.assertEqual(told["bytes"], told["pages"] * chain.PAGE)
            # Page 0 of an image is none of a chain's.
            size = told["bytes"] + chain.PAGE
            saved = self.save(f"--size={size}", f"--parity={parity}")
            self.assertEqual((saved.status, saved.err), (INTACT, b""), saved)
            os.unlink(self.image)
            small = self.save(f"--size={size - chain.PAGE}", f"--parity={parity}")
            self.assertTrue(small.status == FAILED or b"has room for" in small.err, small)
            if os.path.exists(self.image):
                os.unlink(self.image)

    def test_the_parameter_has_room(self):
        told = self.estimate()
        amount = int(told["parameter"].removeprefix("memmap=").split("M!")[0])
        self.assertGreaterEqual(amount * MIB, told["bytes"])
        self.assertLess(amount * MIB, told["bytes"] + MIB)

    def test_what_would_be_left_out_is_said(self):
        os.symlink("file0", self.source / "link")
        told = self.run_program("save", str(self.source), "--dry-run", "--flat")
        self.assertEqual(told.status, INTACT)
        self.assertIn(b"link is left out", told.err)
        self.assertIn(b"memmap=1M!START", told.out)

    def test_a_stream_cannot_be_told(self):
        told = self.run_program("save", "--stdin", "dump", "--dry-run")
        self.assertEqual(told.status, FAILED, told)


class OnAMachine(BootTest):
    def test_a_region_the_wrong_way_round(self):
        self.memory = self.scratch / "memory"
        self.memory.write_bytes(bytes(MEMORY))
        start = 2 * START
        done = self.apart(f"memmap=1M$0x{start:x}", f"$pv erase --region 1M+{start:#x}", machine=True)
        self.assertIn(f"the start comes first: --region {start:#x}+0x100000", done.err.decode())
        self.assertEqual(HEAD, START // chain.PAGE)
