"""A unified kernel image: systemd's stub, a kernel, an initrd that knew nothing of the program, and behind it what
`image make` writes. The firmware starts it, and the check runs before anything is mounted; so it does after a kexec into
the kernel and the initrd that were taken out of it."""

import shutil

from cases.early_boot import *
from cases.test_images import on_host

STUB = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"


def run(*words):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise provision.Missing(f"{words[0]}: {done.returncode}: {done.stderr[-800:]}")


def unify(out, kernel, initrds, line):
    """By ukify where there is one (UKIFY_STUB names its stub); else by objcopy, as systemd-stub(7) shows it."""
    ukify = provision.tool_path("ukify")
    if ukify:
        run(ukify, "build", f"--linux={kernel.image}", *[f"--initrd={path}" for path in initrds],
            f"--cmdline={line}", f"--uname={kernel.release}", "--os-release=ID=test\nNAME=test\n",
            f"--stub={os.environ.get('UKIFY_STUB', STUB)}", f"--output={out}")
        return
    provision.tools("objcopy")
    stub = provision.package("systemd-boot-efi") / STUB[1:]
    together = b""
    for path in initrds:
        together += b"\0" * (-len(together) % 4) + path.read_bytes()
    parts = {".osrel": b"ID=test\nNAME=test\n", ".cmdline": line.encode(), ".linux": kernel.image.read_bytes(),
             ".initrd": together}
    words, address = ["objcopy"], 0x10000
    for name, content in parts.items():
        part = out.with_name(out.name + name)
        part.write_bytes(content)
        address = -(-address // 0x10000) * 0x10000 + 0x10000
        words += ["--add-section", f"{name}={part}", "--change-section-vma", f"{name}=0x{address + 0x100000:x}"]
        address += len(content)
    run(*words, stub, out)


def boot_disk(path, image):
    """An EFI system partition over a whole disk, with the image where firmware looks by itself."""
    provision.tools("mkfs.vfat", "mcopy")
    with open(path, "wb") as disk:
        disk.truncate(128 << 20)
    run("mkfs.vfat", path)
    run("mmd", "-i", path, "::/EFI", "::/EFI/BOOT")
    run("mcopy", "-i", path, image, "::/EFI/BOOT/BOOTX64.EFI")


class UnifiedKernelImage(EarlyBoot):
    """The chain lies in the reserved range before the firmware runs, which leaves it alone."""

    def unified(self, flavour="initramfs-tools"):
        out = image_path("unified.efi")
        out.parent.mkdir(parents=True, exist_ok=True)
        archive = image_path("unified.cpio")
        status, said = on_host("image", "make", f"--flavour={flavour}", archive)
        self.assertEqual(status, 0, said)
        line = f"console=ttyS0 panic=-1 {self.append(f'pram={Chains.head():x}')}"
        unify(out, self.kernel(), [distribution.bare(self.kernel())[self.initrd], archive], line)
        return out

    def start(self, image):
        disk, name = image_path("unified.disk"), re.sub(r"^cases\.(test_)?", "", self.id())
        boot_disk(disk, image)
        self.images = lambda: {self.initrd: self.taken_out(image)}
        root = root_with(self.kernel(), self.images(), f"unified-root-{self.kernel()}.img")
        machine = Machine(name, memory=STOCK_MEMORY, loads=Chains.loads(), drives=[root, disk],
                          firmware=provision.firmware())
        self.addCleanup(machine.close)
        return machine.start().wait_ready(deadline=1200)

    def taken_out(self, image):
        """The initrd of a unified kernel image, by binutils."""
        out = image_path("unified.initrd")
        run("objcopy", "-O", "binary", "--only-section=.initrd", "--set-section-flags", ".initrd=alloc", image, out)
        return out

    def test_it_verifies_a_chain_under_the_firmware_and_after_a_kexec(self):
        image = self.unified()
        status, said = on_host("image", "check", image)
        self.assertEqual(status, 0, said)
        machine = self.start(image)
        self.assertEqual(machine.run("test -d /sys/firmware/efi").status, 0)
        self.assert_status(machine, "intact")
        self.assert_before_any_mount(machine)
        machine.must("mkdir /tmp/in && cd /tmp/in && head -c 3000000 /dev/urandom >large && echo snow >small")
        sums = machine.must("cd /tmp/in && sha256sum *")
        self.assertEqual(machine.must("pram-verify save --replace /tmp/in"), f"pram={RESERVED_PFN:x}")
        self.kexec(machine, machine.must("cat /proc/cmdline"))
        self.assert_status(machine, "intact")
        self.assert_before_any_mount(machine)
        machine.must("pram-verify load --erase /tmp/out")
        self.assertEqual(machine.must("cd /tmp/out && sha256sum *"), sums)
