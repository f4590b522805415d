"""What the cases share: the program under test, the images and chains they use, and how its answers are judged."""

import functools
import hashlib
import json
import os
import pathlib
import random
import re
import shlex
import subprocess
import unittest

import chain
from harness import BUILD, REPOSITORY, image_path, initramfs, provision
from harness.machine import Machine, MachineError, Result

PROGRAM = pathlib.Path(os.environ.get("PRAM_VERIFY", REPOSITORY / "build" / "pram-verify")).resolve()
PRAM_KERNELS = pathlib.Path(os.environ.get("PRAM_KERNELS", REPOSITORY.parent / "shared" / "kernel")).resolve()

# The ranges of the machines with a stock kernel, in page frames. KASLR is off there (it may put the kernel anywhere);
# the kernel lies at 16 MiB, the initrd and early allocations at the end of memory, and the middle is left alone.
RESERVED_ADDRESS, RESERVED_SIZE = 0x10000000, 16 << 20
RESERVED_PFN = RESERVED_ADDRESS // chain.PAGE
RAM_PFN = 0x18000000 // chain.PAGE
STOCK_APPEND = "nokaslr memmap=16M$0x10000000"
STOCK_MEMORY = "768M"

# The file of a chain that nobody has saved.
PARITY = ".pram-parity"

EXIT_STATUS = {"intact": 0, "absent": 0, "damaged": 4, "indeterminate": 4}
COULD_NOT_LOOK = 8


def sample_files():
    """Files for a chain of several links: sizes around a page, a hole, no data at all, a name beyond ASCII."""
    noise = random.Random(20130726)
    return [
        chain.File("large.img", noise.randbytes(1_000_000)),
        chain.File("café 雪.txt", b"snow\n", mode=0o100600),
        chain.File("empty"),
        chain.File("page", noise.randbytes(4096)),
        chain.File("page and one", noise.randbytes(4097)),
        chain.File("holes", size=1 << 20, pages={0: noise.randbytes(4096), 200: noise.randbytes(4096)}),
    ]


def alternating(first, second):
    """Page frames taken in turns from two places, ten from each: links and pages end up in both."""
    while True:
        for start in (first, second):
            yield from range(start, start + 10)
        first, second = first + 10, second + 10


def program_files():
    """The program under test, for an image. When it is not built its cases fail by "not found"."""
    return {"/sbin/pram-verify": PROGRAM} if PROGRAM.is_file() else {}


@functools.lru_cache(maxsize=None)
def stock_image():
    """The initrd of the machines with a stock kernel. The newest kernel lies in it, to be kexec'ed."""
    newest = provision.newest_kernel()
    inner = initramfs.initramfs(image_path("stock-next.cpio.gz"), program_files())
    return initramfs.initramfs(image_path("stock.cpio.gz"), {
        **program_files(), **provision.kexec_files(), "/boot/vmlinuz": newest.image, "/boot/initrd": inner,
        **initramfs.module_files(provision.stock_kernel().modules("qemu_fw_cfg")),
    })


@functools.lru_cache(maxsize=None)
def pram_image():
    """The initrd of the machines with a pram kernel: both variants and their own initrd lie in it."""
    inner = initramfs.initramfs(image_path("pram-next.cpio.gz"), program_files())
    return initramfs.initramfs(image_path("pram.cpio.gz"), {
        **program_files(), **provision.kexec_files(), "/boot/initrd": inner,
        "/boot/bzImage-pram": PRAM_KERNELS / "bzImage-pram",
        "/boot/bzImage-pram-strict": PRAM_KERNELS / "bzImage-pram-strict",
    })


class Report:
    """One run of the program with --json: its result, and the JSON when there is any."""

    def __init__(self, result):
        self.result, self.status = result, result.status
        try:
            self.json = json.loads(result.output_bytes)
        except ValueError:
            self.json = {}
        self.verdict = self.json.get("verdict")
        self.findings = self.json.get("findings", [])

    def finding_pages(self):
        """The page frames that findings name."""
        return {number(finding["pfn"]) for finding in self.findings if finding.get("pfn") is not None}

    def files(self, status="intact"):
        """{name: (size, mode)} of the files with this status."""
        return {bytes.fromhex(file["name_hex"]): (file["size"], int(file["mode"], 8))
                for file in self.json.get("files", []) if file.get("status") == status and not file.get("parity")}

    def says(self, pattern):
        """Whether something it said matches: not what it was asked, which the JSON repeats (paths, the head)."""
        said = [value for key, value in self.json.items() if key not in ("memory", "head", "command")]
        return re.search(pattern, json.dumps(said, ensure_ascii=False) + self.result.errors, re.IGNORECASE)

    def __str__(self):
        return str(self.result)


def number(value):
    """A PFN in the JSON: a number, or hexadecimal text."""
    return int(value, 16) if isinstance(value, str) else value


def in_guest(machine, *arguments, command="check"):
    """Runs the program in a guest."""
    words = ["pram-verify", command, *arguments, "--json"]
    return Report(machine.run(" ".join(shlex.quote(str(word)) for word in words)))


def run(machine, *words):
    """Runs the program in a guest, as people and scripts do: without --json."""
    return machine.run(shlex.join(["pram-verify", *(str(word) for word in words)]))


def kernel_log_lines(machine):
    """(level, text) of what the program said in the kernel's log."""
    return [(int(number) & 7, text) for number, text in re.findall(
        r"^<(\d+)>\[[^]]*\] pram-verify: (.*)$", machine.must("dmesg -r"), re.MULTILINE)]


