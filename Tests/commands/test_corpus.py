"""The images that the RFC's own code wrote: the verdict, every file, and the place of every damage."""

import gzip
import hashlib
import itertools
import json
import lzma
import os

from support import FIXTURES, INTACT, CommandTest, grave

CORPUS = FIXTURES / "corpus"
CASES = json.loads((CORPUS / "manifest.json").read_text())["cases"]

# What the manifest calls a damage -> what the report may call it.
KINDS = {
    "link_magic": {"link-magic", "no-chain"},
    "link_csum": {"link-checksum", "link-indeterminate"},
    "link_len_over": {"link-length"}, "link_len_zero": {"link-length"},
    "link_loop": {"link-loop"},
    # Which of the two a page outside of the image is depends on the number alone.
    "link_range": {"page-not-in-source", "pfn-invalid"}, "entry_range": {"page-not-in-source", "pfn-invalid"},
    "head_range": {"page-not-in-source"},
    "data_csum": {"data-checksum"}, "meta_csum": {"meta-checksum"},
    "meta_size": {"meta-size"}, "meta_mode": {"meta-mode"}, "meta_name_len": {"meta-name-length"},
    "meta_name": {"meta-name"}, "dup_name": {"duplicate-name"}, "dup_index": {"duplicate-index"},
    "alias": {"page-shared"}, "orphan_data": {"data-before-meta"}, "entry_type": {"entry-type"},
}

# The manifest names no places for these: what the report must find all the same.
TRUNCATED = {"t_cut_data": "page-not-in-source", "t_cut_partial_page": "page-not-in-source"}


class Corpus(CommandTest):
    """One test for each image; made below."""

    def judge(self, case):
        expected = case["expected"]
        image = self.scratch / "memory.img"
        image.write_bytes(gzip.decompress((CORPUS / case["image"]).read_bytes()))
        where = ["--memory", str(image), "--cmdline", "pram=" + case["pram"]]
        result = self.run_json("check", *where)
        report = result.report

        if expected["ok"] is True:
            self.assertEqual((report["verdict"], result.status), ("intact", INTACT), result)
        if expected["ok"] is False:
            self.assertNotIn(report["verdict"], ("intact", "absent"), result)
            self.assertNotEqual(result.status, 0)
        # Two files may have one name: a dictionary of names would lose one.
        intact = {file["name_hex"] for file in report["files"] if file["status"] == "intact"}
        if expected["ok"] is not None:
            self.assertEqual(set(expected["intact"]) - intact, set(), "good files are not called intact")
        self.assertEqual(set(expected["not_intact"]) & intact, set(), "bad files are called intact")
        self.assertLessEqual(intact, set(expected["stored"]) | set(expected["either"]), "files nobody stored")
        for file in report["files"]:
            stored = expected["stored"].get(file["name_hex"])
            if file["status"] == "intact" and stored:
                self.assertEqual((file["size"], int(file["mode"], 8)), (stored["size"], int(stored["mode"], 8)))
        if report["verdict"] != "absent" and "no-chain" not in {kind for kind, _ in grave(report)} and report["links"]:
            self.assertEqual(report["layout"], "x86-64" if case["layout"] == "x86_64" else "i386")

        self.find_damage(expected["bad"], report, case["name"])
        self.extract(where, report, expected["stored"], intact)

    def find_damage(self, bad, report, name):
        """Every damage of the manifest is in the report, with its place."""
        found = [(f["kind"], f["link"], f["entry"], f["pfn"]) for f in report["findings"]]
        for damage in bad:
            entry = damage.get("entry_index")
            pfn = damage.get("pfn") if entry is not None else damage.get("link_pfn")
            matches = [
                f for f in found
                if f[0] in KINDS[damage["kind"]] and f[1] == damage.get("link_index", 0) and f[2] == entry
                and (pfn is None or f[3] == hex(pfn))]
            self.assertTrue(matches, f"{damage} is not among {found}")
        if name in TRUNCATED:
            self.assertIn(TRUNCATED[name], {f[0] for f in found})

    def extract(self, where, report, stored, intact):
        """Exactly the intact files come out, with the content that was stored."""
        target = self.scratch / "out"
        self.run_program("extract", *where, str(target))
        made = {os.fsencode(name).hex() for name in os.listdir(target)} if target.exists() else set()
        self.assertEqual(made, intact)
        for name in intact & set(stored):
            path = os.path.join(os.fsencode(target), bytes.fromhex(name))
            self.assertEqual(os.stat(path).st_size, stored[name]["size"])
            if stored[name]["size"] <= 64 << 20 and stored[name].get("sha256"):
                with open(path, "rb") as file:
                    self.assertEqual(hashlib.sha256(file.read()).hexdigest(), stored[name]["sha256"], name)

    def test_all_images_are_here(self):
        self.assertEqual(len(CASES), 51)
        self.assertEqual({case["image"] for case in CASES}, {f"images/{p.name}" for p in (CORPUS / "images").iterdir()})


