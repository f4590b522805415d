"""Every way in which a run cannot look, and the exit status of each; what one clear line on standard error says."""

import os
import shutil
import socket
import subprocess

import chain
from support import DAMAGED, FAILED, INTACT, PROGRAM, TIMEOUT, USAGE, CommandTest, grave, kinds, sample_files


class Sources(CommandTest):
    """Things that are no memory image."""

    def fails(self, path, *causes, **options):
        """The run cannot look: exit 8, one cause for machines, and one line for people that names the file."""
        result = self.run_json("check", "--memory", path, "--pfn", "10", **options)
        self.assertEqual(result.status, FAILED, result)
        self.assertEqual(result.report["verdict"], "indeterminate")
        self.assertIn(result.report["failure"]["cause"], causes, result)
        text = self.run_program("check", "--memory", path, "--pfn", "10", **options)
        self.assertEqual(text.status, FAILED, text)
        first = text.err.split(b"\n")[0]
        self.assertTrue(first.startswith(b"pram-verify: "), text)
        self.assertIn(os.path.basename(path).encode(), first)
        self.assertNotIn(b"intact", text.out)

    def test_no_file(self):
        self.fails(str(self.scratch / "nothing-here"), "no-such-file")
        self.fails(str(self.scratch / "no-directory" / "file"), "no-such-file")

    def test_no_file_and_no_head(self):
        result = self.run_json("check", "--memory", str(self.scratch / "nothing"))
        self.assertEqual((result.status, result.report["failure"]["cause"]), (FAILED, "no-such-file"), result)

    def test_a_dump_without_a_head_is_said_to_have_none(self):
        image, _ = self.chain_image(sample_files())
        result = self.run_program("check", "--memory", image)
        self.assertEqual(result.status, 0, result)
        self.assertIn(b"no head was named for the dump", result.err)

    def test_a_directory(self):
        self.fails(str(self.scratch), "not-a-file")

    def test_a_fifo_does_not_hang(self):
        path = str(self.scratch / "fifo")
        os.mkfifo(path)
        self.fails(path, "not-a-file")

    def test_a_socket(self):
        path = str(self.scratch / "socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            self.fails(path, "not-a-file")

    def test_character_devices(self):
        for path in ("/dev/null", "/dev/zero", "/dev/tty"):
            with self.subTest(path):
                self.fails(path, "not-a-file")

    def test_a_symbolic_link_to_nothing_and_to_itself(self):
        dangling, loop = self.scratch / "dangling", self.scratch / "loop"
        dangling.symlink_to("nothing")
        loop.symlink_to("loop")
        self.fails(str(dangling), "no-such-file")
        self.fails(str(loop), "input-output", "no-such-file", "not-a-file")

    def test_no_permission(self):
        image, _ = self.chain_image(sample_files())
        os.chmod(image, 0)
        # The user may reach the file and the program, but not read the file.
        self.scratch.chmod(0o755)
        program = self.scratch / "program"
        shutil.copy(PROGRAM, program)
        program.chmod(0o755)
        self.fails(image, "not-permitted", program=program, cwd="/",
                   prefix=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])

    def test_names_are_escaped(self):
        path = str(self.scratch / "a\x1b[2J\nb")
        result = self.run_json("check", "--memory", path, "--pfn", "1")
        self.assertIn("a\\x1b[2J\\x0ab", result.report["failure"]["message"])

    def test_a_path_that_is_too_long(self):
        self.assertEqual(self.run_json("check", "--memory", "x" * 5000, "--pfn", "1").status, FAILED)


class Targets(CommandTest):
    """What save cannot write into: each with its cause, named once, and what would help."""

    def refused(self, path, *words):
        result = self.run_program("save", "--memory", path, *words, str(self.scratch))
        self.assertEqual(result.status, FAILED, result)
        self.assertEqual(result.err.count(path.encode()), 1, result)
        return result.err.decode()

    def test_an_image_that_is_not_there(self):
        self.assertIn("--size", self.refused(str(self.scratch / "image")))

    def test_a_symbolic_link_to_nothing(self):
        os.symlink("nothing", self.scratch / "link")
        self.assertIn("a symbolic link that leads to no file", self.refused(str(self.scratch / "link"), "--size=1M"))
        self.assertEqual(os.listdir(self.scratch), ["link"])


