"""`cmdline`: the command line for the next kexec, and what goes with it."""

import os
import re
import shutil
import unittest

import chain
from support import CommandTest, DAMAGED, FAILED, INTACT, USAGE, sample_files

START = 16
RESERVED = "memmap=1M$0x10000"
LINE = f"BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro {RESERVED} quiet"


class CmdlineTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.memory, head = self.chain_image(sample_files(), start=START)
        self.assertEqual(int(head, 16), START)

    def assert_printable(self, result):
        """The line itself is printed as it is; messages are escaped."""
        self.assertNotRegex(result.err, rb"[^\x20-\x7e\n]")

    def cmdline(self, line, *words, memory=None, status=INTACT):
        """The line printed, without its newline; None when none was."""
        result = self.run_program("cmdline", "--memory", memory or self.memory, "--cmdline", line, *words)
        self.assertEqual(result.status, status, result)
        if not result.out:
            return None
        self.assertTrue(result.out.endswith(b"\n"), result)
        self.result = result
        return result.out[:-1].decode("ascii", "surrogateescape")


class Lines(CmdlineTest):
    def test_puts_the_head_in(self):
        kept = f"root=/dev/vda1 ro {RESERVED} quiet"
        self.assertEqual(self.cmdline(LINE), f"{kept} pram=10")
        self.assertEqual(self.cmdline(LINE + " pram=10"), f"{kept} pram=10")
        self.assertEqual(self.cmdline(LINE + " pram=99 pram=0x10 -- single"), f"{kept} pram=10 -- single")
        self.assertEqual(self.cmdline(LINE, "--pfn=10"), f"{kept} pram=10")

    def test_as_json(self):
        result = self.run_json("cmdline", "--memory", self.memory, "--cmdline", LINE)
        self.assertEqual(result.status, INTACT, result)
        line = f"root=/dev/vda1 ro {RESERVED} quiet pram=10"
        self.assertEqual(result.report["next"]["cmdline"], line)
        self.assertEqual(bytes.fromhex(result.report["next"]["cmdline_hex"]).decode(), line)
        self.assertEqual((result.report["next"]["pram"], result.report["next"]["kexec_options"]), ("10", "-s"))
        refused = self.run_json("cmdline", "--memory", self.memory, "--cmdline", "quiet pram=10")
        self.assertEqual((refused.status, refused.report["exit"], refused.report["next"]["pram"]), (DAMAGED, 4, "0"))
        self.assertIn("is not reserved", refused.report["next"]["messages"][0])

    def test_a_range_that_kaslr_does_not_see_is_not_handed_on(self):
        four = " ".join(f"memmap=4K$0x9{number}000000" for number in range(4))
        line = f"ro {four} {RESERVED}"
        self.assertEqual(self.cmdline(line, status=DAMAGED), line)
        self.assertEqual(self.cmdline(line, "--append", "nokaslr"), line + " nokaslr pram=10")
        self.assertEqual(self.cmdline(f"ro {RESERVED} {four}"), f"ro {RESERVED} {four} pram=10")

    def test_every_spelling_goes(self):
        for spelling in ["pram=10", '"pram=10"', 'pram="10"', "pram=0x10", "pram=+10", "pram=garbage pram=10",
                         "pram pram=10"]:
            with self.subTest(spelling):
                self.assertEqual(self.cmdline(f"ro {spelling} {RESERVED}"), f"ro {RESERVED} pram=10")

    def test_every_other_byte_stays(self):
        for kept in ["xpram=1f foo.pram=2", 'a="b  c"   d', "foo= bar", 'dyndbg="file x pram=1f +p"', "\t\x0b a",
                     "a\udca0b", "root=LABEL=\udcc3\udca4", "pram_banned=1M-2M", 'x"y z"w', "acpi_rsdp=0x7b5fe014 initrd=\\a\\b"]:
            with self.subTest(kept):
                self.assertEqual(self.cmdline(f"{kept} {RESERVED}"), f"{kept} {RESERVED} pram=10")

    def test_open_quote(self):
        self.assertEqual(self.cmdline(f'{RESERVED} a="b c'), f'{RESERVED} pram=10 a="b c')

    def test_this_boots_own(self):
        own = "BOOT_IMAGE=x elfcorehdr=1K kexec_jump_back_entry=0x5fa00041 disable_cpu_apicid=0 dmcryptkeys=0x1 pram_verify.session=1-2"
        self.assertEqual(self.cmdline(f"{own} {RESERVED}"), f"{RESERVED} pram=10")

    def test_append_and_remove(self):
        made = self.cmdline(f"quiet splash {RESERVED} quiet=1 -- s", "--remove=quiet", "--append=a b=1", "--remove",
                            "splash", "--append", 'c="d e"')
        self.assertEqual(made, f'{RESERVED} a b=1 c="d e" pram=10 -- s')

    def test_words_of_a_first_boot_are_named(self):
        words = ["ignition.firstboot", "flatcar.first_boot=detected", "systemd.machine-id=firmware",
                 "systemd.condition_first_boot=yes", "coreos.randomize_guid=00000000-0000-0000-0000-000000000001"]
        line = " ".join([RESERVED, *words])
        result = self.run_program("cmdline", "--memory", self.memory, "--cmdline", line)
        self.assertEqual((result.status, result.out), (INTACT, f"{line} pram=10\n".encode()), result)
        removed = re.findall(r"--remove=(\S+)", result.err.decode())
        self.assertEqual(len(removed), len(words), result)
        again = self.run_program("cmdline", "--memory", self.memory, "--cmdline", line,
                                 *[f"--remove={name}" for name in removed])
        self.assertEqual(again.out, f"{RESERVED} pram=10\n".encode())
        self.assertNotIn(b"first boot", again.err)
        for other in ("ignition.firstboots", "xignition.firstboot", "-- ignition.firstboot", "ignition.platform.id=qemu"):
            self.assertNotIn(b"first boot", self.run_program(
                "cmdline", "--memory", self.memory, "--cmdline", f"{RESERVED} {other}").err)

    def test_wrong_usage(self):
        for words in (["--append=a -- b"], ["--append=pram=1"], ['--append=a="b'], ["--remove="], ["--remove=a=b"],
                      ["--kexec-file", "--kexec-load"], ["--kexec-options", "--check-loaded"], ["--from=x"], ["word"],
                      ["--pfn=x"]):
            with self.subTest(words):
                self.assertIsNone(self.cmdline(LINE, *words, status=USAGE))
        self.assertEqual(self.run_program("check", "--append=a").status, USAGE)

    def test_from_a_file(self):
        path = self.scratch / "cmdline"
        path.write_bytes(f"ro pram=10 {RESERVED}\n".encode())
        result = self.run_program("cmdline", "--memory", self.memory, "--from", str(path))
        self.assertEqual((result.status, result.out), (INTACT, f"ro {RESERVED} pram=10\n".encode()))
        result = self.run_program("cmdline", "--memory", self.memory, "--from", str(self.scratch / "none"))
        self.assertEqual((result.status, result.out), (FAILED, b""))

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            result = self.run_program("cmdline", "--memory", self.memory, "--cmdline", LINE, stdout=full)
        self.assertEqual(result.status, FAILED, result)


