"""Which chain is looked at: command lines read exactly as the kernel reads them."""

import os

import chain
from support import DAMAGED, FAILED, INTACT, CommandTest, kinds, sample_files

# Command line -> the head it names (None: no chain), and how many pram= on it the kernel cannot parse.
LINES = [
    (b"", None, 0),
    (b"quiet", None, 0),
    (b"pram=1b", 0x1B, 0),
    (b"  quiet\tpram=0x1B  ro", 0x1B, 0),
    (b"pram=1b\n", 0x1B, 0),
    (b"a=b\vpram=1b\fc\rd", 0x1B, 0),
    (b"pram=+1b", 0x1B, 0),
    # Quoting: anywhere; a leading quote of the value goes, and with it, never without it, a trailing one.
    (b'pram="1b"', 0x1B, 0),
    (b'"pram=1b"', 0x1B, 0),
    (b'x="a pram=22 b" pram=1b', 0x1B, 0),
    (b'x="a pram=1b', None, 0),
    (b'pram=1b"', None, 1),  # a value loses its last quote only with its first (next_arg)
    (b'pram="1b', 0x1B, 0),
    (b'pram=""1b""', None, 1),
    (b'pram="1b quiet"', None, 1),
    (b"pram='1b'", None, 1),
    # Byte 0xA0 separates, also within a letter of UTF-8.
    (b"x\xa0pram=1b\xa0y", 0x1B, 0),
    (b"\xc3\xa0pram=1b", 0x1B, 0),
    # Other parameters that only look alike.
    (b"xpram=22 foo.pram=22 pram_banned=0-1M pram2=22 PRAM=22", None, 0),
    (b"pra-m=22", None, 0),
    # The first = splits, never one at the very start.
    (b"pram=1b=2", None, 1),
    (b"=pram=1b", None, 0),
    # A bare -- ends the parameters.
    (b"quiet -- pram=1b", None, 0),
    (b"--x pram=1b", 0x1B, 0),
    (b'"--" pram=1b', None, 0),
    (b"pram=1b -- pram=22", 0x1B, 0),
    # The last one that parses wins.
    (b"pram=22 pram=1b", 0x1B, 0),
    (b"pram=1b pram=", 0x1B, 1),
    (b"pram=1b pram=xyz", 0x1B, 1),
    (b"pram=1b pram", 0x1B, 1),
    (b"pram=1b pram=0", None, 0),
    (b"pram=0 pram=1b", 0x1B, 0),
    # None that parses.
    (b"pram", None, 1),
    (b"pram=", None, 1),
    (b"pram=-1b", None, 1),
    (b"pram=1_b", None, 1),
    (b"pram=0x", None, 1),
    (b"pram=1bg", None, 1),
    (b"pram=10000000000000000", None, 1),
    (b"pram=x pram=y pram=z", None, 3),
    (b"pram=0", None, 0),
    (b"pram=ffffffffffffffff", 0xFFFFFFFFFFFFFFFF, 0),
]


class Head(CommandTest):
    def setUp(self):
        super().setUp()
        self.image_path, head = self.chain_image(sample_files(), start=0x1B)
        self.assertEqual(head, "1b")

    def expect(self, report, status, pfn, malformed, origin):
        self.assertEqual(report["head"], {"origin": origin, "pfn": None if pfn is None else hex(pfn)})
        self.assertEqual(kinds(report).count("malformed-parameter"), malformed, report["findings"])
        if pfn is None:
            self.assertEqual((report["verdict"], status), ("absent", INTACT))
        elif pfn == 0x1B:
            self.assertEqual((report["verdict"], status), ("intact", INTACT))
        else:
            self.assertEqual((report["verdict"], status), ("damaged", DAMAGED))

    def test_lines_as_text(self):
        for line, pfn, malformed in LINES:
            with self.subTest(line):
                result = self.run_json(b"check", b"--memory", self.image_path.encode(), b"--cmdline", line)
                self.expect(result.report, result.status, pfn, malformed, "command-line-text")

    def test_lines_in_a_file(self):
        path = self.scratch / "cmdline"
        for line, pfn, malformed in LINES:
            with self.subTest(line):
                path.write_bytes(line)
                result = self.run_json("check", "--memory", self.image_path, "--cmdline-file", str(path))
                self.expect(result.report, result.status, pfn, malformed, "command-line-file")

    def run_json(self, *words, **options):
        # Words of both kinds: command lines are bytes.
        return super().run_json(*(word if isinstance(word, str) else os.fsdecode(word) for word in words), **options)

    def test_a_malformed_parameter_is_quoted_escaped(self):
        report = self.run_json(b"--memory", self.image_path.encode(), b"--cmdline", b"pram=\x1b[2J").report
        messages = [f["message"] for f in report["findings"]]
        self.assertEqual(len(messages), 1)
        self.assertIn("pram=\\x1b[2J", messages[0])

    def test_pfn_goes_before_cmdline(self):
        report = self.run_json("--memory", self.image_path, "--pfn", "1b", "--cmdline", "pram=22").report
        self.assertEqual(report["head"], {"origin": "option", "pfn": "0x1b"})

    def test_the_running_kernels_line_is_the_default(self):
        with open("/proc/cmdline", "rb") as file:
            line = file.read()
        self.assertNotIn(b"pram", line, "these tests need a machine without a chain of its own")
        result = self.run_json("check", "--memory", self.image_path)
        self.assertEqual((result.report["verdict"], result.status), ("absent", INTACT))
        self.assertEqual(result.report["head"], {"origin": "proc-cmdline", "pfn": None})

    def test_files_that_are_no_command_line(self):
        fifo = str(self.scratch / "fifo")
        os.mkfifo(fifo)
        for path in (str(self.scratch / "nothing"), str(self.scratch), "/dev/zero"):
            with self.subTest(path):
                result = self.run_json("check", "--memory", self.image_path, "--cmdline-file", path)
                self.assertEqual(result.status, FAILED, result)
                self.assertIn(os.path.basename(path), result.report["failure"]["message"])

    def test_a_fifo_as_command_line_does_not_hang(self):
        fifo = str(self.scratch / "fifo")
        os.mkfifo(fifo)
        result = self.run_json("check", "--memory", self.image_path, "--cmdline-file", fifo)
        self.assertEqual(result.status, FAILED, result)

    def test_an_absent_chain_needs_no_memory(self):
        result = self.run_json("check", "--memory", str(self.scratch / "nothing"), "--cmdline", "quiet")
        self.assertEqual((result.report["verdict"], result.status), ("absent", INTACT))

    def test_an_erased_head_is_no_chain_and_nothing_behind_it_is_salvaged(self):
        memory, head = chain.write_chain(sample_files(), iter(range(0x20, 0x100)), per_link=4)
        noise = bytes((i * 73 + 19) & 0xFF for i in range(4096))
        # A page of zeros; one of which nothing fits; and a link of which neither magic nor checksum is left.
        for page in (bytes(4096), noise, noise[:8] + memory[head][8:]):
            with self.subTest(page[:8]):
                image = self.image({**memory, head: page}, "erased.img")
                result = self.run_json("check", "--memory", image, "--pfn", f"{head:x}")
                self.assertEqual((result.report["verdict"], result.status), ("damaged", DAMAGED))
                self.assertEqual(kinds(result.report), ["no-chain"])
                self.assertEqual((result.report["links"], result.report["files"]), ([], []))
                target = self.scratch / "out"
                self.run_program("extract", "--damaged", "--memory", image, "--pfn", f"{head:x}", str(target))
                self.assertEqual(os.listdir(target), [])
