"""Memory taken out of a running machine in every form that QEMU and makedumpfile write, checked on the host.

The machine holds three chains: an intact one and a damaged one, each across a reserved range and System RAM, and one
in System RAM alone. Its pages are free pages to the kernel, so makedumpfile's level 31 leaves them out.
"""

import subprocess

import chain
from cases.support import *

MEMORY_MIB = 448
DUMPS = BUILD / "dumps"


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
        machine.must("insmod /modules/qemu_fw_cfg.ko")
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

    def test_excluded_pages_are_not_taken_for_damage_nor_for_intact(self):
        for option in ("-c", "-l"):
            with self.subTest(option):
                excluded = DUMPS / f"excluded{option}.kdump"
                self.makedumpfile(option, "-d", "31", self.elf, excluded)
                self.assertLess(excluded.stat().st_size, self.elf.stat().st_size // 2)
                report = on_host("--memory", excluded, "--pfn", f"{self.good_head:x}")
                self.assert_verdict(report, "indeterminate")
                self.assertTrue(report.says("exclu|not in (the )?(dump|source)"), f"\n{report}")
                with self.subTest("a chain none of whose pages is left out"):
                    self.assert_verdict(on_host("--memory", excluded, "--pfn", f"{self.kept_head:x}"), "intact")