class Chains(CmdlineTest):
    bare = f"ro {RESERVED}"

    def refused(self, *words, line=bare, memory=None):
        """The line that is printed when there is a chain that does not qualify, and the reason."""
        made = self.cmdline(line, *words, memory=memory, status=DAMAGED)
        self.assertNotIn("pram=", made)
        self.assertIn("not handed on" if memory is None else "", self.result.err.decode())
        return made

    def test_no_chain(self):
        for line in ("ro", "ro pram=0", "ro pram=garbage"):
            self.assertEqual(self.cmdline(line), "ro")
            self.assertIn(b"no chain", self.result.err)
        zeros = self.image({63: bytes(4096)}, "zeros.img")
        self.assertEqual(self.cmdline(f"{self.bare} pram=10", memory=zeros), self.bare)
        self.assertEqual(self.cmdline(self.bare, memory=zeros), self.bare)
        self.assertEqual(self.cmdline(self.bare, "--pfn=0"), self.bare)

    def test_range_not_reserved(self):
        self.assertEqual(self.refused("--pfn=10", line="ro"), "ro")
        self.assertIn(b"memmap=", self.result.err)
        self.refused("--remove=memmap")
        self.refused("--append=memmap=exactmap")
        for short in ("4K$0x10000", "1M$0x11000", "1M@0x10000", "1M", "1Mx10000"):
            self.refused("--pfn=10", line=f"ro memmap={short}")
        self.assertEqual(self.cmdline("memmap=32K$0x10000,1M!0x18000"), "memmap=32K$0x10000,1M!0x18000 pram=10")

    def flipped(self, page, byte=2000):
        path = self.scratch / "flipped.img"
        shutil.copy(self.memory, path)
        with open(path, "r+b") as file:
            file.seek(page * chain.PAGE + byte)
            old = file.read(1)
            file.seek(page * chain.PAGE + byte)
            file.write(bytes([old[0] ^ 1]))
        return str(path)

    def test_damaged(self):
        # The order of pages is the oracle's; each of them is the chain's.
        pages = os.path.getsize(self.memory) // chain.PAGE
        for page in range(START, pages):
            with self.subTest(page):
                self.assertEqual(self.refused(memory=self.flipped(page)), self.bare)

    def test_garbage_at_the_head(self):
        memory = self.image({16: b"garbage!" * 512}, "garbage.img", pages=64)
        self.refused(line=f"{self.bare} pram=10", memory=memory)
        self.assertEqual(self.cmdline(self.bare, memory=memory), self.bare)

    def test_two_chains(self):
        first, _ = chain.write_chain(sample_files(), iter(range(16, 64)))
        second, head = chain.write_chain([chain.File("other", b"x")], iter(range(64, 128)))
        memory = self.image({**first, **second}, "two.img")
        line = "memmap=192K$0x10000 memmap=64K$0x40000"
        self.assertEqual(self.cmdline(line, memory=memory, status=DAMAGED), line)
        self.assertIn(b"--pfn", self.result.err)
        self.assertEqual(self.cmdline(line, f"--pfn={head:x}", memory=memory), f"{line} pram={head:x}")

    def test_memory_that_cannot_be_read(self):
        made = self.cmdline(f"ro pram=10 {RESERVED}", memory=str(self.scratch / "none"), status=FAILED)
        self.assertEqual(made, self.bare)


