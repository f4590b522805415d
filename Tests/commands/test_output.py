"""Output that cannot be written, names that would drive a terminal, scarce memory, an empty root."""

import json
import os
import resource
import shutil
import subprocess

import chain
from support import DAMAGED, FAILED, INTACT, PROGRAM, TIMEOUT, CommandTest, Result, kinds, sample_files

NASTY = [b"\x1b[2J", b"\x1b]0;title\x07", b"new\nline", b"tab\t", b"back\\slash", b"\x7f\x80\x9b31m\xff", b'quo"te',
         b"\r", b"a\xc2\x9b"]


class Streams(CommandTest):
    def setUp(self):
        super().setUp()
        image, head = self.chain_image(sample_files())
        self.where = ["--memory", image, "--pfn", head]

    RUNS = (["check"], ["check", "--json"], ["list"], ["list", "--json"], ["--help"], ["--version"])

    def test_a_full_device(self):
        for words in self.RUNS:
            with self.subTest(words=words), open("/dev/full", "wb") as full:
                result = self.run_program(*words, *self.where, stdout=full)
                self.assertEqual(result.status, FAILED, result)
                self.assertIn(b"No space left on device", result.err)

    def test_a_full_device_while_extracting(self):
        target = self.scratch / "out"
        with open("/dev/full", "wb") as full:
            result = self.run_program("extract", *self.where, str(target), stdout=full)
        self.assertEqual(result.status, FAILED, result)

    def test_a_closed_pipe(self):
        for words in self.RUNS:
            with self.subTest(words=words):
                reader, writer = os.pipe()
                os.close(reader)
                try:
                    result = self.run_program(*words, *self.where, stdout=writer)
                finally:
                    os.close(writer)
                self.assertEqual(result.status, FAILED, result)
                self.assertIn(b"Broken pipe", result.err)

    def test_a_closed_descriptor(self):
        for words in self.RUNS:
            with self.subTest(words=words):
                result = self.run_program(*words, *self.where, prefix=["sh", "-c", 'exec "$0" "$@" >&-'])
                self.assertEqual(result.status, FAILED, result)

    def test_standard_error_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            self.assertEqual(self.run_program("check", *self.where, stderr=full).status, INTACT)
            nothing = self.run_program("check", "--memory", "/nothing", "--pfn", "1", stderr=full)
            self.assertEqual(nothing.status, FAILED)

    def test_damage_and_a_full_device_add_up(self):
        memory, head = chain.write_chain(sample_files(), iter(range(16, 100)))
        memory[head + 1] = bytes(4096)
        with open("/dev/full", "wb") as full:
            where = ["--memory", self.image(memory, "bad.img"), "--pfn", f"{head:x}"]
            result = self.run_program("check", *where, stdout=full)
        self.assertEqual(result.status, DAMAGED | FAILED, result)

    def test_a_report_longer_than_a_pipe(self):
        """A reader that takes its time gets all of it; one that goes away makes the run a failure."""
        files = [chain.File(f"file {i}") for i in range(1500)]
        image, head = self.chain_image(files, "many.img")
        command = [str(PROGRAM), "--json", "--memory", image, "--pfn", head]
        whole = subprocess.run(command, stdout=subprocess.PIPE, timeout=TIMEOUT).stdout
        self.assertGreater(len(whole), 150_000)
        self.assertEqual(len(json.loads(whole)["files"]), 1500)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdout.read(100)
            process.stdout.close()
            err = process.stderr.read()
            status = process.wait(TIMEOUT)
        self.assertEqual(status, FAILED, Result(status, b"", err))


