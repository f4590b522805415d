"""What the cases on `boot` in a distribution's initramfs share: machines as a distribution sets them up, and the chains
that lie in their memory."""

import functools
import json
import re
import time

import chain
from cases.support import *
from harness import distribution

FOLDER = "/run/pram-verify"
RANGE = "memmap=16M$0x10000000"
# As the harness puts it before the command line of the first kernel.
CONSOLE = "console=ttyS0 panic=-1"


@functools.lru_cache(maxsize=None)
def images(kernel):
    return distribution.initrds(kernel, PROGRAM)


@functools.lru_cache(maxsize=None)
def root(kernel):
    return root_with(kernel, images(kernel), f"early-root-{kernel}.img")


def root_with(kernel, initrds, name):
    """Everything that the running system needs, with what is to be kexec'ed: {name: image}."""
    return distribution.root_image(image_path(name), {
        **program_files(), **provision.kexec_files(), "/boot/vmlinuz": kernel.image,
        **{f"/boot/{name}.img": image for name, image in initrds.items()},
    })


class Chains:
    """One chain in the reserved range, and what becomes of it."""

    @staticmethod
    @functools.lru_cache(maxsize=None)
    def intact():
        return chain.write_chain(sample_files(), iter(range(RESERVED_PFN, 1 << 52)))

    @staticmethod
    def loads():
        return chain.runs(Chains.intact()[0])

    @staticmethod
    def head():
        return Chains.intact()[1]

    @staticmethod
    def damaged():
        """A byte of the second page of large.img is another one."""
        pages, _ = Chains.intact()
        large = next(file for file in sample_files() if file.pages and file.size == 1_000_000)
        return Chains.with_flip(next(pfn for pfn, page in pages.items() if page == large.pages[1]))

    @staticmethod
    def damaged_link():
        """A byte of the second link is another one."""
        pages, head = Chains.intact()
        return Chains.with_flip(list(chain.walk(pages.__getitem__, head))[1].pfn)

    @staticmethod
    def with_flip(pfn):
        pages, _ = Chains.intact()
        page = bytearray(pages[pfn])
        page[100] ^= 1
        return chain.runs({**pages, pfn: bytes(page)})


class EarlyBoot(unittest.TestCase):
    maxDiff = None
    initrd = "initramfs-tools"
    kernel = staticmethod(provision.stock_kernel)

    def append(self, parameters, memmap=RANGE):
        """A command line as a boot loader gives it."""
        early = "" if self.initrd == "initramfs-tools" else "rd.driver.pre=virtio_blk "
        return f"{early}{distribution.ROOT} nokaslr {memmap} {parameters}".strip()

    def images(self):
        """{name: image}: the initrds of this case, of which it boots one."""
        return images(self.kernel())

    def root(self):
        return root(self.kernel())

    def boot(self, parameters="", loads=(), memmap=RANGE, ready=True, files=None, drives=(),
             memory=STOCK_MEMORY):
        """A machine that has come as far as its real root file system, whatever lay in its memory.

        files   what the initrd holds beside what a tool has put into it
        drives  images of further disks
        """
        image = self.images()[self.initrd]
        if files:
            image = distribution.with_files(image, files, "more-files.img")
        machine = Machine(re.sub(r"^cases\.(test_)?", "", self.id()), self.kernel().image, image,
                          self.append(parameters, memmap), memory, loads=loads,
                          drives=[self.root(), *drives])
        self.addCleanup(machine.close)
        if not ready:
            machine.arguments = [word.replace("panic=-1 ", "") for word in machine.arguments]
        machine.start()
        return machine.wait_ready() if ready else machine

    def boot_chain(self, parameters="", loads=None, **options):
        return self.boot(f"pram={Chains.head():x} {parameters}", Chains.loads() if loads is None else loads, **options)

    def kexec(self, machine, line):
        """Starts this kernel once more with a whole command line, by kexec_file_load."""
        # Reading the files takes minutes where other work has the processors.
        machine.must(f"kexec -s -l /boot/vmlinuz --initrd=/boot/{self.initrd}.img "
                     f"--command-line={shlex.quote(line)}", deadline=900)
        machine.kexec()

    def status(self, machine):
        return machine.must(f"cat {FOLDER}/status")

    def report(self, machine):
        return json.loads(machine.must(f"cat {FOLDER}/report.json"))

    def assert_before_any_mount(self, machine):
        log = machine.must("dmesg")
        said, mounted = log.find("] pram-verify: "), log.find("EXT4-fs (vda): mounted")
        self.assertTrue(0 <= said < mounted, log[-6000:])

    def assert_status(self, machine, status):
        self.assertEqual(self.status(machine), status, machine.run(f"cat {FOLDER}/report.txt; dmesg | tail -n 40"))

    def assert_goes_on(self, machine):
        self.assertEqual(machine.must(f"cat {FOLDER}/action"), "continue")

    def assert_now(self, machine, verdict, files):
        """What a check of the running system says, and how many files it finds."""
        report = in_guest(machine)
        self.assertEqual((report.verdict, len(report.json["files"])), (verdict, files), f"\n{report}")

    def assert_ignored(self, machine, garbage):
        """That each of these parameters was named as ignored."""
        warnings = self.report(machine)["warnings"]
        for word in garbage:
            self.assertTrue(any(f"pram_verify.{word} is ignored" in warning for warning in warnings), warnings)

    def assert_stops_with(self, parameters, pattern):
        """That a damaged chain stops the boot before the root file system is mounted."""
        machine = self.boot_chain(parameters, Chains.damaged(), ready=False)
        for _ in range(120):
            if re.search(pattern, machine.log) or machine.process.poll() is not None:
                break
            time.sleep(1)
        self.assertRegex(machine.log, pattern)
        self.assertRegex(machine.log, "] pram-verify: damaged")
        self.assertNotIn("EXT4-fs (vda): mounted", machine.log)


GARBAGE = ["policy=Drop", "on_damage=reboot", "timeout=-1", "quick=maybe", "region=16M", "device=", "nothing=1"]
GARBAGE_PARAMETERS = " ".join("pram_verify." + word for word in GARBAGE)

__all__ = [name for name in dir() if not name.startswith("_")]
