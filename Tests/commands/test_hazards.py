"""Links that lie with fitting checksums, and noise: what the engine's tests cover, once more from outside."""

import random
import struct

import chain
from support import DAMAGED, INTACT, CommandTest, grave, kinds, sample_files, statuses


class Lies(CommandTest):
    def setUp(self):
        super().setUp()
        self.files = [chain.File("first", b"1" * 5000), chain.File("second", b"2" * 5000),
                      chain.File("third", b"3" * 9000)]
        self.memory, self.head = chain.write_chain(self.files, iter(range(16, 100)), per_link=4)
        self.links = [link.pfn for link in chain.walk(self.memory.__getitem__, self.head)]
        self.assertEqual(len(self.links), 3)

    def forge(self, link, offset, form, *values):
        page = bytearray(self.memory[self.links[link]])
        struct.pack_into(form, page, offset, *values)
        self.memory[self.links[link]] = chain.sealed(bytes(page))

    def check(self, *words):
        return self.run_json("check", "--memory", self.image(self.memory), "--pfn", f"{self.head:x}", *words)

    def expect(self, kind, pfn, intact):
        result = self.check()
        self.assertEqual((result.report["verdict"], result.status), ("damaged", DAMAGED), result)
        self.assertIn((kind, pfn), grave(result.report))
        names = {bytes.fromhex(n).decode() for n, status in statuses(result.report).items() if status == "intact"}
        self.assertEqual(names, set(intact))

    def test_it_is_sound_to_begin_with(self):
        self.assertEqual(self.check().report["verdict"], "intact")

    def test_lengths(self):
        for length in (0, 170, 171, 0xFFFFFFFF):
            with self.subTest(length):
                self.forge(1, 8, "<I", length)
                self.expect("link-length", f"{self.links[1]:#x}", ["first"])

    def test_loops(self):
        for link, target in ((2, 0), (2, 1), (2, 2)):
            with self.subTest(target):
                self.forge(link, 16, "<Q", self.links[target])
                self.expect("link-loop", f"{self.links[target]:#x}", ["first", "second", "third"])

    def test_a_link_number_without_an_address(self):
        for pfn in (1 << 52, (1 << 52) + 16, (1 << 64) - 1):
            self.forge(0, 16, "<Q", pfn)
            self.expect("pfn-invalid", hex(pfn), ["first"])

    def test_entry_numbers_without_an_address(self):
        for pfn in (0, 1 << 52, (1 << 64) - 1):
            self.forge(0, 24 + 24 + 8, "<Q", pfn)
            self.expect("pfn-invalid", hex(pfn), ["second", "third"])

    def test_sizes(self):
        """A META page that lies, and an entry that fits it."""
        for size, kind in ((1 << 63, "meta-size"), ((1 << 64) - 1, "meta-size")):
            entry = chain.Link(0, self.memory[self.head]).entries[0]
            page = struct.pack("<Q", size) + self.memory[entry.pfn][8:]
            self.memory[entry.pfn] = page
            self.forge(0, 24, "<II", chain.META, chain.crc32c(page))
            self.expect(kind, f"{entry.pfn:#x}", ["second", "third"])

    def test_links_only(self):
        report = self.check("--links-only").report
        self.assertEqual((report["verdict"], report["scope"]), ("indeterminate", "links"))
        self.assertEqual(set(kinds(report)), {"pages-not-checked"})
        self.forge(0, 8, "<I", 0)
        self.assertEqual(self.check("--links-only").report["verdict"], "damaged")

    def test_i386(self):
        memory, head = chain.write_chain(self.files, iter(range(16, 100)), per_link=4, layout=chain.I386)
        report = self.run_json("--memory", self.image(memory), "--pfn", f"{head:x}").report
        self.assertEqual((report["verdict"], report["layout"]), ("intact", "i386"))

    def test_cleared_flags(self):
        memory, head = chain.write_chain(self.files, iter(range(16, 100)), per_link=4, lru=True)
        for link in chain.walk(memory.__getitem__, head):
            memory[link.pfn] = chain.clear_lru(memory[link.pfn])
        report = self.run_json("--memory", self.image(memory), "--pfn", f"{head:x}").report
        self.assertEqual(report["verdict"], "intact")
        self.assertEqual({link["reading"] for link in report["links"]}, {"all-restored"})

    def test_zeros_are_noted(self):
        image, head = self.chain_image([chain.File("zeros", bytes(8192))])
        report = self.run_json("--memory", image, "--pfn", head).report
        self.assertEqual((report["verdict"], kinds(report)), ("intact", ["zero-checksum"]))


class Noise(CommandTest):
    """Seeded damage of every kind to whole images: always an answer, always a valid report."""

    def test_random_changes(self):
        noise = random.Random(20130726)
        memory, head = chain.write_chain(sample_files(), iter(range(16, 100)), per_link=3)
        links = [link.pfn for link in chain.walk(memory.__getitem__, head)]
        damaged = 0
        for round_ in range(150):
            changed = dict(memory)
            for _ in range(noise.randint(1, 4)):
                pfn = noise.choice(links) if noise.random() < 0.7 else noise.choice(list(memory))
                page = bytearray(changed[pfn])
                at = noise.randrange(0, 400)
                page[at:at + 8] = noise.choice(
                    [noise.randbytes(8), bytes(8), b"\xff" * 8, bytes([noise.randint(1, 40)]) + bytes(7)])
                changed[pfn] = bytes(page)
                if pfn in links and noise.random() < 0.7:
                    changed[pfn] = chain.sealed(chain.MAGIC.to_bytes(4, "little") + changed[pfn][4:])
            with self.subTest(round_):
                threads = noise.choice("13")
                result = self.run_json("--memory", self.image(changed), "--pfn", f"{head:x}", "--threads", threads)
                self.assertIn(result.status, (INTACT, DAMAGED))
                damaged += result.status == DAMAGED
                # What is called intact is so by the format's description alone.
                if result.status == INTACT:
                    files = chain.read_files(changed.__getitem__, head)
                    self.assertEqual({bytes.fromhex(name) for name in statuses(result.report)}, set(files))
        self.assertGreater(damaged, 100)