class Escaping(CommandTest):
    """`run_program` itself fails when a raw byte comes out: left to test is that the names are there, escaped."""

    def test_names(self):
        image, head = self.chain_image([chain.File(name, b"x") for name in NASTY])
        where = ["--memory", image, "--pfn", head]
        escaped = ["".join(chr(b) if 0x20 <= b < 0x7F and b != 0x5C else f"\\x{b:02x}" for b in name) for name in NASTY]
        report = self.run_json("check", *where).report
        self.assertEqual([f["name"] for f in report["files"]], escaped)
        self.assertEqual([bytes.fromhex(f["name_hex"]) for f in report["files"]], NASTY)
        listing = self.run_program("list", *where).out.decode().splitlines()
        self.assertEqual(len(listing), len(NASTY))
        for line, name in zip(listing, escaped):
            self.assertTrue(line.endswith(" " + name), line)

    def test_names_in_findings(self):
        memory, head = chain.write_chain([chain.File(name, b"x") for name in NASTY], iter(range(16, 100)))
        for pfn in range(head + 2, head + 2 * len(NASTY) + 1, 2):
            memory[pfn] = b"\1" + memory[pfn][1:]
        where = ["--memory", self.image(memory), "--pfn", f"{head:x}"]
        self.assertEqual(self.run_program("check", *where).status, DAMAGED)
        self.assertEqual(self.run_program("list", *where).status, DAMAGED)
        report = self.run_json("check", *where).report
        self.assertEqual(kinds(report).count("data-checksum"), len(NASTY))
        target = str(self.scratch / "out")
        self.run_program("extract", "--damaged", *where, target)
        self.run_program("extract", *where, target)
        self.run_program("extract", *where, target, "missing\x1b[2J\n")

    def test_stale_memory_behind_the_file_image_is_never_shown(self):
        """A META page holds whatever lay there before; a name length that is too large must not show it."""
        file = chain.File("n" * 255, b"x")
        page = file.meta_page()[:12] + (4096).to_bytes(4, "little") + file.meta_page()[16:]
        self.assertIn(b"stale memory", page)
        entries = [chain.ENTRY.pack(chain.META, chain.crc32c(page), 17, 0)]
        where = ["--memory", self.image({16: chain.link_page(entries), 17: page}), "--pfn", "10"]
        for words in (["check"], ["list"], ["check", "--json"]):
            result = self.run_program(*words, *where)
            self.assertNotIn(b"stale", result.out + result.err)


class Threads(CommandTest):
    def test_reports_are_the_same_but_for_the_time(self):
        good, head = chain.write_chain([chain.File(f"file {i}", bytes([i]) * 30000) for i in range(60)],
                                       iter(range(16, 9999)), per_link=7)
        bad = dict(good)
        for pfn in sorted(good)[5::9]:
            bad[pfn] = bad[pfn][:100] + b"\xee" + bad[pfn][101:]
        for memory in (good, bad):
            image = self.image(memory)
            reports = []
            for threads in ("1", "2", "4", "256"):
                result = self.run_json("--memory", image, "--pfn", f"{head:x}", "--threads", threads)
                reports.append(b"\n".join(line for line in result.out.split(b"\n") if b'"elapsed_ms"' not in line))
            self.assertTrue(all(report == reports[0] for report in reports))


