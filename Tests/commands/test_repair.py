"""Parity: what `save` writes of it, what `repair`, `check`, `extract`, `load` and `drop` make of it, on images."""

import os
import random
import subprocess

import chain
from support import DAMAGED, FAILED, INTACT, PROGRAM, USAGE, CommandTest, kinds

CORRECTED = 1
PAGE = 4096


class Repair(CommandTest):
    def setUp(self):
        super().setUp()
        self.source = self.scratch / "source"
        self.source.mkdir()
        self.contents = {"a": os.urandom(3_000_000), "b": os.urandom(700_001), "small": b"s"}
        for name, content in self.contents.items():
            (self.source / name).write_bytes(content)
        self.path = str(self.scratch / "image")
        self.dice = random.Random(15)

    def save(self, *words, size="6M"):
        saved = self.run_program("save", "--flat", str(self.source), "--memory", self.path, "--size", size, *words)
        self.assertEqual((saved.status, saved.out), (INTACT, b"pram=1\n"), saved)
        self.whole = self.bytes()
        return saved

    def bytes(self):
        with open(self.path, "rb") as image:
            return image.read()

    def overwrite(self, first, count=1):
        with open(self.path, "r+b") as image:
            os.pwrite(image.fileno(), self.dice.randbytes(count * PAGE), first * PAGE)

    def check(self, *words):
        return self.run_json("check", "--memory", self.path, "--pfn", "1", *words)

    def repair(self, *words):
        return self.run_json("repair", "--memory", self.path, *words)

    def assert_loads(self, *words):
        target = self.scratch / "target"
        result = self.run_json("load", str(target), "--memory", self.path, *words)
        self.assertEqual(result.status, INTACT, result)
        self.assertEqual({path.name: path.read_bytes() for path in target.iterdir()}, self.contents)
        return result

    def break_group(self):
        """One page more than comes back, all of one group and of file a. Returns nothing."""
        report = self.check().report
        parity = report["files"][-1]["pages"] - 1
        pages = report["counts"]["entries"] - parity - 2
        groups = parity // 8
        first = 2 + report["counts"]["links"]
        self.assertGreater(pages, 9 * groups)
        for column in range(1, 10):
            self.overwrite(first + column * groups)

    # What save writes

    def test_parity_is_a_file_that_nobody_restores(self):
        self.save()
        report = self.check().report
        self.assertEqual([(file["name"], file["parity"]) for file in report["files"]],
                         [("a", False), ("b", False), ("small", False), (".pram-parity", True)])
        text = self.run_program("check", "--memory", self.path, "--pfn", "1").out
        self.assertIn(b"files:   3, 3 intact\n", text)
        self.assertIn(b"parity:  intact, 49 pages\n", text)
        listed = self.run_program("list", "--memory", self.path, "--pfn", "1").out
        self.assertNotIn(b".pram-parity", listed)
        listed = self.run_program("list", "--all", "--memory", self.path, "--pfn", "1").out
        self.assertIn(b"-r--------  49  200704 intact        .pram-parity\n", listed)
        self.assert_loads()
        named = self.run_json("extract", str(self.scratch / "other"), ".pram-parity", "--memory", self.path,
                              "--pfn", "1")
        self.assertEqual(named.status, FAILED)
        self.assertFalse((self.scratch / "other" / ".pram-parity").exists())

    def test_a_chain_with_parity_is_one_by_the_documents(self):
        self.save()
        files = chain.read_files(lambda pfn: self.whole[pfn * PAGE:(pfn + 1) * PAGE], 1, strict=True)
        self.assertEqual(len(files.pop(b".pram-parity")), 49 * PAGE)
        self.assertEqual({name.decode(): bytes(content) for name, content in files.items()}, self.contents)

    def test_without_parity_the_chain_has_none(self):
        self.save("--parity=0")
        self.assertEqual(len(self.check().report["files"]), 3)
        self.overwrite(20)
        report = self.check().report
        self.assertNotIn("repair", report)
        self.assertEqual(self.repair().status, DAMAGED)

    def test_a_file_of_the_reserved_name_is_left_out(self):
        (self.source / ".pram-parity").write_bytes(b"mine")
        saved = self.save()
        self.assertIn(b".pram-parity is left out: its name is reserved for parity", saved.err)
        self.assert_loads()

    def test_in_a_tree_it_keeps_its_place_under_another_name_of_the_chain(self):
        (self.source / ".pram-parity").write_bytes(b"mine")
        saved = self.run_program("save", str(self.source), "--memory", self.path, "--size", "9M")
        self.assertEqual(saved.status, INTACT, saved)
        target = self.scratch / "tree"
        loaded = self.run_program("load", str(target), "--memory", self.path)
        self.assertEqual(loaded.status, INTACT, loaded)
        self.assertEqual((target / ".pram-parity").read_bytes(), b"mine")

    def test_load_erase_of_a_flat_chain_with_parity_clears_the_head(self):
        self.save()
        loaded = self.run_json("load", str(self.scratch / "again"), "--memory", self.path, "--erase")
        self.assertEqual((loaded.status, loaded.report["written"]["changed"]), (INTACT, True), loaded)

    def test_a_small_range_has_what_fits_and_that_is_said(self):
        saved = self.save(size="3860K")
        self.assertIn(b"parity pages", saved.err)
        run = int(saved.err.split(b"a run of ")[1].split()[0])
        self.assertIn(run, range(1, 48))
        self.overwrite(100, run)
        self.assertEqual(self.repair().status, CORRECTED)
        self.assertEqual(self.bytes(), self.whole)
        os.unlink(self.path)
        self.assertIn(b"no room for parity", self.save(size="3730K").err)
        self.assert_loads()

    def test_percentages(self):
        for percent, wrong in (("50", False), ("1", False), ("51", True), ("-1", True), ("x", True), ("", True)):
            result = self.run_program("save", str(self.source), "--memory", self.path, "--size", "9M", "--replace",
                                      f"--parity={percent}")
            self.assertEqual(result.status, USAGE if wrong else INTACT, result)

    # Repair

    def test_a_run_comes_back_wherever_it_lies(self):
        self.save()
        end = len(self.whole) // PAGE
        links = self.check().report["counts"]["links"]
        for first in (1, 2, 3, 1 + links, 400, 890, 910, end - 70, end - 48, end - 20):
            run = min(48, end - first)
            self.overwrite(first, run)
            damaged = self.bytes()
            plan = self.repair("--dry-run")
            self.assertEqual(self.bytes(), damaged)
            result = self.repair()
            # Between the last page and the parity file everything is free.
            for part in (slice(0, 916 * PAGE), slice(-61 * PAGE, None)):
                self.assertEqual(self.bytes()[part], self.whole[part], first)
            self.assertEqual(self.check().status, INTACT)
            if "repair" in result.report and result.report["repair"]["pages"]:
                self.assertEqual((plan.status, result.status), (DAMAGED, CORRECTED), first)
                self.assertEqual(result.report["repair"]["possible"], "all")
            self.assertEqual(self.repair().status, INTACT)

    def test_what_would_come_back_has_not_come_back_yet(self):
        """A plan ends as check does, whatever it is a plan for."""
        self.save()
        self.overwrite(200, 30)
        damaged = self.bytes()
        for words in (["check", "--pfn", "1"], ["repair", "--dry-run"], ["drop", "--dry-run"],
                      ["quarantine", "--dry-run"]):
            planned = self.run_json(*words, "--memory", self.path)
            self.assertEqual((planned.status, planned.report["verdict"], planned.report["repair"]["possible"]),
                             (DAMAGED, "damaged", "all"), words)
            self.assertEqual(self.bytes(), damaged)
        self.assertEqual(self.run_program("drop", "--memory", self.path).status, CORRECTED)
        self.assertEqual(self.bytes(), self.whole)

    def test_what_stays_lost_is_said_behind_a_partial_repair(self):
        """What a repair does not read again is what it has read or written itself, and nothing else."""
        self.save()
        self.break_group()
        # Of b, and of other groups: there are 6.
        self.overwrite(2 + self.check().report["counts"]["links"] + 6 * 125 + 1, 3)
        before = self.check().report
        after = self.repair("--partial")
        self.assertEqual((after.status, after.report["verdict"]), (DAMAGED, "damaged"))
        now = self.check().report
        self.assertEqual(kinds(now), kinds(after.report))
        self.assertLess(len(now["findings"]), len(before["findings"]))

    def test_scattered_pages_and_bits_come_back(self):
        self.save()
        for page in self.dice.sample(range(1, 910), 12):
            with open(self.path, "r+b") as image:
                place = page * PAGE + self.dice.randrange(PAGE)
                byte = os.pread(image.fileno(), 1, place)[0]
                os.pwrite(image.fileno(), bytes([byte ^ 1 << self.dice.randrange(8)]), place)
        looked = self.check()
        self.assertEqual((looked.status, looked.report["repair"]["possible"], looked.report["repair"]["done"]),
                         (DAMAGED, "all", False))
        text = self.run_program("check", "--memory", self.path, "--pfn", "1").out
        self.assertIn(b"repairable: all of it, by pram-verify repair\n", text)
        self.assertEqual(self.repair().status, CORRECTED)
        self.assertEqual(self.bytes(), self.whole)

    def test_what_does_not_all_come_back_is_not_begun(self):
        self.save()
        self.break_group()
        self.overwrite(2 + 6 + 734 + 2)  # a page of b, of another group or of the same
        damaged = self.bytes()
        result = self.repair()
        self.assertEqual(result.status, DAMAGED, result)
        self.assertEqual(self.bytes(), damaged)
        lost = {file["name"]: file["repairable"] for file in result.report["repair"]["files"]}
        self.assertFalse(lost["a"])
        partial = self.repair("--partial")
        self.assertEqual(partial.status, DAMAGED, partial)
        after = {file["name"]: file["status"] for file in self.check().report["files"]}
        self.assertEqual(after["a"], "damaged")
        self.assertEqual(after["b"], "intact" if lost["b"] else "damaged")

    # What protects the chain

    def found_lost(self, whole, pages):
        """Loses pages that no link lists: check says so, and repair makes them anew."""
        for page in pages:
            self.overwrite(page)
        damaged = self.bytes()
        looked = self.check()
        self.assertEqual((looked.status, looked.report["verdict"], kinds(looked.report)),
                         (INTACT, "intact", ["copies-lost"]), pages)
        plan = self.repair("--dry-run")
        self.assertEqual((plan.status, plan.report["written"]["changed"]), (INTACT, False), pages)
        self.assertEqual(self.bytes(), damaged)
        result = self.repair()
        self.assertEqual((result.status, result.report["written"]["changed"]), (CORRECTED, True), pages)
        self.assertEqual(self.bytes(), whole, pages)
        self.assertEqual(kinds(self.check().report), [])
        self.assertFalse(self.repair().report["written"]["changed"])
        return looked.report["findings"][0]["message"]

    def test_lost_protection_is_a_note_and_repair_renews_it(self):
        self.save()
        end = len(self.whole) // PAGE
        links = self.check().report["counts"]["links"]
        parity = 4
        mirror = end - 1 - parity - links
        for pages, words in (([2], "1 locator"), ([end - 1], "1 locator"), ([mirror], "1 copy of a link"),
                             ([end - 2], "1 page of links' parity"),
                             ([2, end - 1, mirror, mirror + 1], "2 locators and 2 copies of links")):
            message = self.found_lost(self.whole, pages)
            self.assertIn(f"({words})", message)
            self.assertIn("pram-verify repair", message)

    def test_lost_copies_of_a_chain_without_a_parity_file(self):
        self.source = self.scratch / "few"
        self.source.mkdir()
        (self.source / "a").write_bytes(os.urandom(20 * PAGE))
        saved = self.save(size="116K")
        self.assertIn(b"no room for parity: links come back", saved.err)
        end = len(self.whole) // PAGE
        for page in (2, end - 1, end - 2):
            self.found_lost(self.whole, [page])

    def test_locators_of_another_chain_are_in_nobodys_way(self):
        self.save()
        first = self.whole
        self.save("--replace")
        end = len(self.whole) // PAGE
        with open(self.path, "r+b") as image:
            for page in (2, end - 1):
                os.pwrite(image.fileno(), first[page * PAGE:(page + 1) * PAGE], page * PAGE)
        self.assertEqual(kinds(self.check().report), ["copies-lost"])
        self.overwrite(300, 3)
        self.assertEqual(self.check().report["repair"]["possible"], "all")
        self.assertEqual(self.repair().status, CORRECTED)
        self.assertEqual(self.bytes(), self.whole)

    def test_what_is_said_names_only_what_there_is(self):
        self.save()
        self.overwrite(300)
        planned = self.run_program("repair", "--memory", self.path, "--dry-run")
        self.assertEqual(planned.err.decode().splitlines(), [
            "pram-verify: a: repairable: 1 lost page, which comes back",
            "pram-verify: would be written anew: 1 page of the chain", "pram-verify: nothing was changed"])
        self.overwrite(2)
        done = self.run_program("repair", "--memory", self.path)
        self.assertEqual(done.err.decode().splitlines(), [
            "pram-verify: a: repaired: 1 lost page is back",
            "pram-verify: written anew: 1 page of the chain and 1 page beside it that protects it"])
        self.assertEqual(done.status, CORRECTED)

    def test_pages_of_files_that_stay_damaged_come_back_too(self):
        self.save()
        self.break_group()
        page = 2 + self.check().report["counts"]["links"] + 6 * 20 + 1
        whole = self.whole[page * PAGE:(page + 1) * PAGE]
        self.overwrite(page)
        damaged = self.bytes()
        looked = self.check()
        self.assertEqual([(file["name"], file["repairable"]) for file in looked.report["repair"]["files"]], [("a", False)])
        self.assertEqual(looked.report["repair"]["possible"], "some")
        refused = self.run_program("repair", "--memory", self.path)
        self.assertEqual(refused.status, DAMAGED)
        self.assertIn(b"nothing was changed: not all of it comes back\n", refused.err)
        self.assertIn(b"repair --partial writes what does: 1 page of the chain\n", refused.err)
        self.assertEqual(self.bytes(), damaged)
        partial = self.run_program("repair", "--memory", self.path, "--partial")
        self.assertEqual(partial.status, DAMAGED)
        self.assertIn(b"a: lost: 10 lost pages, of which 1 is back\n", partial.err)
        self.assertEqual(self.bytes()[page * PAGE:(page + 1) * PAGE], whole)
        again = self.run_program("repair", "--memory", self.path, "--partial")
        self.assertEqual(again.status, DAMAGED)
        self.assertIn(b"nothing was changed: too much is lost of the same groups\n", again.err)

    def test_an_image_that_is_cut_short_is_no_place_for_all_of_it(self):
        """What check, a plan and the act say of it agrees, and files come back on the way."""
        self.save()
        with open(self.path, "r+b") as image:
            image.truncate(len(self.whole) - 20 * PAGE)
        cut = self.bytes()
        looked = self.run_program("check", "--memory", self.path, "--pfn", "1")
        self.assertIn(b"repairable: all of it, by extract --repair\n", looked.out)
        for words in (["--dry-run"], []):
            refused = self.run_program("repair", "--memory", self.path, *words)
            self.assertEqual(refused.status, FAILED, refused)
            self.assertIn(b"does not lie in the range", refused.err)
            self.assertIn(b"with --repair\n", refused.err)
        self.assertEqual(self.bytes(), cut)
        self.overwrite(300, 2)
        self.assert_loads("--repair")
        partial = self.run_program("repair", "--memory", self.path, "--partial")
        self.assertEqual(partial.status, DAMAGED, partial)
        self.assertEqual(self.bytes()[300 * PAGE:302 * PAGE], self.whole[300 * PAGE:302 * PAGE])
        self.assertEqual(self.run_program("drop", "--cut", "--memory", self.path).status, CORRECTED)
        self.assertEqual(self.check().status, INTACT)
        self.assert_loads("--force")

    def test_who_restores_files_is_told_of_repair(self):
        self.save()
        self.overwrite(300, 3)
        target = self.scratch / "out"
        for words in (["load"], ["extract", "--pfn", "1"]):
            result = self.run_program(*words, "--memory", self.path, str(target), "--force")
            self.assertEqual(result.status, DAMAGED)
            self.assertIn(b"repairable: all of it, with --repair\n", result.out, words)
            poured = self.run_program(*words, "--memory", self.path, "--stdout=a")
            self.assertEqual((poured.status, poured.out), (DAMAGED, b""), words)
            self.assertIn(b"comes back with --repair\n", poured.err, words)
            whole = subprocess.run([PROGRAM, *words, "--memory", self.path, "--stdout=a", "--repair"],
                                   capture_output=True, timeout=60)
            self.assertTrue(whole.stdout == self.contents["a"], words)
        self.assertFalse((target / "a").exists())

    def test_readers_rebuild_on_the_way_and_write_nothing(self):
        self.save()
        self.overwrite(1, 40)
        damaged = self.bytes()
        target = self.scratch / "read"
        result = self.run_json("extract", str(target), "--repair", "--memory", self.path, "--pfn", "1")
        self.assertEqual((result.status, result.report["verdict"]), (INTACT, "intact"), result)
        self.assertTrue(result.report["repair"]["done"])
        self.assertEqual({path.name: path.read_bytes() for path in target.iterdir()}, self.contents)
        self.assert_loads("--repair")
        self.assertEqual(self.bytes(), damaged)
        without = self.run_json("extract", str(self.scratch / "none"), "--memory", self.path, "--pfn", "1")
        self.assertEqual(without.status, DAMAGED)

    # What gives way stays away

    def test_what_was_erased_stays_erased(self):
        self.save()
        self.assertEqual(self.run_json("erase", "--memory", self.path).status, INTACT)
        before = self.bytes()
        self.assertEqual(self.repair().status, DAMAGED)
        self.assertEqual((self.bytes(), kinds(self.check().report)), (before, ["no-chain"]))

    def test_drop_repairs_first_and_cuts_out_what_stays_lost(self):
        self.save()
        self.overwrite(300)
        self.assertEqual(self.run_json("drop", "--memory", self.path).status, CORRECTED)
        self.assertEqual(self.bytes(), self.whole)
        self.overwrite(300)
        dropped = self.run_json("drop", "--no-repair", "--memory", self.path)
        self.assertEqual(dropped.status, CORRECTED, dropped)
        self.assert_is_protected_without_a()

    def test_drop_of_what_comes_back_in_part(self):
        self.save()
        self.break_group()
        dropped = self.run_json("drop", "--memory", self.path)
        self.assertEqual(dropped.status, CORRECTED, dropped)
        self.assert_is_protected_without_a()

    def assert_is_protected_without_a(self):
        """What was left has parity of its own, and the head comes back as well as a run of the files' pages."""
        report = self.check().report
        self.assertEqual((report["verdict"], kinds(report)), ("intact", []))
        self.assertEqual([(file["name"], file["parity"]) for file in report["files"]],
                         [("b", False), ("small", False), (".pram-parity", True)])
        parity = report["files"][-1]["pages"] - 1
        left = self.bytes()
        file = self.whole.index(self.contents["b"][:PAGE]) // PAGE
        for first, count in ((1, 1), (file, parity), (len(left) // PAGE - 1 - parity, parity + 1)):
            with self.subTest(first=first, count=count):
                self.overwrite(first, count)
                repaired = self.repair()
                self.assertEqual((repaired.status, self.bytes()), (CORRECTED, left), repaired)
        del self.contents["a"]
        self.assert_loads()

    def test_what_is_quarantined_is_protected_from_then_on(self):
        self.save()
        self.overwrite(300)
        result = self.run_json("quarantine", "--no-repair", "--memory", self.path)
        self.assertEqual((result.status, result.report["written"].get("warnings", [])), (CORRECTED, []), result)
        left = self.bytes()
        self.overwrite(300)
        self.assertEqual((self.repair().status, self.bytes()), (CORRECTED, left))

    def test_a_cut_chain_gets_no_parity_where_it_had_none(self):
        self.save("--parity=0")
        self.overwrite(300)
        dropped = self.run_json("drop", "--memory", self.path)
        self.assertEqual((dropped.status, dropped.report["written"].get("warnings", [])), (CORRECTED, []), dropped)
        self.assertEqual([file["name"] for file in self.check().report["files"]], ["b", "small"])

    def test_drop_in_a_full_range_takes_the_place_of_what_protected_the_chain(self):
        """The range has just the pages that the chain takes, and the file that goes is the smallest."""
        self.save(size="3800K")
        had = self.check().report["files"][-1]["pages"]
        self.overwrite(self.whole.index(b"s" + bytes(PAGE - 1)) // PAGE)
        dropped = self.run_json("drop", "--no-repair", "--memory", self.path)
        self.assertEqual((dropped.status, dropped.report["written"]["atomic"]), (CORRECTED, True), dropped)
        parity = self.check().report["files"][-1]
        self.assertTrue(parity["parity"])
        # New links took pages first; those of the old ones were not free yet.
        self.assertLess(parity["pages"], had)
        self.assertEqual(dropped.report["written"]["warnings"], [
            f"the range has room for {parity['pages'] - 1} of 20 parity pages of what was left; "
            f"a run of {parity['pages'] - 1} lost pages comes back"])
        left = self.bytes()
        self.overwrite(100, parity["pages"] - 1)
        self.assertEqual((self.repair().status, self.bytes()), (CORRECTED, left))

    def test_parity_of_another_chain_is_said_and_not_used(self):
        parity = self.dice.randbytes(3 * PAGE)
        image, head = self.chain_image([chain.File("a", b"first"), chain.File(".pram-parity", parity, 0o100400)])
        report = self.run_json("check", "--memory", image, "--pfn", head).report
        self.assertEqual((report["verdict"], kinds(report)), ("intact", ["parity-stale"]))
        self.save()
        report = self.check().report
        self.assertEqual(kinds(report), [])

    # A lost head

    def lose_head(self):
        with open(self.path, "r+b") as image:
            os.pwrite(image.fileno(), bytes(PAGE), PAGE)

    def test_those_who_read_say_that_a_head_of_zeros_is_lost_where_a_locator_names_it(self):
        self.save()
        self.lose_head()
        for words in (["check"], ["load", str(self.scratch / "target")]):
            result = self.run_program(*words, "--memory", self.path, "--pfn", "1")
            self.assertNotEqual(result.status, INTACT, result)
            self.assertIn(b"a locator says that a chain begins there", result.out + result.err, words)

    def test_nothing_is_saved_over_a_chain_whose_head_is_lost(self):
        self.save()
        for lose in (self.lose_head, lambda: self.overwrite(1), lambda: self.overwrite(1, 2)):
            lose()
            before = self.bytes()
            result = self.run_program("save", str(self.source), "--memory", self.path)
            self.assertEqual(result.status, FAILED, result)
            self.assertIn(b"whose head is lost", result.err)
            self.assertEqual(self.bytes(), before)
        self.assertEqual(self.repair().status, CORRECTED)
        self.lose_head()
        result = self.run_program("save", str(self.source), "--memory", self.path, "--replace")
        self.assertEqual(result.status, INTACT, result)

    def test_erase_takes_away_what_would_bring_a_lost_head_back(self):
        self.save()
        self.lose_head()
        self.assertEqual(self.run_program("erase", "--memory", self.path, "--pfn", "1").status, INTACT)
        self.assertIn(b"no chain is there, or it was erased", self.run_program("check", "--memory", self.path, "--pfn", "1").out)
        self.assertEqual(self.repair("--pfn", "1").report["written"]["changed"], False)
        again = self.run_program("erase", "--memory", self.path, "--pfn", "1")
        self.assertIn(b"holds zeros already", again.out + again.err)
