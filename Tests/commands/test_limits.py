"""Input that says in a few bytes what takes many to remember, and memory that runs out."""

import gzip
import json
import os
import resource
import struct
import subprocess

import chain
from support import DAMAGED, FAILED, INTACT, PROGRAM, CommandTest


class Limits(CommandTest):
    def image_of_one_meta_page(self, links):
        """Links full of META entries that all name one page, the first at page 1."""
        meta = chain.File(b"n" * 255).meta_page()
        entry = chain.ENTRY.pack(chain.META, chain.crc32c(meta), links + 1, 0)
        path = self.scratch / "one-page.img"
        with path.open("wb") as image:
            image.write(bytes(chain.PAGE))
            for number in range(1, links + 1):
                following = number + 1 if number < links else 0
                image.write(chain.link_page([entry] * chain.ENTRIES_PER_LINK, following))
            image.write(meta.ljust(chain.PAGE, b"\0"))
        return path

    def limited(self, path, kibibytes):
        """The exit status and standard error of a run with so much address space."""
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (kibibytes << 10,) * 2)

        with subprocess.Popen([str(PROGRAM), "check", "--memory", str(path), "--pfn", "1"], preexec_fn=limit,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
            errors = run.stderr.read()
            status = run.wait()
        return status, errors

    def test_records_are_few_however_many_entries_name_one_page(self):
        # 253,500 files, each of which took 400 bytes and a finding or two.
        status, errors = self.limited(self.image_of_one_meta_page(1500), 90 << 10)
        self.assertEqual((status, errors), (DAMAGED, b""))

    def test_a_lack_of_memory_is_said(self):
        seen = set()
        for mebibytes in (4, 8, 12, 16, 24, 32, 200):
            status, errors = self.limited(self.image_of_one_meta_page(1500), mebibytes << 10)
            self.assertIn(status, (DAMAGED, FAILED), f"with {mebibytes} MiB: {status} {errors!r}")
            if status == FAILED:
                self.assertEqual(errors, b"pram-verify: out of memory: the report is not complete\n")
            seen.add(status)
        self.assertEqual(seen, {DAMAGED, FAILED})

    def test_containers_are_no_raw_memory(self):
        for magic, word in ((b"QEVM", b"QEMU"), (b"PAGEDU64", b"Windows"), (b"PK\3\4", b"ZIP"), (b"KDMV", b"VMDK")):
            path = self.scratch / "container"
            path.write_bytes(magic.ljust(3 * chain.PAGE, b"\0"))
            result = self.run_program("check", "--memory", str(path), "--pfn", "1")
            self.assertEqual(result.status, FAILED)
            self.assertIn(word, result.err)
            self.assertIn(b"--raw", result.err)

    def test_zeros_behind_packed_data(self):
        memory, head = chain.write_chain([chain.File("a", b"x" * 5000)], range(1, 100))
        image = b"".join(memory.get(number, bytes(chain.PAGE)) for number in range(max(memory) + 1))
        for tool in ("gzip", "xz", "zstd"):
            packed = subprocess.run([tool, "-c"], input=image, stdout=subprocess.PIPE, check=True).stdout
            path = self.scratch / tool
            path.write_bytes(packed + bytes(10_240 - len(packed) % 4))
            result = self.run_program("check", "--memory", str(path), "--pfn", str(head))
            self.assertEqual(result.status, INTACT, f"{tool}: {result!r}")

    def small_chain(self):
        """An image of 40 pages without a chain at its start, and the head of the chain in it."""
        memory, head = chain.write_chain([chain.File("a", os.urandom(5000)), chain.File("b", os.urandom(50_000))],
                                         range(20, 40))
        return b"".join(memory.get(number, bytes(chain.PAGE)) for number in range(40)), head

    def looked_at(self, name, content, head, *options):
        path = self.scratch / name
        path.write_bytes(content)
        result = self.run_program("check", "--json", "--memory", str(path), "--pfn", f"{head:x}", *options)
        return result.status, json.loads(result.out)

    def test_a_packed_dump_that_is_cut_short(self):
        image, head = self.small_chain()
        for tool in ("gzip", "xz", "zstd"):
            packed = subprocess.run([tool, "-c"], input=image, stdout=subprocess.PIPE, check=True).stdout
            with self.subTest(tool):
                # Every page unpacks, and fits the chain's own checksums.
                status, report = self.looked_at(tool, packed[:-1], head)
                self.assertEqual((status, report["verdict"]), (INTACT, "intact"))
                self.assertIn("cut short at offset", report["memory"]["notes"][0])
                # Nothing unpacks.
                status, report = self.looked_at(tool, packed[:7], head)
                self.assertEqual(status, FAILED)
                self.assertIn("anew", report["failure"]["remedy"])
        members = b"".join(gzip.compress(image[at:at + chain.PAGE]) for at in range(0, len(image), chain.PAGE))
        status, report = self.looked_at("members", members[:-20_000], head)
        self.assertEqual((status, report["verdict"]), (DAMAGED, "indeterminate"))
        self.assertIn("page-not-in-source", {finding["kind"] for finding in report["findings"]})
        self.assertLessEqual({finding["severity"] for finding in report["findings"]}, {"doubt", "note"})

    def test_what_lies_behind_the_ranges_of_a_lime_image(self):
        image, head = self.small_chain()

        def lime(first, content):
            return b"EMiL" + struct.pack("<IQQ8x", 1, first, first + len(content) - 1) + content

        half = len(image) // 2 & -chain.PAGE
        content = lime(0, image[:half]) + lime(half, image[half:])
        for rest in (b"\0", bytes(chain.PAGE), b"junk" * 20, lime(0, b"x")[:20]):
            for packed in (False, True):
                whole = content + rest
                status, report = self.looked_at("lime", gzip.compress(whole) if packed else whole, head)
                self.assertEqual((status, report["verdict"]), (INTACT, "intact"))
                self.assertIn("left out", report["memory"]["notes"][0])
        status, report = self.looked_at("lime", content[:32 + half + 16], head)
        self.assertEqual((status, report["verdict"]), (DAMAGED, "indeterminate"))
        self.assertIn("page-not-in-source", {finding["kind"] for finding in report["findings"]})

    def test_every_dump_that_is_refused_names_a_way_out(self):
        for content in (b"EMiL", b"KDUMP   ", b"KDUMP   ".ljust(8192, b"\0"), b"makedumpfile\0\0\0\0", b"\x1f\x8b\x08",
                        b"\x7fELF\2\1\1".ljust(64, b"\0"), b"\x7fELF\2\1\1".ljust(16, b"\0") + b"\4"):
            status, report = self.looked_at("dump", content, 1)
            self.assertEqual(status, FAILED)
            self.assertTrue(report["failure"]["remedy"], content[:8])
        status, report = self.looked_at("raw", bytes(2 * chain.PAGE), 1, "--base", "0xfffffffffffff000")
        self.assertEqual((status, bool(report["failure"]["remedy"])), (FAILED, True))

    def test_a_raw_image_that_begins_with_a_whole_gzip_file(self):
        image, head = self.small_chain()
        for pages in (1, 2):
            packed = gzip.compress(bytes(pages * chain.PAGE))
            content = packed + image[len(packed):]
            status, report = self.looked_at("raw", content, head)
            self.assertEqual((status, report["verdict"]), (DAMAGED, "indeterminate"))
            self.assertIn("use --raw", " ".join(report["memory"]["notes"]))
            self.assertEqual(self.looked_at("raw", content, head, "--raw")[0], INTACT)
