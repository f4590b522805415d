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
    """As `pram_image`, but what is started by kexec runs `boot` before anything else, and so does what that starts."""
    boot = {**program_files(), "/init": INIT_WITH_BOOT}
    kernel = {**provision.kexec_files(), "/boot/bzImage-pram": PRAM_KERNELS / "bzImage-pram"}
    third = initramfs.initramfs(image_path("pram-boot-third.cpio.gz"), boot)
    second = initramfs.initramfs(image_path("pram-boot-second.cpio.gz"), {**boot, **kernel, "/boot/initrd": third})
    return initramfs.initramfs(image_path("pram-boot-first.cpio.gz"), {
        **program_files(), **kernel, "/boot/initrd": second})


class OnPramKernel(test_pram_kernel.AfterKexec):
    """A small initramfs made by hand, on a kernel that reserves the chain itself."""

    image = staticmethod(pram_image_with_boot)
    damage = staticmethod(lambda machine, links: None)

    @classmethod
    def setUpClass(cls):
        cls.save_and_kexec(damage=cls.damage)
        cls.take_in()

    @classmethod
    def take_in(cls):
        """What `boot` has left."""
        cls.status = cls.machine.must(f"cat {FOLDER}/status")
        cls.report = json.loads(cls.machine.must(f"cat {FOLDER}/report.json"))


class IntactOnPramKernel(OnPramKernel):
    def test_intact(self):
        self.assertEqual((self.status, self.report["verdict"], self.report["warnings"]), ("intact", "intact", []))
        self.assertEqual(self.report["head"]["origin"], "sys-kernel-pram")


class DamagedPageOnPramKernel(OnPramKernel):
    write = test_pram_kernel.WRITE_PLAINLY

    @staticmethod
    def damage(machine, links):
        flip_in_guest(machine, links[2].entries[50].pfn * chain.PAGE + 2000)

    def test_damaged(self):
        self.assertEqual((self.status, self.report["verdict"]), ("damaged", "damaged"))
        self.assertEqual([finding["kind"] for finding in self.report["findings"]
                          if finding["severity"] == "damage"], ["data-checksum"])


class RefusedByPramKernel(OnPramKernel):
    @staticmethod
    def damage(machine, links):
        flip_in_guest(machine, links[2].pfn * chain.PAGE + chain.PAGE - 1)

    def test_refused(self):
        self.assertEqual(self.pram_value, "0")
        self.assertEqual((self.status, self.report["verdict"]), ("damaged", "damaged"))
        self.assertIn("kernel-refused", [finding["kind"] for finding in self.report["findings"]])


class WithKaslr(OnPramKernel):
    """Where the second kernel comes to lie is luck, and so is whether the chain lives."""

    @classmethod
    def kexec_with(cls, head):
        cls.append = cls.append.replace("nokaslr ", "")
        super().kexec_with(head)

    def test_warned(self):
        self.assertNotIn("nokaslr", self.machine.must("cat /proc/cmdline"))
        self.assertIn("without nokaslr a kernel that has pram may come to lie on the chain", self.report["warnings"])
        self.assertIn((4, "without nokaslr"), [(level, text[:15]) for level, text in kernel_log_lines(self.machine)])


class KexecedAgainWithoutAMount(OnPramKernel):
    """The second kernel has cleared flags behind the checksums' back, and a third one goes by these."""

    prepare = staticmethod(lambda machine: None)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.status_before = cls.status
        cls.prepare(cls.machine)
        cls.line = run(cls.machine, "cmdline")
        cls.kexec_with(cls.head)
        cls.pram_value = cls.machine.must("cat /sys/kernel/pram")
        cls.take_in()


class KexecedAgainAsItIs(KexecedAgainWithoutAMount):
    def test_cmdline_does_not_hand_it_on(self):
        self.assertEqual(self.status_before, "intact")
        self.assert_run(self.line, 4, errors="would be refused by the next kernel(.|\n)*--refit")
        self.assertNotIn(" pram=", self.line.output)

    def test_the_third_kernel_refuses_it_and_boot_says_so(self):
        self.assertEqual(self.pram_value, "0")
        self.assertIn("kernel-refused", [finding["kind"] for finding in self.report["findings"]])
        self.assertNotEqual(self.status, "intact")


class KexecedAgainRefitted(KexecedAgainWithoutAMount):
    prepare = staticmethod(lambda machine: machine.run("pram-verify drop --refit"))

    def test_cmdline_hands_it_on(self):
        self.assertEqual(self.status_before, "intact")
        self.assertEqual(self.line.status, 0, self.line)
        self.assertIn(f" pram={self.head:x}", self.line.output)

    def test_the_third_kernel_takes_it_and_boot_calls_it_intact(self):
        self.assertEqual(int(self.pram_value, 16), self.head)
        self.assertEqual((self.status, self.report["verdict"]), ("intact", "intact"))