def contents(machine, folder):
    """{name: (SHA-256, mode)} of the files of a folder in a guest; where a chain is mounted, without its parity."""
    sums = machine.must(f"cd {folder} && find . -type f -maxdepth 1 -exec sha256sum {{}} +")
    modes = machine.must(f"cd {folder} && find . -type f -maxdepth 1 -exec stat -c '%a %n' {{}} +")
    modes = {name: mode for mode, name in (line.split(" ", 1) for line in modes.splitlines())}
    return {name.removeprefix("./"): (digest, modes[name])
            for digest, name in (line.split("  ", 1) for line in sums.splitlines())
            if name.removeprefix("./") != PARITY}


def chain_contents(machine, head):
    """{name: (SHA-256, mode)} of the chain in a guest's memory, as the oracle reads it from outside."""
    read_page = page_reader(machine)
    modes = {}
    for link in chain.walk(read_page, head):
        if not link.fits():
            raise ValueError(f"the link at {link.pfn:x} does not fit its checksum")
        for entry in link.entries:
            if entry.type == chain.META:
                page = read_page(entry.pfn)
                _, mode, length = chain.FILE_IMAGE.unpack_from(page)
                modes[page[16:16 + length]] = f"{mode & 0o7777:o}"
    return {name.decode(): (hashlib.sha256(data).hexdigest(), modes[name])
            for name, data in chain.read_files(read_page, head).items() if name != PARITY.encode()}


def flip_in_guest(machine, address):
    """Inverts one byte of physical memory through /dev/mem, where the kernel lets it."""
    old = machine.memory(address, 1)[0]
    machine.must(f"printf '\\{old ^ 0xFF:03o}' | dd of=/dev/mem bs=1 seek={address} conv=notrunc 2>/dev/null")
    if machine.memory(address, 1)[0] != old ^ 0xFF:
        raise MachineError(f"byte at {address:#x} did not change")


def spoil(machine, head, name, index):
    """Inverts a byte in page `index` of a file of the chain, as it lies in a guest's memory; returns the page frame."""
    names, read_page = None, page_reader(machine)
    for link in chain.walk(read_page, head):
        for entry in link.entries:
            if entry.type == chain.META:
                page = read_page(entry.pfn)
                names = page[16:16 + page[12]].decode()
            elif names == name and entry.index == index:
                flip_in_guest(machine, entry.pfn * chain.PAGE + 1000)
                return entry.pfn
    raise ValueError(f"{name} has no page {index}")


def on_host(*arguments, command="check"):
    """Runs the program here, on memory taken out of a machine."""
    words = [str(word) for word in (PROGRAM, command, *arguments, "--json")]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    except FileNotFoundError:
        return Report(Result(shlex.join(words), 127, b"", b"not built\n"))
    return Report(Result(shlex.join(words), done.returncode, done.stdout, done.stderr))


def page_reader(machine):
    """read_page for the chain module: physical memory seen from outside the guest."""
    return lambda pfn: machine.memory(pfn * chain.PAGE, chain.PAGE)


# Shell commands for a guest: files of several links' worth of pages, and things that are no files.
WRITE_SAMPLES = """
    head -c 1000000 /dev/urandom >large.img
    echo snow >'café 雪.txt'; chmod 600 'café 雪.txt'
    : >empty; chmod 755 empty
    head -c 4096 /dev/urandom >page; chmod 400 page
    head -c 4097 /dev/urandom >'page and one'
    truncate -s 1M holes
    head -c 4096 /dev/urandom | dd of=holes bs=4096 conv=notrunc 2>/dev/null
    head -c 4096 /dev/urandom | dd of=holes bs=4096 seek=200 conv=notrunc 2>/dev/null
    mkdir folder
    ln -s page link
"""


def make_samples(machine, folder):
    """Makes a folder with these files in a guest."""
    machine.must(f"set -e; mkdir {folder}; cd {folder}; {WRITE_SAMPLES}")


class BootCase(unittest.TestCase):
    """A case about one machine, which `boot` starts once for all tests of the class."""

    # Cases about the pram kernels are the only ones that may be not run, where those kernels are not to be had.
    needs_pram_kernels = False
    maxDiff = None

    @classmethod
    def start(cls, kernel, initrd, append, memory, **options):
        """Starts the class's machine, waits for its agent, and ends it after the last test."""
        name = f"{cls.__name__}"
        machine = Machine(name, kernel, initrd, append, memory, **options)
        cls.addClassCleanup(machine.close)
        machine.start()
        machine.wait_ready()
        return machine

    def assert_run(self, result, status, output=None, errors=None):
        """How a run without --json ended: its exit status, its whole standard output, a pattern on standard error."""
        self.assertEqual(result.status, status, f"\n{result}")
        if output is not None:
            self.assertEqual(result.output, output, f"\n{result}")
        if errors is not None:
            self.assertRegex(result.errors, errors, f"\n{result}")

    def assert_verdict(self, report, verdict):
        """The verdict, and that the exit status is the one that belongs to it."""
        self.assertEqual((report.verdict, report.status), (verdict, EXIT_STATUS[verdict]), f"\n{report}")

    def assert_files(self, report, files):
        """That exactly these files are called intact, with their sizes and modes."""
        self.assertEqual(report.files(), {file.name: (file.size, file.mode) for file in files}, f"\n{report}")

    def assert_explained(self, report, pattern):
        """That it did not claim to have looked, and said why it could not."""
        self.assertIn(report.status, (EXIT_STATUS["indeterminate"], COULD_NOT_LOOK), f"\n{report}")
        self.assertIn(report.verdict, (None, "indeterminate"), f"\n{report}")
        self.assertTrue(report.says(pattern), f"nothing about {pattern} in\n{report}")

    def assert_names_page(self, report, pfn):
        """That a finding names this page."""
        self.assertIn(pfn, report.finding_pages(), f"pfn {pfn:x} is not named in\n{report}")


__all__ = [name for name in dir() if not name.startswith("_")]
