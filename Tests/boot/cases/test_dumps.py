"""Memory taken out of a running machine in every form that QEMU and makedumpfile write, checked on the host.

The machine holds three chains: an intact one and a damaged one, each across a reserved range and System RAM, and an
intact one in the reserved range alone. The pages in System RAM are free pages to the kernel, so makedumpfile's level
31 leaves them out; those in the reserved range it keeps.
"""

import shutil
import struct
import subprocess

import chain
from cases.support import *

MEMORY_MIB = 448
DUMPS = BUILD / "dumps"
ELF_HEADER_SIZE = 64


class OfMemory(BootCase):
    @classmethod
    def setUpClass(cls):
        provision.tools("makedumpfile")
        cls.files = sample_files()
        cls.good, cls.good_head = chain.write_chain(cls.files, alternating(RESERVED_PFN, RAM_PFN))
        cls.bad, cls.bad_head = chain.write_chain(cls.files, alternating(RESERVED_PFN + 0x800, RAM_PFN + 0x800))
        cls.kept, cls.kept_head = chain.write_chain(cls.files, iter(range(RESERVED_PFN + 0xC00, 1 << 52)))
        cls.bad_page = next(pfn for pfn, page in cls.bad.items() if page == cls.files[0].pages[100])
        page = bytearray(cls.bad[cls.bad_page])
        page[99] ^= 0x10
        cls.bad[cls.bad_page] = bytes(page)

        # The vmcoreinfo device lets the guest's kernel tell QEMU what makedumpfile must know to sort out pages.
        machine = cls.start(provision.stock_kernel().image, stock_image(), STOCK_APPEND, f"{MEMORY_MIB}M",
                            loads=chain.runs({**cls.good, **cls.bad, **cls.kept}), devices=["vmcoreinfo"])
        machine.must("load-modules")
        machine.stop()
        DUMPS.mkdir(parents=True, exist_ok=True)
        for old in DUMPS.iterdir():
            old.unlink()
        cls.addClassCleanup(lambda: [path.unlink() for path in DUMPS.iterdir()])
        cls.raw = machine.save_memory(DUMPS / "memory.raw", 0, MEMORY_MIB << 20)
        cls.part = machine.save_memory(DUMPS / "part.raw", RESERVED_ADDRESS, (MEMORY_MIB << 20) - RESERVED_ADDRESS)
        cls.elf = machine.dump(DUMPS / "memory.elf")
        cls.flattened = machine.dump(DUMPS / "memory.flattened", "kdump-zlib")
        machine.close()

    @staticmethod
    def makedumpfile(*arguments, stdin=subprocess.DEVNULL):
        done = subprocess.run([provision.tool_path("makedumpfile"), *map(str, arguments)], stdin=stdin,
                              capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise MachineError(f"makedumpfile {arguments}: exit {done.returncode}: {done.stdout}{done.stderr}")

    def judge(self, *memory):
        """The same answers whatever the form."""
        with self.subTest("an intact chain"):
            report = on_host(*memory, "--pfn", f"{self.good_head:x}")
            self.assert_verdict(report, "intact")
            self.assert_files(report, self.files)
        with self.subTest("a damaged chain"):
            report = on_host(*memory, "--pfn", f"{self.bad_head:x}")
            self.assert_verdict(report, "damaged")
            self.assertEqual(report.finding_pages(), {self.bad_page}, f"\n{report}")
            self.assert_files(report, self.files[1:])

    def test_control_the_raw_image_holds_the_chain(self):
        image = self.raw.read_bytes()
        read = chain.read_files(lambda pfn: image[pfn * chain.PAGE:(pfn + 1) * chain.PAGE], self.good_head)
        self.assertEqual({name: len(data) for name, data in read.items()}, {f.name: f.size for f in self.files})

    def test_raw_image(self):
        self.judge("--memory", self.raw)

    def test_raw_image_of_a_part_of_memory(self):
        self.judge("--memory", self.part, "--base", f"{RESERVED_ADDRESS:#x}")

    def test_elf_dump(self):
        self.assertEqual(self.elf.read_bytes()[:4], b"\x7fELF")
        self.judge("--memory", self.elf)

    def test_flattened_kdump(self):
        with open(self.flattened, "rb") as file:
            self.assertEqual(file.read(12), b"makedumpfile")
        self.judge("--memory", self.flattened)

    def test_plain_kdump(self):
        plain = DUMPS / "memory.kdump"
        with open(self.flattened, "rb") as file:
            self.makedumpfile("-R", plain, stdin=file)
        with open(plain, "rb") as file:
            self.assertEqual(file.read(8), b"KDUMP   ")
        self.judge("--memory", plain)

    def test_control_level_31_leaves_out_free_pages_and_keeps_the_reserved_range(self):
        excluded = DUMPS / "control.elf"
        self.makedumpfile("-E", "-d", "31", for_makedumpfile(self.elf), excluded)
        stored = stored_pages(excluded)
        self.assertTrue(all(pfn not in stored for pfn in self.good if pfn >= RAM_PFN))
        self.assertTrue(all(pfn in stored for pfn in self.good if pfn < RAM_PFN))
        self.assertTrue(all(pfn in stored for pfn in self.kept))

    def test_excluded_pages_are_not_taken_for_damage_nor_for_intact(self):
        forms = {"zlib pages": "-c", "plain pages": None, "ELF": "-E"}
        for form, option in forms.items():
            excluded = DUMPS / f"excluded{option}"
            self.makedumpfile(*(option,) if option else (), "-d", "31", for_makedumpfile(self.elf), excluded)
            self.assertLess(excluded.stat().st_size, self.elf.stat().st_size // 2)
            with self.subTest(f"{form}: a chain some of whose pages are left out"):
                report = on_host("--memory", excluded, "--pfn", f"{self.good_head:x}")
                self.assert_verdict(report, "indeterminate")
                left_out = {pfn for pfn in self.good if pfn >= RAM_PFN}
                self.assertTrue(report.finding_pages() <= left_out, f"\n{report}")
            with self.subTest(f"{form}: a chain none of whose pages is left out"):
                report = on_host("--memory", excluded, "--pfn", f"{self.kept_head:x}")
                self.assert_verdict(report, "intact")
                self.assert_files(report, self.files)


def stored_pages(elf):
    """The page frames that the segments of an ELF dump store."""
    with open(elf, "rb") as file:
        header = file.read(ELF_HEADER_SIZE)
        offset, = struct.unpack_from("<Q", header, 0x20)
        size, count = struct.unpack_from("<HH", header, 0x36)
        file.seek(offset)
        table = file.read(size * count)
    pages = set()
    for start in range(0, len(table), size):
        kind, _, _, _, address, stored, _, _ = struct.unpack_from("<IIQQQQQQ", table, start)
        if kind == 1:
            pages.update(range(address // chain.PAGE, (address + stored) // chain.PAGE))
    return pages


def for_makedumpfile(elf):
    """A copy of QEMU's ELF dump that makedumpfile reads.

    QEMU 7.2 puts the section headers before the program headers; makedumpfile looks for the latter right behind the
    ELF header, wherever the header says they are. So they are moved there, and the sections (one, empty) go.
    """
    copy = elf.with_suffix(".moved")
    if not copy.exists():
        shutil.copyfile(elf, copy)
        with open(copy, "r+b") as file:
            header = bytearray(file.read(ELF_HEADER_SIZE))
            offset, = struct.unpack_from("<Q", header, 0x20)
            size, count = struct.unpack_from("<HH", header, 0x36)
            file.seek(offset)
            segments = file.read(size * count)
            struct.pack_into("<QQ", header, 0x20, ELF_HEADER_SIZE, 0)
            struct.pack_into("<H", header, 0x34, ELF_HEADER_SIZE)
            struct.pack_into("<HH", header, 0x3C, 0, 0)
            file.seek(0)
            file.write(header + segments)
    return copy
