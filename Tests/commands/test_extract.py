"""extract: exact content, holes, modes, names, and what is left behind when something goes wrong."""

import os
import resource
import signal
import stat
import time

import chain
from support import DAMAGED, FAILED, INTACT, CommandTest, mounted_tmpfs, sample_files


class Extract(CommandTest):
    def setUp(self):
        super().setUp()
        self.target = self.scratch / "out"

    def extract(self, files, *words, names=(), **options):
        """Lays `files` out as a chain and extracts them; returns the result with its report."""
        image, head = self.chain_image(files)
        return self.run_json("extract", "--memory", image, "--pfn", head, *words, str(self.target), *names, **options)

    def outcomes(self, result):
        return {e["name"]: e["outcome"] for e in result.report["extracted"]}

    def made(self):
        return sorted(os.listdir(self.target))

    def test_content_and_modes(self):
        result = self.extract(sample_files(), prefix=["sh", "-c", 'umask 077; exec "$0" "$@"'])
        self.assertEqual(result.status, INTACT, result)
        contents = {
            "one": b"1", "empty": b"", "page": bytes(range(256)) * 16, "page and one": b"\x5a" * 4097,
            "holes": b"first".ljust(40960, b"\0") + b"la\0",
        }
        self.assertEqual(self.made(), sorted(contents))
        for name, content in contents.items():
            self.assertEqual((self.target / name).read_bytes(), content, name)
        # The umask does not count: these are the modes that were stored.
        self.assertEqual(stat.S_IMODE((self.target / "page").stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE((self.target / "page and one").stat().st_mode), 0o755)
        self.assertEqual(stat.S_IMODE((self.target / "one").stat().st_mode), 0o644)

    def test_a_sparse_file_of_4_tib(self):
        last = (4 << 40) // 4096 - 1
        file = chain.File("sparse", size=4 << 40, pages={0: b"start", last // 2: b"middle", last: b"end"})
        # A file system that can hold it: tmpfs can, ext4 with its limit of 16 TiB too.
        started = time.monotonic()
        result = self.extract([file])
        self.assertEqual((result.status, self.outcomes(result)), (INTACT, {"sparse": "written"}), result)
        self.assertLess(time.monotonic() - started, 5)
        status = (self.target / "sparse").stat()
        self.assertEqual(status.st_size, 4 << 40)
        self.assertLess(status.st_blocks * 512, 1 << 20, "holes are filled")
        with open(self.target / "sparse", "rb") as made:
            self.assertEqual(made.read(6), b"start\0")
            self.assertEqual(os.pread(made.fileno(), 7, last // 2 * 4096), b"middle\0")
            self.assertEqual(os.pread(made.fileno(), 4096, last * 4096), b"end".ljust(4096, b"\0"))

    def test_a_size_that_the_file_system_refuses(self):
        file = chain.File("giant", size=(1 << 63) - 1, pages={})
        result = self.extract([file, chain.File("small", b"x")])
        self.assertEqual(result.report["verdict"], "intact", result)
        if "giant" in self.made():  # tmpfs takes it
            self.assertEqual((self.target / "giant").stat().st_size, (1 << 63) - 1)
        else:
            self.assertEqual((result.status, self.outcomes(result)["giant"]), (FAILED, "failed"))
        self.assertEqual((self.target / "small").read_bytes(), b"x")

    def test_what_lies_behind_the_end_of_the_file_stays_there(self):
        result = self.extract([chain.File("tail", size=10, pages={0: b"0123456789" + b"secret"})])
        self.assertEqual(result.status, INTACT)
        self.assertEqual((self.target / "tail").read_bytes(), b"0123456789")

    def test_pages_in_any_order(self):
        """Indexes descending and mixed: each page lands at its place."""
        pages = {index: bytes([index + 1]) * 4096 for index in range(9)}
        expected = b"".join(pages[index] for index in range(9))
        for order in (range(8, -1, -1), (4, 0, 8, 2, 6, 1, 7, 3, 5)):
            with self.subTest(order=list(order)):
                file = chain.File("file", size=9 * 4096, pages=pages)
                entries, memory = [], {}
                for at, (kind, index) in enumerate([(chain.META, 0), *((chain.DATA, index) for index in order)]):
                    page = file.meta_page() if kind == chain.META else pages[index]
                    memory[20 + at] = page
                    entries.append(chain.ENTRY.pack(kind, chain.crc32c(page), 20 + at, index))
                image = self.image({**memory, 16: chain.link_page(entries)})
                result = self.run_json("extract", "--force", "--memory", image, "--pfn", "10", str(self.target))
                self.assertEqual(result.status, INTACT, result)
                self.assertEqual((self.target / "file").read_bytes(), expected)

    def test_special_bits_are_dropped_or_kept(self):
        files = [chain.File("suid", b"x", mode=0o104755), chain.File("all", b"x", mode=0o107777)]
        self.extract(files)
        self.assertEqual(stat.S_IMODE((self.target / "suid").stat().st_mode), 0o755)
        self.assertEqual(stat.S_IMODE((self.target / "all").stat().st_mode), 0o777)
        self.extract(files, "--preserve-mode", "--force")
        self.assertEqual(stat.S_IMODE((self.target / "suid").stat().st_mode), 0o4755)
        self.assertEqual(stat.S_IMODE((self.target / "all").stat().st_mode), 0o7777)

    # Names

    def test_unsafe_names_are_refused(self):
        bad = [b"..", b".", b"a/b", b"/etc/x", b"../x", b"nul\0x"]
        result = self.extract([*(chain.File(name, b"bad") for name in bad), chain.File("good", b"good")], "--damaged")
        self.assertEqual(result.report["verdict"], "damaged")
        self.assertEqual(self.made(), ["good"])
        self.assertEqual(sorted(os.listdir(self.scratch)), ["memory.img", "out"])
        outcomes = [e["outcome"] for e in result.report["extracted"]]
        self.assertEqual(outcomes, ["refused"] * len(bad) + ["written"])

    def test_names_are_bytes(self):
        names = [b"\xff\xfe", "\u00e9".encode(), "e\u0301".encode(), b"a\nb", b"\x1b[2J", b"-rf", b"...", b"n" * 255,
                 b" "]
        result = self.extract([chain.File(name, name) for name in names])
        self.assertEqual(result.status, INTACT, result)
        target = os.fsencode(self.target)
        self.assertEqual(sorted(os.listdir(target)), sorted(names))
        for name in names:
            with open(os.path.join(target, name), "rb") as file:
                self.assertEqual(file.read(), name)

    def test_a_name_that_comes_twice(self):
        result = self.extract([chain.File("twin", b"first"), chain.File("twin", b"second")], "--damaged", "--force")
        self.assertEqual(result.report["verdict"], "damaged")
        self.assertEqual((self.target / "twin").read_bytes(), b"first")
        self.assertEqual([e["outcome"] for e in result.report["extracted"]], ["written", "refused"])

    def test_only_the_files_that_are_named(self):
        result = self.extract(sample_files(), names=["page", "one"])
        self.assertEqual((result.status, self.made()), (INTACT, ["one", "page"]))
        self.assertEqual(self.outcomes(result), {"one": "written", "page": "written"})

    def test_a_name_that_is_not_there(self):
        result = self.extract(sample_files(), names=["page", "missing", "page/../one"])
        self.assertEqual(result.status, FAILED, result)
        self.assertEqual(self.made(), ["page"])
        self.assertEqual(self.outcomes(result), {"page": "written", "missing": "failed", "page/../one": "failed"})

    # What is there already

    def test_existing_files_stay_without_force(self):
        self.target.mkdir()
        (self.target / "page").write_bytes(b"precious")
        result = self.extract(sample_files())
        self.assertEqual(result.status, FAILED, result)
        self.assertEqual((self.target / "page").read_bytes(), b"precious")
        self.assertEqual({n for n, o in self.outcomes(result).items() if o == "failed"}, {"page"})
        self.assertEqual(self.made(), sorted(["one", "empty", "page", "page and one", "holes"]))
        result = self.extract(sample_files(), "--force")
        self.assertEqual(result.status, INTACT, result)
        self.assertEqual((self.target / "page").read_bytes(), bytes(range(256)) * 16)

    def test_symbolic_links_are_not_followed(self):
        victim = self.scratch / "victim"
        victim.write_bytes(b"precious")
        self.target.mkdir()
        (self.target / "page").symlink_to(victim)
        (self.target / "one").symlink_to(self.scratch / "not-there")
        result = self.extract(sample_files())
        self.assertEqual(result.status, FAILED)
        result = self.extract(sample_files(), "--force")
        self.assertEqual(result.status, INTACT)
        self.assertEqual(victim.read_bytes(), b"precious")
        self.assertFalse((self.target / "page").is_symlink())
        self.assertFalse((self.scratch / "not-there").exists())

    def test_a_directory_in_the_way(self):
        (self.target / "page").mkdir(parents=True)
        for words in ([], ["--force"]):
            result = self.extract(sample_files(), *words)
            self.assertEqual((result.status, self.outcomes(result)["page"]), (FAILED, "failed"), result)
            self.assertTrue((self.target / "page").is_dir())
        self.assertEqual([name for name in self.made() if name.startswith(".")], [])

    def test_targets_that_are_no_directory(self):
        image, head = self.chain_image(sample_files())
        (self.scratch / "file").touch()
        for target in (self.scratch / "file", self.scratch / "no" / "where", ""):
            result = self.run_json("extract", "--memory", image, "--pfn", head, str(target))
            self.assertEqual((result.status, result.report["verdict"]), (FAILED, "indeterminate"), result)

    # Damage

    def damaged_image(self):
        """"bad" has lost its pages 1 and 3, "meta" its META page; "good" is sound."""
        files = [chain.File("bad", b"".join(bytes([i]) * 4096 for i in range(1, 6))), chain.File("good", b"good"),
                 chain.File("meta", b"x")]
        memory, head = chain.write_chain(files, iter(range(16, 100)))
        entries = chain.Link(head, memory[head]).entries
        for at in (2, 4, 8):
            page = bytearray(memory[entries[at].pfn])
            page[4000] ^= 1
            memory[entries[at].pfn] = bytes(page)
        return self.image(memory), f"{head:x}"

    def test_damaged_files_only_on_demand(self):
        image, head = self.damaged_image()
        result = self.run_json("extract", "--memory", image, "--pfn", head, str(self.target))
        self.assertEqual((result.status, self.made()), (DAMAGED, ["good"]))
        self.assertEqual([e["outcome"] for e in result.report["extracted"]], ["refused", "written", "refused"])

    def test_damaged_files_with_their_holes_listed(self):
        image, head = self.damaged_image()
        result = self.run_json("extract", "--damaged", "--memory", image, "--pfn", head, str(self.target))
        self.assertEqual(result.status & DAMAGED, DAMAGED, result)
        bad = [e for e in result.report["extracted"] if e["name"] == "bad"][0]
        self.assertEqual(bad["outcome"], "written-with-holes")
        self.assertRegex(bad["message"], r"^2 bad pages\b.*\b1, 3$")
        expected = b"\1" * 4096 + bytes(4096) + b"\3" * 4096 + bytes(4096) + b"\5" * 4096
        self.assertEqual((self.target / "bad").read_bytes(), expected)
        self.assertEqual((self.target / "good").read_bytes(), b"good")
        text = self.run_program("extract", "--damaged", "--force", "--memory", image, "--pfn", head, str(self.target))
        self.assertRegex(text.out, rb"\bbad: .*\b1, 3\n")

    def test_a_file_that_is_cut_is_not_called_written(self):
        """Three of its ten pages are there, the chain breaks off behind them: who extracts that must be told."""
        memory, head = chain.write_chain([chain.File("cut", b"x" * 40000)], iter(range(16, 100)), per_link=4)
        second = chain.walk(memory.__getitem__, head)[1].pfn
        image = self.image({**memory, second: bytes(4096)})
        result = self.run_json("extract", "--damaged", "--memory", image, "--pfn", f"{head:x}", str(self.target))
        self.assertEqual([f["status"] for f in result.report["files"]], ["incomplete"])
        cut, = result.report["extracted"]
        self.assertEqual(cut["outcome"], "written-with-holes", result.report["extracted"])
        self.assertIn("incomplete", cut["message"])
        self.assertEqual((self.target / "cut").read_bytes(), (b"x" * 3 * 4096).ljust(40000, b"\0"))

    def test_a_file_whose_meta_page_is_bad_is_not_named_by_it(self):
        """Name, size and mode of such a file are unverified: under --damaged too nothing may be written under such a name
        that an intact file has, and the report says what became of it."""
        files = [chain.File("good", b"good"), chain.File("gooe", b"evil")]
        memory, head = chain.write_chain(files, iter(range(16, 100)))
        page = bytearray(memory[head + 3])
        page[19] ^= 1  # the name becomes "good"
        memory[head + 3] = bytes(page)
        image = self.image(memory)
        for words in (["--damaged"], ["--damaged", "--force"]):
            result = self.run_json("extract", *words, "--memory", image, "--pfn", f"{head:x}", str(self.target))
            self.assertEqual((self.target / "good").read_bytes(), b"good", words)
            self.assertEqual(self.made(), ["good"])
            self.assertEqual(result.report["extracted"][1]["outcome"], "refused", result)

    # Running out of room

    def test_nothing_is_left_when_a_file_grows_too_large(self):
        def limited():
            resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, 64 << 10))

        files = [chain.File("small", b"s" * 5000), chain.File("large", b"l" * (256 << 10)), chain.File("last", b"x")]
        result = self.extract(files, preexec_fn=limited)
        self.assertEqual(result.status, FAILED, result)
        self.assertEqual(self.outcomes(result), {"small": "written", "large": "failed", "last": "written"})
        self.assertEqual(self.made(), ["last", "small"])
        self.assertEqual((self.target / "small").read_bytes(), b"s" * 5000)

    def test_nothing_is_left_on_a_full_file_system(self):
        self.target.mkdir()
        with mounted_tmpfs(self.target, "256k"):
            files = [chain.File("small", b"s" * 5000), chain.File("large", b"l" * (1 << 20)), chain.File("last", b"x")]
            result = self.extract(files)
            self.assertEqual(result.status, FAILED, result)
            self.assertEqual(self.outcomes(result), {"small": "written", "large": "failed", "last": "written"})
            large = [e for e in result.report["extracted"] if e["name"] == "large"][0]
            self.assertIn("No space left on device", large["message"])
            self.assertEqual(self.made(), ["last", "small"])

    def test_a_directory_that_may_not_be_written(self):
        self.target.mkdir()
        with mounted_tmpfs(self.target, "64k"):
            os.system(f"mount -o remount,ro {self.target}")
            result = self.extract(sample_files())
            self.assertEqual(result.status, FAILED, result)
            self.assertEqual(set(self.outcomes(result).values()), {"failed"})
            self.assertEqual(self.made(), [])

    def test_file_size_signals_are_ignored(self):
        """SIGXFSZ must not end the program even where it was inherited with its deadly default."""
        def limited():
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

        result = self.extract([chain.File("large", b"l" * 20000)], preexec_fn=limited)
        self.assertEqual((result.status, self.made()), (FAILED, []))
