"""`map`: the picture of memory, on pipes, on terminals, as SVG."""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
import xml.etree.ElementTree as ElementTree

import chain
import machines
from support import DAMAGED, FAILED, INTACT, PROGRAM, ROOT, TIMEOUT, USAGE, CommandTest, Result, sample_files

SVG = "{http://www.w3.org/2000/svg}"


def environment(**more):
    """No variable of the one who runs the tests."""
    return {"PATH": os.environ["PATH"], **more}


class MapTest(CommandTest):
    def run_map(self, *words, env=None, **options):
        return self.run_program("map", *words, env=environment(**(env or {})), **options)

    def files(self, count=20):
        return [chain.File(f"file{number}", bytes([number + 1]) * (4096 * (number + 1))) for number in range(count)]

    def damaged(self, files, *offsets):
        """An image with the chain at page 16, and damage in the pages so far behind the head."""
        memory, head = chain.write_chain(files, iter(range(16, 1 << 40)))
        for offset in offsets:
            page = bytearray(memory[head + offset])
            page[7] ^= 0x10
            memory[head + offset] = bytes(page)
        return self.image(memory, "damaged.img", pages=512), f"{head:x}"

    def on_terminal(self, columns, *words, env):
        """What the program writes to a terminal of so many columns, and its exit status."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        process = subprocess.Popen(
            [str(PROGRAM), "map", *words], stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.PIPE, env=env)
        os.close(slave)
        text, end = b"", time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            if not select.select([master], [], [], 0.2)[0]:
                continue
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            text += piece
        os.close(master)
        err = process.stderr.read()
        process.stderr.close()
        return Result(process.wait(TIMEOUT), text.replace(b"\r\n", b"\n"), err)


class Plain(MapTest):
    def test_a_recorded_machine(self):
        root = machines.record(self.scratch / "machine", efi=machines.EFI, initrd=machines.INITRD)
        result = self.run_map("--root", root)
        self.assertEqual(result.status, INTACT, result)
        lines = result.out.decode().replace(root, "DIR").splitlines()
        free = " 0x{:x} " + ":" * 64
        self.assertEqual(lines, [
            "verdict: not looked at",
            "root:    DIR",
            "head:    page 0x10000, from /proc/cmdline",
            "",
            "All memory: 0x0-0x47fffffff, 18.0 GiB; a block is 64.0 MiB",
            "        0x0 KK..:...................CCCC.IE---------------------------------",
            "0x100000000 " + "." * 64,
            "0x200000000 BBBBBBBB" + "." * 56,
            "0x300000000 " + "." * 64,
            "0x400000000 " + "P" * 32,
            "",
            "The reserved range: 0x10000000-0x13ffffff, 64.0 MiB; a block is 128.0 KiB",
            *(free.format(0x10000000 + row * 0x800000) for row in range(8)),
            "",
            "- devices and firmware       2.0 GiB",
            ". System RAM                13.0 GiB",
            "E EFI and ACPI               4.4 MiB",
            "P persistent memory          2.0 GiB",
            ": reserved                  64.0 MiB",
            "K kernel                    26.1 MiB",
            "I initrd                    48.0 MiB",
            "C crash kernel             256.0 MiB",
            "B banned                   512.0 MiB",
            "  in all                    17.9 GiB",
        ])
        self.assertIn(b"--memory", result.err)

    def test_a_dump_with_one_damaged_page(self):
        image, head = self.damaged(self.files(), 150)
        result = self.run_map("--memory", image, "--pfn", head)
        self.assertEqual(result.status, DAMAGED, result)
        self.assertEqual(result.out.decode().replace(image, "IMAGE").splitlines(), [
            "verdict: damaged",
            "memory:  IMAGE (raw image)",
            "head:    page 0x10, from --pfn",
            "",
            "The dump: 0x0-0x1fffff, 2.0 MiB; a block is 4.0 KiB",
            "     0x0 " + "." * 16 + "L" + "=" * 47,
            " 0x40000 " + "=" * 64,
            " 0x80000 " + "=" * 38 + "X" + "=" * 19 + "L" + "=" * 5,
            " 0xc0000 " + "=" * 56 + "." * 8,
            *(f"0x{row:x} " + "." * 64 for row in range(0x100000, 0x200000, 0x40000)),
            "",
            ". held by the dump           2.0 MiB    = intact                   229 pages",
            "  in all                     2.0 MiB    L links                      2 pages",
            "                                        X damaged                     1 page",
            "                                          in all                   232 pages",
            "",
            "damaged: page 0xa6, in file15",
        ])
        self.assertIn(b"the chain is damaged", result.err)

    def test_the_exit_status_is_that_of_check(self):
        good, head = self.chain_image(self.files(), "good.img")
        bad, _ = self.damaged(self.files(), 5)
        for words in (["--memory", good, "--pfn", head], ["--memory", bad, "--pfn", head],
                      ["--memory", good, "--pfn", "77"], ["--memory", good, "--pfn", "7777777"],
                      ["--memory", good, "--pfn", "0"], ["--memory", good, "--cmdline", "quiet"],
                      ["--memory", "/nothing", "--pfn", "1"], ["--memory", good, "--pfn", "x"],
                      ["--threads", "0"], ["what"]):
            with self.subTest(words=words):
                check = self.run_program("check", *words, env=environment())
                found = self.run_map(*words)
                self.assertEqual(found.status, check.status, found)
        for word in ("--links-only", "--json", "--timeout=1", "--force"):
            self.assertEqual(self.run_map(word).status, USAGE)

    def test_a_chain_without_pages_that_can_be_told(self):
        """What cannot be looked at is neither damaged nor intact."""
        memory, head = chain.write_chain(self.files(5), iter(range(16, 99)))
        image = self.image({pfn: page for pfn, page in memory.items() if pfn < 24}, "short.img")
        result = self.run_map("--memory", image, "--pfn", f"{head:x}")
        self.assertEqual(result.status, DAMAGED, result)
        self.assertRegex(result.out, rb"\? not known +13 pages")
        self.assertIn(b"outside of what is drawn: 13 pages", result.out)

    def test_behind_a_broken_link_nothing_is_called_intact(self):
        memory, head = chain.write_chain(self.files(), iter(range(16, 999)))
        memory[head] = memory[head][:100] + b"\xff\xff" + memory[head][102:]
        result = self.run_map("--memory", self.image(memory), "--pfn", f"{head:x}")
        self.assertEqual(result.status, DAMAGED, result)
        self.assertNotRegex(result.out, rb"= intact")

    def test_the_kernels_own_reading_of_a_chain_is_intact(self):
        """Links that only their pages vouch for count in the end."""
        image = str(ROOT / "Tests/fixtures/captures/pram-kernel-after-reserve.img.xz")
        result = self.run_map("--memory", image, "--pfn", "9b79")
        self.assertEqual(result.status, INTACT, result)
        self.assertRegex(result.out, rb"= intact +1718 pages")
        self.assertRegex(result.out, rb"L links +11 pages")

    def test_a_small_chain_in_a_large_dump(self):
        """The dump as a whole, and the chain beside it."""
        memory, head = chain.write_chain(self.files(), iter(range(0x10000, 0x20000)))
        page = bytearray(memory[head + 100])
        page[0] ^= 1
        memory[head + 100] = bytes(page)
        image = self.image(memory, pages=1 << 22)
        result = self.run_map("--memory", image, "--pfn", f"{head:x}")
        self.assertEqual(result.status, DAMAGED, result)
        whole, part = re.split(r"\nThe chain: ", result.out.decode())
        self.assertIn("The dump: 0x0-0x3ffffffff, 16.0 GiB; a block is 32.0 MiB\n        0x0 ........X....", whole)
        self.assertTrue(part.startswith("0x10000000-0x100e7fff, 928.0 KiB; a block is 4.0 KiB\n"), part[:90])
        self.assertEqual(part.split("\n\n")[0].count("X"), 1)

    def test_the_ranges_of_a_command_line(self):
        image, head = self.chain_image(self.files(), start=256)
        line = f"memmap=1M$1M pram_banned=0x0-0x10000 pram={head}"
        result = self.run_map("--memory", image, "--cmdline", line)
        self.assertEqual(result.status, INTACT, result)
        self.assertIn(b"0x0 BBBBBBBBBBBBBBBB....", result.out)
        self.assertRegex(result.out, rb"(?m)^: reserved ")

    def test_a_repairable_chain(self):
        folder, image = self.scratch / "tree", str(self.scratch / "m.img")
        folder.mkdir()
        for number in range(12):
            (folder / f"f{number}").write_bytes(os.urandom(50_000))
        self.assertEqual(self.run_program("save", "--memory", image, "--size", "4M", str(folder)).status, INTACT)
        where = ["--memory", image, "--pfn", "1"]
        whole = self.run_map(*where)
        self.assertEqual(whole.status, INTACT, whole)
        self.assertNotRegex(whole.out, rb"(?m)^.{40}[X+?] |^[X+?] ")
        pages = sum(map(int, re.findall(rb"(?:intact|parity|links|repairable) +(\d+) pages?", whole.out)))
        self.assertRegex(whole.out, rb"(?m)  in all +%d pages$" % pages)
        with open(image, "r+b") as file:
            for page in (1, 40, 41):  # the head among them
                file.seek(page * 4096)
                file.write(os.urandom(4096))
        result = self.run_map(*where)
        self.assertEqual(result.status, DAMAGED, result)
        self.assertRegex(result.out, rb"\+ lost, repairable +3 pages")
        self.assertNotRegex(result.out, rb"X damaged")
        self.assertIn(b"repairable: all of it", result.out)
        again = sum(map(int, re.findall(rb"(?:intact|parity|links|repairable) +(\d+) pages?", result.out)))
        self.assertEqual(again, pages)

    def test_recorded_machines_that_tell_little(self):
        """What a machine does not tell leaves a gap, and a sentence where it matters."""
        hidden = re.sub(r"[0-9a-f]+-[0-9a-f]+ :", "00000000-00000000 :", machines.IOMEM)
        for iomem, said in ((None, "does not exist"), (hidden, "shows no addresses"), ("garbage\n", "names no range")):
            with self.subTest(said=said):
                root = machines.record(self.scratch / f"machine{len(said)}", iomem=iomem, firmware=None)
                result = self.run_map("--root", root)
                self.assertEqual(result.status, INTACT, result)
                self.assertIn(said.encode(), result.out)
                self.assertNotIn(b"dump", result.out)
        root = machines.record(self.scratch / "bare", line=None, firmware=None)
        result = self.run_map("--root", root)
        self.assertEqual(result.status, INTACT, result)
        self.assertIn(b"All memory: 0x0-0x47fffffff", result.out)
        self.assertNotIn(b": reserved", result.out)

    def test_the_head_is_said_to_come_from_the_machine(self):
        root = machines.record(self.scratch / "machine", line=machines.LINE + " pram=1234")
        self.assertIn(b"head:    page 0x1234, from /proc/cmdline\n", self.run_map("--root", root).out)

    def test_numbers_without_bounds(self):
        """Ranges to the end of the address space and beyond, overlapping, on the line and in /proc/iomem."""
        iomem = "".join(f"{start:08x}-{last:08x} : System RAM\n" for start, last in (
            (0, 0xFFFFFFFFFFFFFFFF), (0xFFFFFFFFFFFFF000, 0xFFFFFFFFFFFFFFFF), (1, 2), (0x1000, 0x5000)))
        line = "memmap=16E$0x1000 memmap=64M$0xffffffffff000000 pram_banned=0-0xffffffffffffffff pram=fffffffffffff"
        root = machines.record(self.scratch / "machine", iomem=iomem, line=line, firmware=None)
        result = self.run_map("--root", root)
        self.assertEqual(result.status, INTACT, result)
        self.assertIn(b"All memory: 0x0-0xffffffffffffffff, 15.9 EiB; a block is 64.0 PiB\n", result.out)

    def test_a_machine_of_one_tebibyte(self):
        iomem = machines.IOMEM.replace("100000000-3ffffffff", "100000000-ffffffffff").replace(
            "400000000-47fffffff", "10000000000-1007fffffff")
        root = machines.record(self.scratch / "machine", iomem=iomem, firmware=None)
        memory, head = chain.write_chain(self.files(), iter(range(0x10000, 0x20000)))
        page = bytearray(memory[head + 100])
        page[0] ^= 1
        memory[head + 100] = bytes(page)
        image = self.image({pfn - 0x10000: page for pfn, page in memory.items()}, pages=0x4000)
        result = self.run_map("--root", root, "--memory", image, "--base", "0x10000000")
        self.assertEqual(result.status, DAMAGED, result)
        parts = result.out.decode().split("\n\n")
        self.assertIn("All memory: 0x0-0x100ffffffff, 1.0 TiB; a block is 4.0 GiB\n", parts[1])
        self.assertIn("The reserved range: 0x10000000-0x13ffffff, 64.0 MiB; a block is 128.0 KiB\n", parts[2])
        self.assertIn("The chain: 0x10000000-0x100e7fff, 928.0 KiB; a block is 4.0 KiB\n", parts[3])
        for part in parts[1:4]:
            self.assertEqual(part.count("X"), 1, part)


class Corpus(MapTest):
    """Memory of real kernels, whole and damaged."""

    # What is proved wrong of a page that is there.
    OF_PAGES = {"data-checksum", "meta-checksum", "link-checksum", "link-magic", "link-length", "entry-type",
                "no-chain", "page-shared"}

    def test_every_image(self):
        folder = ROOT / "Tests/fixtures/corpus"
        cases = json.loads((folder / "manifest.json").read_text())["cases"]
        self.assertGreater(len(cases), 40)
        for case in cases:
            with self.subTest(case=case["name"]):
                where = ["--memory", str(folder / case["image"]), "--cmdline", "pram=" + case["pram"]]
                check = self.run_json("check", *where)
                result = self.run_map(*where)
                self.assertEqual(result.status, check.status, result)
                is_damaged = bool(self.OF_PAGES & {f["kind"] for f in check.report["findings"]})
                self.assertEqual(b"X damaged" in result.out, is_damaged or b"page that does not exist" in result.out)


class Widths(MapTest):
    def setUp(self):
        super().setUp()
        self.root = machines.record(self.scratch / "machine", efi=machines.EFI, initrd=machines.INITRD)

    def rows(self, result):
        return [line for line in result.out.decode().splitlines() if re.match(r" *0x[0-9a-f]+ ", line)]

    def test_columns_of_a_pipe(self):
        for columns, blocks in (("80", 64), ("200", 184), ("100", 88), ("60", 48), ("40", 24), ("24", 12), ("16", 4), ("1", 4),
                                ("0", 64), ("-5", 64), ("", 64), ("x", 64), ("99999999999999999999999", 64),
                                ("100000", 1008)):
            with self.subTest(columns=columns):
                result = self.run_map("--root", self.root, env={"COLUMNS": columns})
                self.assertEqual(result.status, INTACT, result)
                rows = self.rows(result)
                self.assertEqual(max(len(row) for row in rows) - 12, blocks)
                self.assertLess(len(rows), 18)
                width = int(columns) if columns.isdigit() and 16 <= int(columns) <= 1024 else 1024
                self.assertLessEqual(max(len(row) for row in rows), width)

    def test_narrow_ones_are_not_left(self):
        image, head = self.damaged(self.files(), 9, 40)
        for words in (["--root", self.root], ["--memory", image, "--pfn", head]):
            for columns in (24, 30, 35, 40, 50, 60):
                result = self.run_map(*words, env={"COLUMNS": str(columns)})
                picture = result.out.decode().split("\n\n", 1)[1]
                wide = [line for line in picture.splitlines() if len(line) > columns]
                self.assertEqual(wide, [], result)

    def test_a_terminals_own_width_counts(self):
        for columns, blocks in ((80, 64), (200, 184)):
            result = self.on_terminal(columns, "--root", self.root,
                                      env=environment(TERM="dumb", COLUMNS="50", LANG="C"))
            self.assertEqual(max(len(row) for row in self.rows(result)) - 12, blocks)

    def test_a_terminal_that_does_not_know_its_width(self):
        result = self.on_terminal(0, "--root", self.root, env=environment(TERM="dumb", COLUMNS="60"))
        self.assertEqual(max(len(row) for row in self.rows(result)) - 12, 48)


class Terminals(MapTest):
    def setUp(self):
        super().setUp()
        image, head = self.damaged(self.files(), 150)
        self.words = ["--memory", image, "--pfn", head]
        self.plain = self.run_map(*self.words).out

    def bare(self, text):
        return re.sub(rb"\x1b\[[0-9;]*m", b"", text)

    def test_colours(self):
        result = self.on_terminal(80, *self.words, env=environment(TERM="xterm-256color", LANG="C"))
        self.assertEqual(result.status, DAMAGED, result)
        self.assertIn(b"\x1b[0;1;38;5;231;48;5;160mX\x1b[", result.out)
        # Nothing but colours is added: what is copied from the terminal is the plain form. Each line ends without any.
        self.assertEqual(self.bare(result.out), self.plain)
        for line in result.out.splitlines():
            codes = re.findall(rb"\x1b\[([0-9;]*)m", line)
            self.assertIn(codes[-1:], ([], [b"0"]))
        self.assertIsNone(re.search(rb"[^\x20-\x7e\n\x1b]", result.out))

    def test_no_colours(self):
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}):
            result = self.on_terminal(80, *self.words, env=environment(**{"TERM": "xterm", "LANG": "C", **env}))
            self.assertEqual(result.out, self.plain)
        # An empty NO_COLOR forbids nothing.
        result = self.on_terminal(80, *self.words, env=environment(TERM="xterm", NO_COLOR=""))
        self.assertIn(b"\x1b[", result.out)

    def test_shades_where_there_is_utf8(self):
        for env, has in (({"LANG": "en_GB.UTF-8"}, True), ({"LANG": "C.utf8"}, True), ({"LC_CTYPE": "C.UTF-8"}, True),
                         ({"LC_ALL": "C", "LANG": "C.UTF-8"}, False), ({"LANG": "de_DE.ISO-8859-1"}, False),
                         ({"LC_ALL": "", "LANG": "de_DE.UTF-8@euro"}, True), ({"LANG": "utf8"}, False), ({}, False),
                         ({"LC_CTYPE": "POSIX", "LANG": "C.UTF-8"}, False), ({"LANG": "."}, False)):
            with self.subTest(env=env):
                result = self.on_terminal(80, *self.words, env=environment(TERM="xterm", NO_COLOR="1", **env))
                self.assertNotIn(b"\x1b", result.out)
                if has:
                    text = result.out.decode("utf-8")
                    self.assertIn("\u2588", text)
                    self.assertEqual(text.replace("\u2588", "=").replace("\u2591", ".").replace("\u2592", ":"),
                                     self.plain.decode())
                else:
                    self.assertEqual(result.out, self.plain)

    def test_a_pipe_has_no_colours(self):
        self.assertEqual(self.run_map(*self.words, env={"TERM": "xterm-256color", "LANG": "C.UTF-8"}).out, self.plain)

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            result = self.run_map(*self.words, stdout=full)
        self.assertEqual(result.status, DAMAGED | FAILED, result)
        reader, writer = os.pipe()
        os.close(reader)
        svg = self.scratch / "map.svg"
        try:
            result = self.run_map(*self.words, "--svg", str(svg), stdout=writer)
        finally:
            os.close(writer)
        self.assertEqual(result.status, DAMAGED | FAILED, result)
        # The picture in the file is whole all the same.
        ElementTree.parse(svg)


class Vectors(MapTest):
    def check_svg(self, path):
        """What holds for every picture. Returns its root."""
        text = path.read_text(encoding="ascii")
        tree = ElementTree.fromstring(text)
        self.assertEqual(tree.tag, SVG + "svg")
        for element in tree.iter():
            self.assertIn(element.tag.removeprefix(SVG), ("svg", "title", "style", "rect", "text", "path"))
            for name, value in element.attrib.items():
                self.assertNotRegex(name, r"(?i)^on|href|^style$")
                self.assertNotRegex(value, r"(?i)url\(|:|javascript")
        style = tree.find(SVG + "style").text
        self.assertNotRegex(style, r"(?i)url|@import|@font-face|expression|http")
        self.assertEqual(re.findall(r"https?://[^\"]*", text), ["http://www.w3.org/2000/svg"])
        # Each colour of light pages is said again for dark ones.
        light, dark = style.split("@media (prefers-color-scheme:dark)")
        used = {element.get("class") for element in tree.iter() if element.get("class")}
        for name in used - {"mark", "frame", "grid"}:
            self.assertRegex(light, rf"\.{name}\b[^{{]*{{[^}}]*fill:")
            self.assertRegex(dark, rf"\.{name}\b[^{{]*{{[^}}]*fill:")
        width, height = float(tree.get("width")), float(tree.get("height"))
        for element in tree.iter():
            for name, end, size in (("x", width, "width"), ("y", height, "height")):
                if element.get(name):
                    self.assertLessEqual(float(element.get(name)) + float(element.get(size, 0)), end)
        return tree

    def titles(self, tree, name):
        return [rect.find(SVG + "title").text for rect in tree.iter(SVG + "rect")
                if rect.get("class") == name and rect.find(SVG + "title") is not None]

    def words(self, tree):
        return [text.text for text in tree.iter(SVG + "text")]

    def test_a_damaged_page_in_a_machine(self):
        root = machines.record(self.scratch / "machine", efi=machines.EFI, initrd=machines.INITRD)
        memory, head = chain.write_chain(self.files(), iter(range(0x10000, 0x20000)))
        page = bytearray(memory[head + 100])
        page[0] ^= 1
        memory[head + 100] = bytes(page)
        image = self.image({pfn - 0x10000: page for pfn, page in memory.items()}, pages=0x4000)
        svg = self.scratch / "map.svg"
        result = self.run_map("--root", root, "--memory", image, "--base", "0x10000000", "--svg", str(svg))
        self.assertEqual(result.status, DAMAGED, result)
        tree = self.check_svg(svg)
        titles = self.titles(tree, "damaged")
        self.assertEqual(len(titles), 3)
        self.assertRegex(titles[0], r"^0x10000000-0x11ffffff \(32\.0 MiB\): 1 damaged, 2 links, 229 intact, in file12; "
                                    r"reserved \[Reserved\]$")
        self.assertRegex(titles[2], r"^0x10064000-0x10064fff \(4\.0 KiB\): 1 damaged, in file12; reserved")
        self.assertTrue(any("Kernel code" in title for title in self.titles(tree, "kernel")))
        words = self.words(tree)
        for word in ("The chain in memory is damaged", "All memory", "The reserved range", "The chain", "damaged",
                     "1 page", "crash kernel", "256.0 MiB", "damaged: page 0x10064, in file12"):
            self.assertIn(word, words)

    def test_names_are_escaped(self):
        bad = '<script>alert("&\x01\'")</script>\xff'
        name = bad.encode("latin-1").replace(b"/", b"|")
        memory, head = chain.write_chain([chain.File(name, b"x" * 9000)], iter(range(16, 99)))
        memory[head + 2] = b"\0" + memory[head + 2][1:]
        iomem = machines.IOMEM + f"480000000-4ffffffff : System RAM\n  480000000-481ffffff : Kernel {bad}\n"
        root = machines.record(self.scratch / "<&\"'>", iomem=iomem.encode("latin-1"), line="quiet")
        svg = self.scratch / "map.svg"
        result = self.run_map("--root", root, "--memory", self.image(memory, "<&\"'>.img"), "--pfn", f"{head:x}",
                              "--svg", str(svg))
        self.assertEqual(result.status, DAMAGED, result)
        tree = self.check_svg(svg)
        text = " ".join(tree.itertext())
        self.assertIn('<script>alert("&\\x01\'")<|script>\\xff', text)
        self.assertIn('Kernel <script>alert("&\\x01\'")</script>\\xff', text)
        self.assertIn("<&\"'>.img", text)

    def test_it_does_not_depend_on_the_terminal(self):
        image, head = self.damaged(self.files(), 9, 30)
        texts = []
        for columns in ("24", "80", "300"):
            svg = self.scratch / f"{columns}.svg"
            self.run_map("--memory", image, "--pfn", head, "--svg", str(svg), env={"COLUMNS": columns})
            self.check_svg(svg)
            texts.append(svg.read_bytes())
        self.assertTrue(all(text == texts[0] for text in texts))

    def test_a_dash_is_standard_output(self):
        """Where nothing else goes then."""
        image, head = self.damaged(self.files(), 9, 30)
        svg = self.scratch / "map.svg"
        self.run_map("--memory", image, "--pfn", head, "--svg", str(svg))
        result = self.run_map("--memory", image, "--pfn", head, "--svg", "-", cwd=self.scratch)
        self.assertEqual((result.status, result.out), (DAMAGED, svg.read_bytes()))
        self.assertFalse((self.scratch / "-").exists())

    def test_it_is_drawn_whatever_the_verdict(self):
        image, head = self.chain_image(sample_files())
        for number, (words, status) in enumerate((
                (["--pfn", head], INTACT), (["--pfn", "3"], DAMAGED), (["--pfn", "0"], INTACT),
                (["--cmdline", "quiet"], INTACT))):
            svg = self.scratch / f"{number}.svg"
            self.assertEqual(self.run_map("--memory", image, *words, "--svg", str(svg)).status, status)
            self.check_svg(svg)

    def test_the_file_is_replaced_at_one_moment(self):
        image, head = self.chain_image(sample_files())
        svg, link = self.scratch / "map.svg", self.scratch / "link.svg"
        svg.write_text("old")
        svg.chmod(0o600)
        link.symlink_to(svg)
        before = svg.stat().st_ino
        self.assertEqual(self.run_map("--memory", image, "--pfn", head, "--svg", str(link)).status, INTACT)
        self.check_svg(svg)
        self.assertTrue(link.is_symlink())
        self.assertEqual(svg.stat().st_mode & 0o777, 0o600)
        self.assertNotEqual(svg.stat().st_ino, before)
        self.assertEqual(sorted(path.name for path in self.scratch.iterdir()), ["link.svg", "map.svg", "memory.img"])

    def test_places_that_do_not_do(self):
        image, head = self.chain_image(sample_files())
        where = ["--memory", image, "--pfn", head]
        content = open(image, "rb").read()
        for path, status in (("/nothing/map.svg", FAILED), (str(self.scratch), USAGE), ("/dev/null", USAGE),
                             (image, USAGE), ("", USAGE)):
            with self.subTest(path=path):
                result = self.run_map(*where, "--svg", path)
                self.assertEqual(result.status, status, result)
                self.assertNotEqual(result.err, b"")
        self.assertEqual(open(image, "rb").read(), content)
        self.assertEqual([path.name for path in self.scratch.iterdir()], ["memory.img"])

    def test_the_one_of_the_documents(self):
        tree = self.check_svg(ROOT / "Documentation/map.svg")
        made = self.scratch / "made.svg"
        command = [str(ROOT / "Tests/commands/make-map"), str(PROGRAM), str(made)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=TIMEOUT * 3)
        self.assertEqual(self.words(tree), self.words(self.check_svg(made)))
