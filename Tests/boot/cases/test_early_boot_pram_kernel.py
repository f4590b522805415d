"""`boot` on a kernel that has pram, in a small initramfs made by hand."""

import functools
import json

import chain
from cases.support import *
from cases import test_pram_kernel
from harness import distribution

FOLDER = "/run/pram-verify"

INIT_WITH_BOOT = (distribution.HERE / "init.sh").read_bytes().replace(b"\nexec ", b"\n/sbin/pram-verify boot\nexec ")


@functools.lru_cache(maxsize=None)
def pram_image_with_boot():
    """As `pram_image`, but what is started by kexec runs `boot` before anything else."""
    inner = initramfs.initramfs(image_path("pram-boot.cpio.gz"), {**program_files(), "/init": INIT_WITH_BOOT})
    return initramfs.initramfs(image_path("pram-boot-first.cpio.gz"), {
        **program_files(), **provision.kexec_files(), "/boot/initrd": inner,
        "/boot/bzImage-pram": PRAM_KERNELS / "bzImage-pram",
    })


class OnPramKernel(test_pram_kernel.AfterKexec):
    """A small initramfs made by hand, on a kernel that reserves the chain itself."""

    image = staticmethod(pram_image_with_boot)
    damage = staticmethod(lambda machine, links: None)

    @classmethod
    def setUpClass(cls):
        cls.save_and_kexec(damage=cls.damage)
        cls.status = cls.machine.must(f"cat {FOLDER}/status")
        cls.report = json.loads(cls.machine.must(f"cat {FOLDER}/report.json"))

    @staticmethod
    def spoil(machine, address):
        old = machine.memory(address, 1)[0]
        machine.must(f"printf '\\{old ^ 1:03o}' | dd of=/dev/mem bs=1 seek={address} conv=notrunc 2>/dev/null")


class IntactOnPramKernel(OnPramKernel):
    def test_intact(self):
        self.assertEqual((self.status, self.report["verdict"], self.report["warnings"]), ("intact", "intact", []))
        self.assertEqual(self.report["head"]["origin"], "sys-kernel-pram")


class DamagedPageOnPramKernel(OnPramKernel):
    write = test_pram_kernel.WRITE_PLAINLY

    @staticmethod
    def damage(machine, links):
        OnPramKernel.spoil(machine, links[2].entries[50].pfn * chain.PAGE + 2000)

    def test_damaged(self):
        self.assertEqual((self.status, self.report["verdict"]), ("damaged", "damaged"))
        self.assertEqual([finding["kind"] for finding in self.report["findings"]
                          if finding["severity"] == "damage"], ["data-checksum"])


class RefusedByPramKernel(OnPramKernel):
    @staticmethod
    def damage(machine, links):
        OnPramKernel.spoil(machine, links[2].pfn * chain.PAGE + chain.PAGE - 1)

    def test_refused(self):
        self.assertEqual(self.pram_value, "0")
        self.assertEqual((self.status, self.report["verdict"]), ("damaged", "damaged"))
        self.assertIn("kernel-refused", [finding["kind"] for finding in self.report["findings"]])