class Images(CommandTest):
    """Files that hold less than a chain: the source opened, so what is missing is a finding, exit 4."""

    def found(self, path, pfn):
        result = self.run_json("check", "--memory", path, "--pfn", pfn)
        self.assertEqual(result.status, DAMAGED, result)
        return result.report

    def test_an_empty_file(self):
        path = self.scratch / "empty"
        path.touch()
        report = self.found(str(path), "10")
        self.assertEqual(grave(report)[0], ("page-not-in-source", "0x10"))
        self.assertEqual(report["verdict"], "indeterminate")

    def test_a_file_shorter_than_a_page(self):
        path = self.scratch / "short"
        path.write_bytes(b"x" * 4095)
        self.assertEqual(grave(self.found(str(path), "1"))[0], ("page-not-in-source", "0x1"))

    def test_truncated_at_every_page(self):
        files = [chain.File("a", b"a" * 5000), chain.File("b", b"b" * 3), chain.File("c", b"c" * 9000)]
        memory, head = chain.write_chain(files, iter(range(1, 100)), per_link=3)
        path = self.image(memory)
        self.assertEqual(self.run_json("check", "--memory", path, "--pfn", f"{head:x}").status, INTACT)
        for pages in range(max(memory), 0, -1):
            with self.subTest(pages=pages):
                os.truncate(path, pages * 4096)
                report = self.found(path, f"{head:x}")
                self.assertIn(f"{pages:#x}", [pfn for _, pfn in grave(report)])
                # Nothing is proved wrong: it is only not there.
                self.assertEqual(report["verdict"], "indeterminate")
                self.assertNotIn("data-checksum", kinds(report))
        os.truncate(path, 4096 + 17)
        self.assertIn(("page-not-in-source", "0x1"), grave(self.found(path, "1")))

    def test_an_image_at_its_own_base_address(self):
        memory, head = chain.write_chain(sample_files(), iter(range(0x10000, 0x20000)))
        path = self.image({pfn - 0x10000: page for pfn, page in memory.items()})
        for base in ("0x10000000", "268435456", "256M", "02000000000"):
            with self.subTest(base):
                result = self.run_json("check", "--memory", path, "--base", base, "--pfn", f"{head:x}")
                self.assertEqual(result.report["verdict"], "intact", result)
        result = self.run_json("check", "--memory", path, "--pfn", f"{head:x}")
        self.assertEqual(result.report["verdict"], "indeterminate")

    def test_a_wrong_call_names_the_help_of_its_command(self):
        for words, name in (
                (["check", "--bogus"], "check "), (["--bogus", "check"], "check "), (["check", "--base=5"], "check "),
                (["image", "list", "--bogus"], "image list "), (["image", "bogus"], "image "), (["--bogus"], ""),
                (["bogus"], ""), (["load"], "load "), (["check", "--memory"], "check "),
                (["list", "--damaged"], "list ")):
            result = self.run_program(*words)
            self.assertEqual(result.status, USAGE, words)
            self.assertTrue(result.err.endswith(f"\nTry: pram-verify {name}--help\n".encode()), (words, result))

    def test_what_would_be_ignored_is_refused(self):
        path, head = self.chain_image(sample_files())
        where = ["--memory", path, "--pfn", head]
        for words, both in (
                (["extract", "--stdout=a", "--force"], ("stdout", "force")),
                (["extract", "--stdout=a", "--devices"], ("stdout", "devices")),
                (["extract", "--stdout=a", "--preserve-mode"], ("stdout", "preserve-mode")),
                (["load", "--stdout=a", "--partial"], ("stdout", "partial")),
                (["load", "--stdout=a", "--erase"], ("stdout", "erase")),
                (["load", "--stdout=a", "--json"], ("stdout", "json"))):
            result = self.run_program(*words, *where)
            self.assertEqual((result.status, result.out), (USAGE, b""), (words, result))
            self.assertIn(f"--{both[0]} and --{both[1]} exclude each other\n".encode(), result.err)
        for words in (["check", "--base=0"], ["list", "--raw"], ["extract", "--unpack-limit=1M", str(self.scratch)]):
            result = self.run_program(*words)
            self.assertEqual((result.status, result.out), (USAGE, b""), (words, result))
            self.assertIn(b" goes with --memory\n", result.err)
        for words in (["save", "--again", "--dry-run"], ["save", "--kho", "--memory=x", "."],
                      ["rehearse", "--result", "--size=1M"], ["erase", "--device=/dev/pmem0", "--region=0+4K"]):
            result = self.run_program(*words)
            self.assertEqual((result.status, result.out), (USAGE, b""), (words, result))
            self.assertIn(b" exclude each other\n", result.err)

    def test_base_addresses_that_cannot_be(self):
        path, head = self.chain_image(sample_files())
        for base in ("x", "", "-1", "0x", "12x", " 1", "0x10000000000000000", "1", "0xfff", "0x1001"):
            with self.subTest(base):
                result = self.run_program("check", "--memory", path, "--base", base, "--pfn", head)
                self.assertEqual(result.status, USAGE, result)
        result = self.run_json("check", "--memory", path, "--base", "0xfffffffffffff000", "--pfn", head)
        self.assertEqual((result.status, result.report["failure"]["cause"]), (FAILED, "too-large"), result)

    def test_wrapped_images(self):
        path, head = self.chain_image(sample_files())
        plain = self.run_json("check", "--memory", path, "--pfn", head).report
        for tool, options in (("gzip", ["-n"]), ("xz", ["-0"]), ("zstd", ["-q"])):
            with self.subTest(tool):
                packed = str(self.scratch / f"image.{tool}")
                with open(packed, "wb") as out:
                    subprocess.run([tool, *options, "-c", path], stdout=out, check=True, timeout=TIMEOUT)
                report = self.run_json("check", "--memory", packed, "--pfn", head).report
                self.assertEqual(report["verdict"], "intact")
                self.assertEqual(report["files"], plain["files"])
                # The name says nothing, the content does; and no more is unpacked than was allowed.
                limited = self.run_json("check", "--memory", packed, "--pfn", head, "--unpack-limit", "64K")
                self.assertEqual((limited.status, limited.report["failure"]["cause"]), (FAILED, "too-large"), limited)
                with open(packed, "r+b") as out:
                    out.truncate(os.path.getsize(packed) - 9)
                cut = self.run_json("check", "--memory", packed, "--pfn", head)
                # What unpacks is judged; of one block that is cut nothing does.
                if tool == "zstd":
                    self.assertEqual((cut.status, cut.report["failure"]["cause"]), (FAILED, "malformed"), cut)
                else:
                    self.assertIn(cut.report["verdict"], ("intact", "indeterminate"), cut)
                    self.assertTrue([note for note in cut.report["memory"]["notes"] if "cut short" in note], cut)

    def test_a_raw_image_that_looks_like_something_else(self):
        """The first page of memory may hold anything, the start of a gzip file too."""
        memory, head = chain.write_chain(sample_files(), iter(range(16, 100)))
        for start in (b"\x1f\x8b\x08\0", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x7fELF\2\1\1", b"KDUMP   ", b"BZh9"):
            with self.subTest(start):
                image = self.image({**memory, 0: start.ljust(4096, b"\xff")})
                where = ["--memory", image, "--pfn", f"{head:x}"]
                self.assertEqual(self.run_json(*where, "--raw").report["verdict"], "intact")
                taken = self.run_json(*where)
                self.assertEqual(taken.status, FAILED, taken)
                self.assertIn(taken.report["failure"]["cause"], ("malformed", "unsupported"))

    def test_unpacking_leaves_nothing_behind(self):
        path, head = self.chain_image(sample_files())
        subprocess.run(["gzip", path], check=True, timeout=TIMEOUT)
        scratch = self.scratch / "tmp"
        scratch.mkdir()
        environment = {**os.environ, "TMPDIR": str(scratch)}
        self.run_json("check", "--memory", path + ".gz", "--pfn", head, env=environment)
        self.run_json("check", "--memory", path + ".gz", "--pfn", head, "--unpack-limit", "64K", env=environment)
        self.assertEqual(os.listdir(scratch), [])
        result = self.run_json("check", "--memory", path + ".gz", "--pfn", head,
                               env={**os.environ, "TMPDIR": str(self.scratch / "nothing")})
        self.assertEqual((result.status, result.report["failure"]["cause"]), (FAILED, "input-output"), result)
        self.assertIn("TMPDIR", result.report["failure"]["remedy"])


class Usage(CommandTest):
    """Calls that are wrong: exit 16, nothing on standard output, a line that says what is wrong."""

    def wrong(self, *words):
        result = self.run_program(*words)
        self.assertEqual(result.status, USAGE, result)
        self.assertEqual(result.out, b"")
        self.assertTrue(result.err.startswith(b"pram-verify: "), result)
        self.assertIn(b"--help", result.err)

    def test_wrong_calls(self):
        image, _ = self.chain_image(sample_files())
        memory = ("--memory", image)
        for words in (
            ["--nonsense"], ["-z"], ["destroy"], [""], ["check", "--memory"], ["--json=1"], ["check", "extra", *memory],
            ["extract", *memory, "--pfn", "10"], ["list", "x", *memory], ["check", "--force"], ["list", "--damaged"],
            ["extract", "d", "--links-only"], ["--threads", "0", *memory], ["--threads", "257", *memory],
            ["--threads", "-1", *memory], ["--threads", "two", *memory], ["--threads", "", *memory],
            ["--threads", "99999999999999999999", *memory], ["--unpack-limit", "much", *memory],
            ["--nonsense\x1b[2J\n"],
        ):
            with self.subTest(words=words):
                self.wrong(*words)

    def test_pfns_that_are_none(self):
        image, _ = self.chain_image(sample_files())
        for text in ("", "xyz", "0x", "1g", "-1", " 1", "1 ", "1_0", "0x1ffffffffffffffff", "10000000000000000",
                     "+-1", "0x0x1", "\xe9", "1\n\n", "--json"):
            with self.subTest(text):
                self.wrong("check", "--memory", image, "--pfn", text)

    def test_pfns_as_the_kernel_reads_them(self):
        image, head = self.chain_image(sample_files(), start=0x1b)
        self.assertEqual(head, "1b")
        for text in ("1b", "0x1b", "0X1B", "+1b", "+0x1b", "001B", "1b\n"):
            with self.subTest(text):
                report = self.run_json("check", "--memory", image, "--pfn", text).report
                self.assertEqual((report["verdict"], report["head"]), ("intact", {"origin": "option", "pfn": "0x1b"}))

    def test_pfn_zero_is_no_chain(self):
        image, _ = self.chain_image(sample_files())
        result = self.run_json("check", "--memory", image, "--pfn", "0")
        self.assertEqual((result.report["verdict"], result.status), ("absent", INTACT))

    def test_pfns_outside_of_everything(self):
        image, _ = self.chain_image(sample_files())
        for text in ("10000000000000", "ffffffffffffffff"):
            with self.subTest(text):
                report = self.run_json("check", "--memory", image, "--pfn", text).report
                self.assertEqual(grave(report), [("pfn-invalid", "0x" + text)])

    def test_help_and_version(self):
        for words, start in (
            (["--help"], b"Usage: pram-verify COMMAND"), (["-h"], b"Usage: pram-verify COMMAND"),
            (["check", "--help"], b"Example: pram-verify check "), (["extract", "-h"], b"Example: pram-verify extract "),
        ):
            result = self.run_program(*words)
            self.assertEqual((result.status, result.err), (INTACT, b""), result)
            self.assertTrue(result.out.startswith(start), result)

    def test_a_slip_of_the_pen_is_put_right(self):
        for words, hint in ((["chekc"], b"did you mean check?"), (["check", "--jsno"], b"did you mean --json?")):
            result = self.run_program(*words)
            self.assertEqual(result.status, 16, result)
            self.assertIn(hint, result.err)
        result = self.run_program("--version")
        self.assertEqual(result.status, INTACT)
        self.assertRegex(result.out, 
                         rb"^pram-verify [0-9]+\.[0-9]+\.[0-9]+ \(commit (unknown|[0-9a-f]{12}\+?), (full|embedded) Swift\)\n$")
