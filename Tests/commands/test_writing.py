"""The commands that write, on images: what they leave, what they say, and how they end."""

import fcntl
import os
import stat

import chain
from support import DAMAGED, FAILED, INTACT, USAGE, CommandTest, kinds, statuses

CORRECTED = 1
MANIFEST = ".pram-manifest.mtree"


class Writing(CommandTest):
    def setUp(self):
        super().setUp()
        self.source = self.scratch / "source"
        self.source.mkdir()
        self.contents = {"a": os.urandom(100_000), "b": b"b" * 4096, "empty": b"", "page and one": b"p" * 4097}
        for name, content in self.contents.items():
            (self.source / name).write_bytes(content)
        (self.source / "a").chmod(0o4755)
        with open(self.source / "holes", "wb") as file:
            file.truncate(1 << 30)
            os.pwrite(file.fileno(), b"middle", 500_000_000)
        self.path = str(self.scratch / "image")

    def save(self, *words):
        # Parity has tests of its own.
        return self.run_program("save", str(self.source), "--memory", self.path, "--parity=0", *words)

    def damage(self, name):
        """Flips a bit in the first DATA page of a file."""
        report = self.run_json("check", "--memory", self.path, "--pfn", "1").report
        file = next(file for file in report["files"] if file["name"] == name)
        with open(self.path, "r+b") as image:
            entry = 4096 + 24 + 24 * (file["entry"] + 1)
            page = int.from_bytes(os.pread(image.fileno(), 8, entry + 8), "little")
            byte = os.pread(image.fileno(), 1, page * 4096 + 7)
            os.pwrite(image.fileno(), bytes([byte[0] ^ 16]), page * 4096 + 7)

    def test_what_is_saved_is_loaded_bit_by_bit(self):
        saved = self.save("--size", "2M")
        self.assertEqual((saved.status, saved.out), (INTACT, b"pram=1\n"), saved)
        target = self.scratch / "target"
        loaded = self.run_json("load", str(target), "--memory", self.path)
        self.assertEqual(loaded.status, INTACT, loaded)
        for name, content in self.contents.items():
            self.assertEqual((target / name).read_bytes(), content)
        self.assertEqual(stat.S_IMODE((target / "a").stat().st_mode), 0o755)
        holes = (target / "holes").stat()
        self.assertEqual(holes.st_size, 1 << 30)
        self.assertLess(holes.st_blocks * 512, 1 << 20)
        with open(target / "holes", "rb") as file:
            self.assertEqual(os.pread(file.fileno(), 6, 500_000_000), b"middle")

    def test_what_is_saved_is_a_chain_by_the_documents(self):
        self.save("--size", "2M")  # and once more, without the gigabyte of holes
        (self.source / "holes").unlink()
        self.save("--replace")
        with open(self.path, "rb") as image:
            data = image.read()
        files = chain.read_files(lambda pfn: data[pfn * 4096:(pfn + 1) * 4096], 1, strict=True)
        self.assertTrue(files.pop(MANIFEST.encode()).startswith(b"#mtree\n"))
        self.assertEqual({name.decode(): bytes(content) for name, content in files.items()}, self.contents)

    def test_a_range_that_holds_a_chain_is_not_saved_over(self):
        self.save("--size", "2M")
        self.damage("a")
        before = open(self.path, "rb").read()
        refused = self.save()
        self.assertEqual((refused.status, refused.out), (FAILED, b""), refused)
        self.assertIn(b"--replace", refused.err)
        self.assertEqual(open(self.path, "rb").read(), before)
        self.assertEqual(self.save("--replace").status, INTACT)

    def test_too_small_is_said_and_the_image_stays_as_it_was(self):
        refused = self.save("--size", "64K")
        self.assertEqual(refused.status, FAILED)
        self.assertIn(b"pages", refused.err)
        self.assertFalse(os.path.exists(self.path))
        with open(self.path, "wb") as image:
            image.write(bytes(8192))
        self.assertEqual(self.save("--size", "64K").status, FAILED)
        self.assertEqual(open(self.path, "rb").read(), bytes(8192))

    def test_what_the_format_cannot_hold_is_said(self):
        (self.source / "folder").mkdir()
        (self.source / "link").symlink_to("a")
        os.mkfifo(self.source / "fifo")
        saved = self.save("--size", "2M", "--flat")
        self.assertEqual(saved.status, INTACT, saved)
        for name in (b"folder", b"link", b"fifo"):
            self.assertIn(name + b" is left out", saved.err)

    def test_drop_loses_the_damaged_file_alone(self):
        self.save("--size", "2M")
        self.damage("a")
        plan = self.run_program("drop", "--memory", self.path, "--dry-run")
        self.assertEqual((plan.status, plan.out), (DAMAGED, b"pram=1\n"), plan)
        self.assertIn(b"a: dropped", plan.err)
        self.assertEqual(self.run_json("check", "--memory", self.path, "--pfn", "1").report["verdict"], "damaged")
        dropped = self.run_program("drop", "--memory", self.path)
        self.assertEqual((dropped.status, dropped.out), (CORRECTED, b"pram=1\n"), dropped)
        report = self.run_json("check", "--memory", self.path, "--pfn", "1").report
        self.assertEqual(report["verdict"], "intact")
        self.assertEqual({file["name"] for file in report["files"]}, {*self.contents, "holes", MANIFEST} - {"a"})
        again = self.run_json("drop", "--memory", self.path)
        self.assertEqual((again.status, again.report["written"]["changed"]), (INTACT, False))

    def test_quarantine_keeps_the_damaged_file_marked(self):
        self.save("--size", "2M")
        self.damage("a")
        self.assertEqual(self.run_json("quarantine", "--memory", self.path).status, CORRECTED)
        report = self.run_json("check", "--memory", self.path, "--pfn", "1").report
        self.assertEqual(statuses(report)["612e64616d61676564"], "quarantined")  # a.damaged
        target = self.scratch / "target"
        loaded = self.run_json("load", str(target), "--memory", self.path)
        self.assertEqual(loaded.status, DAMAGED, loaded)
        self.assertEqual(sorted(os.listdir(target)), sorted({*self.contents, "holes"} - {"a"}))

    def test_quarantine_keeps_the_second_file_of_a_name_under_another(self):
        first, second = os.urandom(5000), os.urandom(9000)
        image, head = self.chain_image([chain.File("a", first), chain.File("a", second), chain.File("b", b"b")])
        call = "--memory", image, "--pfn", head
        self.assertEqual(self.run_json("quarantine", *call).status, CORRECTED)
        report = self.run_json("check", *call).report
        self.assertEqual([(file["name"], file["status"]) for file in report["files"]],
                         [("a", "intact"), ("a.damaged", "quarantined"), ("b", "intact")])
        target = self.scratch / "target"
        self.run_program("extract", *call, "--damaged", str(target))
        self.assertEqual((target / "a").read_bytes(), first)
        self.assertEqual((target / "a.damaged").read_bytes(), second)

    def test_keep_holes_gives_the_second_file_of_a_name_another(self):
        image, head = self.chain_image([chain.File("a", b"first"), chain.File("a", b"second")])
        call = "--memory", image, "--pfn", head
        self.assertEqual(self.run_json("drop", *call, "--keep-holes").status, CORRECTED)
        report = self.run_json("check", *call).report
        self.assertEqual([(file["name"], file["status"]) for file in report["files"]],
                         [("a", "intact"), ("a.damaged", "quarantined")])

    def test_nothing_left_is_pram_0(self):
        for name in ("a", "empty", "page and one", "holes"):
            (self.source / name).unlink()
        self.save("--size", "2M", "--flat")
        self.damage("b")
        dropped = self.run_program("drop", "--memory", self.path)
        self.assertEqual((dropped.status, dropped.out), (CORRECTED, b"pram=0\n"), dropped)
        report = self.run_json("check", "--memory", self.path, "--pfn", "1").report
        self.assertEqual(kinds(report), ["no-chain"])

    def test_a_plan_says_what_would_come_and_that_nothing_was_changed(self):
        for name in ("a", "empty", "page and one", "holes"):
            (self.source / name).unlink()
        self.save("--size", "2M", "--flat")
        self.damage("b")
        before = open(self.path, "rb").read()
        plan = self.run_program("drop", "--memory", self.path, "--dry-run")
        self.assertEqual((plan.status, plan.out), (DAMAGED, b"pram=0\n"), plan)
        self.assertIn(b"nothing was changed", plan.err)
        self.assertEqual(open(self.path, "rb").read(), before)

    def test_where_no_chain_is_nothing_is_changed_and_that_is_said(self):
        with open(self.path, "wb") as image:
            image.write(os.urandom(65536))
        dropped = self.run_program("drop", "--memory", self.path)
        self.assertEqual(dropped.status, DAMAGED, dropped)
        self.assertIn(b"page 0x1 is no head of a chain, so nothing was changed", dropped.err)

    def test_refit_alone_hides_no_damage(self):
        self.save("--size", "2M")
        self.damage("a")
        refused = self.run_json("drop", "--memory", self.path, "--refit")
        self.assertEqual((refused.status, refused.report["failure"]["cause"]), (FAILED, "decision-needed"), refused)

    def test_erase_leaves_no_chain(self):
        self.save("--size", "2M")
        self.assertEqual(self.run_json("erase", "--memory", self.path).status, INTACT)
        with open(self.path, "rb") as image:
            self.assertEqual(os.pread(image.fileno(), 4096, 4096), bytes(4096))

    def test_load_erases_only_when_every_file_was_restored(self):
        self.save("--size", "2M")
        self.damage("a")
        target = str(self.scratch / "target")
        kept = self.run_json("load", target, "--memory", self.path, "--erase")
        self.assertEqual((kept.status, kept.report["written"]["changed"]), (DAMAGED, False), kept)
        self.run_program("drop", "--memory", self.path)
        loaded = self.run_json("load", str(self.scratch / "second"), "--memory", self.path, "--erase")
        self.assertEqual((loaded.status, loaded.report["written"]["pram"]), (INTACT, "0"), loaded)
        self.assertEqual(self.run_json("check", "--memory", self.path, "--pfn", "1").status, DAMAGED)

    def test_a_second_writer_and_a_reader_beside_a_writer_are_refused(self):
        self.save("--size", "2M")
        with open(self.path, "r+b") as image:
            fcntl.flock(image, fcntl.LOCK_EX)
            for words in (["drop"], ["erase"], ["check", "--pfn", "1"], ["load", str(self.scratch / "target")]):
                result = self.run_json(*words, "--memory", self.path)
                self.assertEqual((result.status, result.report["failure"]["cause"]), (FAILED, "locked"), words)
            line = self.run_program("cmdline", "--memory", self.path, "--cmdline", "quiet memmap=1M$4K pram=1")
            self.assertEqual((line.status, line.out), (FAILED, b"quiet memmap=1M$4K\n"), line)
            self.assertIn(b"is locked by", line.err)
            fcntl.flock(image, fcntl.LOCK_SH)
            self.assertEqual(self.run_program("check", "--pfn", "1", "--memory", self.path).status, INTACT)
            self.assertEqual(self.run_program("drop", "--memory", self.path).status, FAILED)

    def test_memory_of_this_machine_is_not_written_where_nothing_is_reserved(self):
        for words in (["save", str(self.source)], ["erase"], ["drop"]):
            result = self.run_json(*words)
            self.assertEqual(result.status, FAILED, result)

    def test_a_chain_that_starts_elsewhere_is_not_written_over_without_a_word(self):
        """Wherever its head can be found: on the image's first page, or where the call names it."""
        self.save("--size", "4M")
        before = self.check("1")
        refused = self.run_json("save", str(self.source), "--memory", self.path, "--region", "0x3000+0x200000")
        self.assertEqual((refused.status, refused.report["failure"]["cause"]), (FAILED, "holds-chain"), refused)
        self.assertEqual(self.check("1"), before)
        # Where nothing of it lies it is not in the way.
        beside = self.save("--region", "0x200000+0x200000")
        self.assertEqual((beside.status, beside.out), (INTACT, b"pram=200\n"), beside)
        self.assertEqual(self.check("1"), before)
        named = self.run_json("save", str(self.source), "--memory", self.path, "--region", "0x201000+0x1ff000",
                              "--pfn", "200")
        self.assertEqual((named.status, named.report["failure"]["cause"]), (FAILED, "holds-chain"), named)
        replaced = self.save("--region", "0x3000+0x1fd000", "--replace")
        self.assertEqual(replaced.status, INTACT, replaced)

    def check(self, head):
        report = self.run_json("check", "--memory", self.path, "--pfn", head).report
        self.assertEqual(report["verdict"], "intact")
        return [(file["name"], file["size"]) for file in report["files"]]

    def test_the_first_mebibyte_of_a_machine_is_left_alone(self):
        saved = self.save("--size", "16M")
        self.assertEqual((saved.status, saved.out), (INTACT, b"pram=100\n"), saved)
        loaded = self.run_json("load", str(self.scratch / "target"), "--memory", self.path)
        self.assertEqual((loaded.status, loaded.report["head"]["pfn"]), (INTACT, "0x100"), loaded)
        self.assertEqual(self.run_program("erase", "--memory", self.path).status, INTACT)
        with open(self.path, "rb") as image:
            self.assertEqual(image.read(1 << 20), bytes(1 << 20))

    def test_drop_puts_no_link_into_the_first_mebibyte(self):
        """There are free pages below; no kernel would take a link there."""
        self.save("--size", "4M", "--region", "0x200000+0x100000")
        report = self.run_json("check", "--memory", self.path, "--pfn", "200").report
        entry = next(file for file in report["files"] if file["name"] == "b")
        with open(self.path, "r+b") as image:
            at = 0x200000 + 24 + 24 * (entry["entry"] + 1)
            page = int.from_bytes(os.pread(image.fileno(), 8, at + 8), "little")
            os.pwrite(image.fileno(), b"x", page * 4096)
        dropped = self.run_program("drop", "--memory", self.path, "--pfn", "200")
        self.assertEqual(dropped.status, CORRECTED, dropped)
        links = self.run_json("check", "--memory", self.path, "--pfn", "200").report["links"]
        self.assertTrue(links)
        self.assertGreaterEqual(min(int(link["pfn"], 16) for link in links), 0x100)

    def test_what_an_ended_extraction_left_is_no_file_of_the_user(self):
        (self.source / ".pram-verify-4194303-1.tmp").write_bytes(b"half")
        saved = self.save("--size", "2M")
        self.assertEqual(saved.status, INTACT, saved)
        self.assertIn(b".pram-verify-4194303-1.tmp is left out", saved.err)

    def test_calls_that_make_no_sense(self):
        for words in (["save"], ["load"], ["erase", "x"], ["drop", "--salvage", "--cut"], ["save", "x", "--size", "-1"],
                      ["check", "--replace"], ["save", "x", "--region", "nonsense", "--memory", self.path]):
            self.assertEqual(self.run_program(*words).status, USAGE, words)