for _case in CASES:
    setattr(Corpus, f"test_{_case['name']}", lambda self, case=_case: self.judge(case))


class Capture(CommandTest):
    """Memory of a machine whose kernel has reserved the chain and cleared its LRU flags."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.known = json.loads((FIXTURES / "captures/pram-kernel-after-reserve.json").read_text())
        cls.packed = FIXTURES / "captures/pram-kernel-after-reserve.img.xz"

    def where(self):
        return ["--memory", str(self.packed), "--pfn", self.known["pram_pfn"]]

    def test_all_files_are_intact(self):
        result = self.run_json("check", *self.where())
        report = result.report
        self.assertEqual((report["verdict"], result.status), ("intact", INTACT), report["findings"])
        files = {bytes.fromhex(f["name_hex"]).decode(): f for f in report["files"]}
        self.assertEqual(set(files), set(self.known["files"]))
        for name, stored in self.known["files"].items():
            file = files[name]
            self.assertEqual((file["status"], file["size"], int(file["mode"], 8)),
                             ("intact", stored["size"], int(stored["mode"], 8)))
        self.assertEqual((report["counts"]["links"], report["counts"]["entries"]), (11, 1718))

    def test_the_reading_of_each_link_is_named(self):
        links = self.run_json("check", *self.where()).report["links"]
        readings = [link["reading"] for link in links]
        self.assertEqual({r: readings.count(r) for r in set(readings)},
                         {"as-is": 3, "all-restored": 3, "interval-restored": 5})
        self.assertEqual({link["interval"]["order"] for link in links if "interval" in link}, {"pfn"})

    def test_all_files_are_extracted(self):
        target = self.scratch / "out"
        result = self.run_program("extract", *self.where(), str(target))
        self.assertEqual(result.status, INTACT, result)
        found = {path.name: path for path in target.iterdir()}
        self.assertEqual(set(found), set(self.known["files"]))
        for name, stored in self.known["files"].items():
            self.assertEqual(hashlib.sha256(found[name].read_bytes()).hexdigest(), stored["sha256"], name)
            self.assertEqual(found[name].stat().st_mode & 0o7777, int(stored["mode"], 8) & 0o777, name)

    def test_one_flipped_bit_is_found_behind_restored_flags(self):
        """Restoring flags must not restore damage: a flipped bit in each link, and in its first page, is seen."""
        path = self.scratch / "memory.img"
        with lzma.open(self.packed) as packed, open(path, "wb") as file:
            for place in itertools.count(0, 4096):
                page = packed.read(4096)
                if any(page):
                    os.pwrite(file.fileno(), page, place)
                if not page:
                    file.truncate(place)
                    break
        links = self.run_json("check", "--memory", str(path), "--pfn", self.known["pram_pfn"]).report["links"]
        for link in links:
            # The next link's number, the length, the checksum, the index of an entry, the slack at the end of the page.
            for offset, bit in ((16, 0), (8, 3), (4, 7), (24 + 16, 2), (4090, 5)):
                with self.subTest(link=link["link"], offset=offset):
                    place = int(link["pfn"], 16) * 4096 + offset
                    with open(path, "r+b", buffering=0) as file:
                        before = os.pread(file.fileno(), 1, place)
                        os.pwrite(file.fileno(), bytes([before[0] ^ 1 << bit]), place)
                        result = self.run_json("check", "--memory", str(path), "--pfn", self.known["pram_pfn"])
                        os.pwrite(file.fileno(), before, place)
                    self.assertNotEqual(result.report["verdict"], "intact")
                    self.assertIn(link["pfn"], [pfn for _, pfn in grave(result.report)])
