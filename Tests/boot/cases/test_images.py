"""Initrds that knew nothing of the program, and got it from `image append`, or from what `image make` writes behind them:
the chain is verified after a real kexec, before anything is mounted, on the kernel of this release and on the newest."""

import shutil

from cases.early_boot import *


def on_host(*words):
    done = subprocess.run([PROGRAM, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60)
    return done.returncode, done.stdout + done.stderr


@functools.lru_cache(maxsize=None)
def appended(kernel):
    """{name: image}"""
    return {name: extended(kernel, name, bare) for name, bare in distribution.bare(kernel).items()}


def extended(kernel, name, bare):
    path = image_path(f"{kernel}-appended-{name}.img")
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(bare, path)
    status, said = on_host("image", "append", path)
    if status != 0:
        raise AssertionError(f"append: {status}: {said}")
    return path


@functools.lru_cache(maxsize=None)
def appended_root(kernel):
    return root_with(kernel, appended(kernel), f"appended-root-{kernel}.img")


class AppendedImage:
    def images(self):
        return appended(self.kernel())

    def root(self):
        return appended_root(self.kernel())

    def test_check_tells_the_image_before_from_the_one_after(self):
        config = self.kernel().root / "boot" / f"config-{self.kernel().release}"
        for image, expected in ((distribution.bare(self.kernel())[self.initrd], 4), (self.images()[self.initrd], 0)):
            status, said = on_host("image", "check", f"--config={config}", f"--cmdline={RANGE}", image)
            self.assertEqual(status, expected, said)

    def test_a_chain_is_verified_after_a_kexec(self):
        machine = self.boot(f"pram={RESERVED_PFN:x}")
        self.assert_status(machine, "empty")
        machine.must("mkdir /tmp/in && cd /tmp/in && head -c 3000000 /dev/urandom >large && echo snow >small")
        sums = machine.must("cd /tmp/in && sha256sum *")
        self.assertEqual(machine.must("pram-verify save /tmp/in"), f"pram={RESERVED_PFN:x}")
        self.kexec(machine, machine.must("cat /proc/cmdline"))
        self.assertEqual(machine.release, self.kernel().release)
        self.assert_status(machine, "intact")
        self.assert_before_any_mount(machine)
        machine.must("pram-verify load --erase /tmp/out")
        self.assertEqual(machine.must("cd /tmp/out && sha256sum *"), sums)


class AppendedInitramfsTools(AppendedImage, EarlyBoot):
    pass


class AppendedDracutShell(AppendedImage, EarlyBoot):
    initrd = "dracut-shell"


class AppendedDracutSystemd(AppendedImage, EarlyBoot):
    initrd = "dracut-systemd"


class AppendedInitramfsToolsOnTheNewestKernel(AppendedInitramfsTools):
    kernel = staticmethod(provision.newest_kernel)


class AppendedDracutShellOnTheNewestKernel(AppendedDracutShell):
    kernel = staticmethod(provision.newest_kernel)


class AppendedDracutSystemdOnTheNewestKernel(AppendedDracutSystemd):
    kernel = staticmethod(provision.newest_kernel)


class AppendedWithMostModules(EarlyBoot):
    """The image that Debian makes where nobody says otherwise, with the drivers of every machine."""

    def images(self):
        return {self.initrd: extended(self.kernel(), "most", distribution.most(self.kernel())[0])}

    def test_it_lists_as_lsinitramfs_does_and_verifies_a_chain(self):
        image, listed = distribution.most(self.kernel())
        status, said = on_host("image", "list", image)
        self.assertEqual(status, 0, said[-500:])
        self.assertGreater(len(listed.splitlines()), 1200)
        self.assertEqual(said.splitlines(), listed.splitlines())
        machine = self.boot_chain()
        self.assert_status(machine, "intact")
        self.assert_before_any_mount(machine)


class MadeArchive(EarlyBoot):
    """What `make` writes, put behind an initrd that knew nothing of it."""

    def test_it_verifies_a_chain_in_every_kind_of_initrd(self):
        for name, flavour in (("initramfs-tools", "initramfs-tools"), ("dracut-shell", "dracut-shell"),
                              ("dracut-systemd", "systemd")):
            with self.subTest(name):
                self.initrd = name
                archive = image_path("made.cpio.gz")
                archive.parent.mkdir(parents=True, exist_ok=True)
                status, said = on_host("image", "make", f"--flavour={flavour}", "--compress=gzip", archive)
                self.assertEqual(status, 0, said)
                content = distribution.bare(self.kernel())[name].read_bytes()
                path = image_path(f"made-{name}.img")
                path.write_bytes(content + b"\0" * (-len(content) % 4) + archive.read_bytes())
                self.images = lambda: {name: path}
                machine = self.boot_chain()
                self.assert_status(machine, "intact")
                self.assert_before_any_mount(machine)
                machine.close()