class Lengths(CmdlineTest):
    def line(self, length):
        """A line that has `length` bytes with pram=10 on it."""
        start = f"{RESERVED} x="
        return start + "y" * (length - len(start) - len(" pram=10"))

    def test_limits(self):
        for words, limit in ((["--kexec-load"], 2047), ([], 2016), (["--kexec-file"], 2016)):
            with self.subTest(words):
                made = self.cmdline(self.line(limit), *words)
                self.assertEqual(len(made), limit)
                self.assertTrue(made.endswith(" pram=10"))
                self.assertIsNone(self.cmdline(self.line(limit + 1), *words, status=FAILED))

    def test_limits_without_a_chain(self):
        for words, limit in (([], 2047), (["--kexec-file"], 2016)):
            self.assertEqual(len(self.cmdline("x" * limit, *words)), limit)
            self.assertIsNone(self.cmdline("x" * (limit + 1), *words, status=FAILED))


class Options(CmdlineTest):
    def test_options(self):
        self.assertEqual(self.cmdline(LINE, "--kexec-options"), "-s")
        self.assertEqual(self.cmdline(LINE, "--kexec-options", "--kexec-file"), "-s")
        self.assertIsNone(self.cmdline(LINE, "--kexec-options", "--kexec-load", status=FAILED))
        self.assertEqual(self.cmdline("ro", "--kexec-options"), "")
        self.assertEqual(self.cmdline("ro", "--kexec-options", "--pfn=10", status=DAMAGED), "")

    def test_below_the_range(self):
        memory, head = self.chain_image(sample_files(), "high.img", start=0x20000)
        line = "memmap=16M$0x20000000"
        words = ["--kexec-options", "--kexec-load"]
        self.assertEqual(self.cmdline(line, *words, memory=memory), "-c --mem-max=0x1fffffff")
        line = "memmap=1G$0 nokaslr"
        self.assertIsNone(self.cmdline(line, *words, f"--pfn={head}", memory=memory, status=FAILED))

    def test_a_last_look_ends_as_the_line_would(self):
        loaded = ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /sys && mkdir /sys/kernel && "
                  "echo 1 >/sys/kernel/kexec_loaded && exec \"$@\"", "sh"]
        empty = self.scratch / "empty.img"
        empty.write_bytes(bytes(1 << 20))
        for memory, line, status, said in (
                (self.memory, LINE, INTACT, b""),
                (self.memory, "quiet pram=10", DAMAGED, b"is not handed on"),
                (self.memory, f"{RESERVED} {'x' * 2020}", FAILED, b"bytes"),
                (str(empty), f"{LINE} pram=10", DAMAGED, b"holds zeros only"),
                (str(empty), "quiet", INTACT, b"no chain")):
            with self.subTest(line[:40], memory=memory):
                result = self.run_program("cmdline", "--memory", memory, "--cmdline", line, "--check-loaded",
                                          prefix=loaded)
                self.assertEqual(result.status, status, result)
                self.assertIn(said, result.err)

    def test_check_loaded(self):
        for made, status in (("echo 1 >/sys/kernel/kexec_loaded", INTACT), ("echo 0 >/sys/kernel/kexec_loaded", FAILED),
                             ("true", FAILED)):
            with self.subTest(made):
                machine = ["unshare", "-m", "sh", "-c", f"mount -t tmpfs none /sys && mkdir /sys/kernel && {made} && "
                           "exec \"$@\"", "sh"]
                result = self.run_program("cmdline", "--check-loaded", "--memory", self.memory, "--cmdline", LINE,
                                          prefix=machine)
                self.assertEqual((result.status, result.out[:16]), (status, b"" if status else b"verdict: intact\n"))


if __name__ == "__main__":
    unittest.main()