class ScarceMemory(CommandTest):
    """`ulimit -v`: success, or a clear failure; never a trap."""

    def limited(self, mebibytes, *words):
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20, mebibytes << 20))

        return self.run_program(*words, preexec_fn=limit)

    def test_little_address_space(self):
        files = [chain.File(f"file {i}", bytes([i]) * 20000) for i in range(30)]
        memory, head = chain.write_chain(files, iter(range(16, 9999)))
        # A sparse image far larger than the address space: it cannot be mapped as a whole.
        image = self.image(memory, pages=(4 << 30) // 4096)
        packed = str(self.scratch / "packed.xz")
        with open(packed, "wb") as out:
            small = self.image(memory, "small.img")
            subprocess.run(["xz", "-6", "-c", small], stdout=out, check=True, timeout=TIMEOUT)
        target = self.scratch / "out"
        refused = 0
        for mebibytes in (256, 128, 64, 48, 32, 24, 16, 12, 8):
            for words in (["check", "--json", "--memory", image], ["check", "--memory", image, "--threads", "1"],
                          ["check", "--memory", packed], ["extract", "--force", str(target), "--memory", image]):
                with self.subTest(mebibytes=mebibytes, words=words[:3]):
                    result = self.limited(mebibytes, *words, "--pfn", f"{head:x}")
                    self.assertIn(result.status, (INTACT, FAILED), result)
                    if result.status == FAILED:
                        refused += 1
                        self.assertTrue(result.err.startswith(b"pram-verify: ") or b'"failure"' in result.out, result)
                    else:
                        self.assertRegex(result.out, rb'^verdict: intact\n|"verdict": "intact"')
                        self.assertEqual(result.out.count(b"30 intact") + result.out.count(b'"files_intact": 30'), 1)
                    if words[0] == "extract":
                        for file in files if result.status == INTACT else []:
                            self.assertEqual((target / file.name.decode()).read_bytes(),
                                             bytes([int(file.name[5:])]) * 20000)
                        shutil.rmtree(target, ignore_errors=True)
                    if mebibytes >= 64:
                        self.assertEqual(result.status, INTACT, "64 MiB must be enough")
        self.assertGreater(refused, 0, "memory was never scarce")


class EmptyRoot(CommandTest):
    """An initramfs before /proc is mounted: nothing is there but the program and the image."""

    def setUp(self):
        super().setUp()
        image, self.head = self.chain_image(sample_files())
        self.root = self.scratch / "root"
        self.root.mkdir()
        shutil.copy(PROGRAM, self.root / "pram-verify")
        shutil.move(image, self.root / "memory.img")

    def run_inside(self, *words):
        return self.run_program(*words, prefix=["chroot", str(self.root)], program="/pram-verify")

    def test_check_and_extract(self):
        result = self.run_inside("check", "--memory", "/memory.img", "--pfn", self.head)
        self.assertEqual(result.status, INTACT, result)
        self.assertTrue(result.out.startswith(b"verdict: intact\n"), result)
        result = self.run_inside("extract", "--memory", "/memory.img", "--cmdline", "pram=" + self.head, "/out")
        self.assertEqual(result.status, INTACT, result)
        self.assertEqual((self.root / "out" / "one").read_bytes(), b"1")

    def test_without_a_head_it_says_what_is_missing(self):
        result = self.run_inside("check", "--memory", "/memory.img")
        self.assertEqual(result.status, FAILED, result)
        self.assertIn(b"/proc/cmdline", result.err)
        self.assertIn(b"--pfn", result.err)
        result = self.run_inside("check", "--memory", "/memory.img", "--json")
        self.assert_valid(json.loads(result.out), result)

    def test_live_memory_cannot_be_had_there(self):
        result = self.run_inside("check", "--pfn", self.head)
        self.assertEqual(result.status, FAILED, result)
        self.assertNotEqual(result.err, b"")

    def test_a_packed_image_without_tmp(self):
        subprocess.run(["gzip", str(self.root / "memory.img")], check=True, timeout=TIMEOUT)
        result = self.run_inside("check", "--memory", "/memory.img.gz", "--pfn", self.head)
        self.assertEqual(result.status, FAILED, result)
        self.assertIn(b"TMPDIR", result.err)
        (self.root / "tmp").mkdir()
        result = self.run_inside("check", "--memory", "/memory.img.gz", "--pfn", self.head)
        self.assertEqual(result.status, INTACT, result)


class StaticFile(CommandTest):
    def test_it_needs_no_interpreter_and_no_library(self):
        with open(PROGRAM, "rb") as file:
            start = file.read(64)
            self.assertEqual(start[:4], b"\x7fELF")
            offset = int.from_bytes(start[32:40], "little")
            size, count = int.from_bytes(start[54:56], "little"), int.from_bytes(start[56:58], "little")
            file.seek(offset)
            headers = [file.read(size) for _ in range(count)]
        types = {int.from_bytes(header[:4], "little") for header in headers}
        self.assertNotIn(3, types, "PT_INTERP")
        self.assertNotIn(2, types, "PT_DYNAMIC")
