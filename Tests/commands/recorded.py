"""Files of machines as they were, below a directory: what `doctor --root` looks at. Each machine is a recipe, a few lines
that differ from a Debian on which everything is as it should be."""

import gzip
import os
import pathlib

import initrds

MIB = 1 << 20
RELEASE = "6.12.41+deb13-amd64"

IOMEM = """00000000-00000fff : Reserved
00001000-0009fbff : System RAM
0009fc00-0009ffff : Reserved
000f0000-000fffff : Reserved
  000f0000-000fffff : System ROM
00100000-1fffffff : System RAM
  01000000-01ffffff : Kernel code
  02000000-02ffffff : Kernel data
20000000-23ffffff : Persistent Memory (legacy)
24000000-7ffdffff : System RAM
7ffe0000-7fffffff : Reserved
fffc0000-ffffffff : Reserved
"""
WITHOUT_RANGE = IOMEM.replace("""1fffffff : System RAM
  01""", """7ffdffff : System RAM
  01""").replace("""20000000-23ffffff : Persistent Memory (legacy)
24000000-7ffdffff : System RAM
""", "")
MEMMAP = [(0, 0x9fbff, "System RAM"), (0x9fc00, 0x9ffff, "Reserved"), (0xf0000, 0xfffff, "Reserved"),
          (0x100000, 0x7ffdffff, "System RAM"), (0x7ffe0000, 0x7fffffff, "Reserved")]
OPTIONS = {name: "y" for name in (
    "CONFIG_FIRMWARE_MEMMAP", "CONFIG_DEVMEM", "CONFIG_STRICT_DEVMEM", "CONFIG_IO_STRICT_DEVMEM", "CONFIG_PROC_KCORE",
    "CONFIG_KEXEC", "CONFIG_KEXEC_FILE", "CONFIG_RANDOMIZE_BASE", "CONFIG_SECURITY_LOCKDOWN_LSM")}
LINE = f"BOOT_IMAGE=/boot/vmlinuz-{RELEASE} root=/dev/vda1 ro memmap=64M!0x20000000 quiet"
ORDER = b"[ -e /conf/param.conf ] && . /conf/param.conf\n"
WANTS = "etc/systemd/system/multi-user.target.wants"


def kernel(*forms):
    """A bzImage whose payload names these forms in which it takes memory over."""
    payload = gzip.compress(b"\0".join([b"", *(form.encode() for form in forms), b"end"]), mtime=0)
    image = bytearray(0x400)
    image[0x1f1], image[0x202:0x206], image[0x206:0x208] = 1, b"HdrS", b"\x0f\x02"
    image[0x24c:0x250] = len(payload).to_bytes(4, "little")
    return bytes(image) + payload


FORMS = ("kho-v4", "luo-v5", "memfd-v2")


class Recorded:
    """A machine's files: a Debian 13 that is ready, until something is changed."""

    def __init__(self, root, image):
        self.root = root
        self.files = {}
        self.line(LINE)
        self.iomem(IOMEM)
        self.memmap(MEMMAP)
        self.config(OPTIONS)
        self.put("proc/sys/kernel/osrelease", RELEASE + "\n")
        self.put("proc/sys/kernel/kexec_load_disabled", "0\n")
        self.put("sys/kernel/kexec_loaded", "0\n")
        self.put("sys/kernel/security/lockdown", "[none] integrity confidentiality\n")
        self.put(f"boot/vmlinuz-{RELEASE}", "\0" * 0x202 + "HdrS")
        self.put(f"boot/initrd.img-{RELEASE}", image)
        self.grub("memmap=64M!0x20000000")
        self.put("usr/sbin/update-grub", "")
        self.put("usr/sbin/kexec", "")
        self.dpkg("2.0.29-2")
        for folder in ("usr/lib/systemd/system", WANTS):
            self.put(f"{folder}/pram-verify.service", "[Unit]\n")
        self.put("run/pram-verify/status", "absent\n")
        self.rehearsal()

    def put(self, path, content):
        self.files[path] = content.encode() if isinstance(content, str) else content

    def drop(self, *starts):
        self.files = {path: text for path, text in self.files.items() if not path.startswith(starts)}

    def line(self, text):
        self.put("proc/cmdline", text + "\n")

    def iomem(self, text):
        self.put("proc/iomem", text)

    def memmap(self, entries):
        self.drop("sys/firmware/memmap/")
        for number, (start, last, kind) in enumerate(entries):
            for name, text in (("start", f"{start:#x}"), ("end", f"{last:#x}"), ("type", kind)):
                self.put(f"sys/firmware/memmap/{number}/{name}", text + "\n")

    def config(self, options):
        self.put(f"boot/config-{RELEASE}", "# Linux\n" + "".join(f"{name}={value}\n" for name, value in options.items()))

    def grub(self, value):
        self.put("etc/default/grub", f'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX="{value}"\n')

    def dpkg(self, version):
        self.put("var/lib/dpkg/status",
                 f"Package: base-files\nStatus: install ok installed\nVersion: 13\n\nPackage: kexec-tools\n"
                 f"Status: install ok installed\nVersion: {version}\n\n")

    def rehearsal(self, state="passed", start=0x20000000, to=RELEASE, extra=""):
        self.put("var/lib/pram-verify-state/rehearsal",
                 f"state {state}\nrange {start:#x}+0x3fff000\nseed 1\nsaved 1790000000\nfrom {RELEASE}\n"
                 + (f"checked 1790000060\nto {to}\nflavour initramfs-tools\npages 16383\n{extra}" if to else ""))

    def unused(self):
        """Before anything was set up: no range, no units, no rehearsal."""
        self.line(f"BOOT_IMAGE=/boot/vmlinuz-{RELEASE} root=/dev/vda1 ro quiet")
        self.iomem(WITHOUT_RANGE)
        self.grub("")
        self.drop(WANTS, "var/lib/pram-verify-state", "run/")

    def write(self):
        for path, content in self.files.items():
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, pathlib.Path):
                # Large, and the same in all of them.
                os.link(content, file)
            else:
                file.write_bytes(content)
        return str(self.root)


# Machines as they are met. Those with a golden text each.

def debian_13_ready(machine):
    """All is well."""


def debian_12_as_installed(machine):
    machine.unused()
    machine.dpkg("2.0.25-3+deb12u1")


def newest_with_kho(machine):
    machine.config({**OPTIONS, "CONFIG_KEXEC_HANDOVER": "y", "CONFIG_LIVEUPDATE": "y"})
    machine.line(LINE + " kho=on")
    machine.put(f"boot/vmlinuz-{RELEASE}", kernel(*FORMS))


def kho_alone(machine):
    machine.unused()
    machine.config({**OPTIONS, "CONFIG_KEXEC_HANDOVER": "y", "CONFIG_LIVEUPDATE": "y", "CONFIG_DEVMEM": "n"})
    machine.put(f"boot/vmlinuz-{RELEASE}", kernel(*FORMS))
    machine.put("boot/vmlinuz-6.12.40-same", kernel(*FORMS))
    machine.put("boot/vmlinuz-6.12.39-other", kernel("kho-v3", "luo-session-v2", "luo-v1", "memfd-v2"))
    machine.put("boot/vmlinuz-6.1-none", kernel())
    machine.put("boot/vmlinuz-6.0-broken", "\0" * 0x202 + "HdrS")
    machine.line("root=/dev/vda1 ro quiet kho=on liveupdate=on")


def efi_with_secure_boot(machine):
    machine.put("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
    machine.put("sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", b"\x06\0\0\0\x01")
    for name, text in (("phys_addr", "0x7fe00000"), ("num_pages", "0x100")):
        machine.put(f"sys/firmware/efi/runtime-map/0/{name}", text + "\n")
    machine.unused()


def with_crashkernel(machine):
    machine.line(LINE + " crashkernel=256M")
    machine.iomem(IOMEM.replace("24000000-7ffdffff : System RAM\n",
                                "24000000-7ffdffff : System RAM\n  6f000000-7effffff : Crash kernel\n"))


def with_pmem_device(machine):
    machine.iomem(IOMEM.replace("Persistent Memory (legacy)\n",
                                "Persistent Memory (legacy)\n  20000000-23ffffff : namespace0.0\n"))


def with_ramoops(machine):
    machine.put("sys/module/ramoops/parameters/mem_address", "1879048192\n")
    machine.put("sys/module/ramoops/parameters/mem_size", "1048576\n")


def pram_kernel(machine):
    machine.unused()
    machine.put("sys/kernel/pram", "0\n")
    machine.line("root=/dev/vda1 nokaslr pram_banned=128M-512M")
    machine.grub("nokaslr pram_banned=128M-512M")


def container(machine):
    """No /sys to speak of, and an empty /proc/iomem."""
    machine.unused()
    machine.drop("sys/", "boot/", "etc/default/grub", "usr/sbin")
    machine.iomem("")


def unprivileged(machine):
    """What /proc/iomem shows to those who may see no addresses."""
    machine.iomem("".join(f"{line[:len(line) - len(line.lstrip())]}00000000-00000000 :{line.split(':')[1]}\n"
                          for line in IOMEM.splitlines()))


def mounted_disk(machine):
    machine.drop("proc/", "sys/", "run/")


def systemd_boot(machine):
    machine.unused()
    machine.drop("etc/default/grub", "usr/sbin/update-grub")
    machine.put("boot/loader/entries/debian.conf", "title Debian\nlinux /vmlinuz\noptions root=/dev/vda1 quiet\n")
    machine.put("etc/kernel/cmdline", "root=/dev/vda1 quiet\n")
    machine.put("usr/bin/kernel-install", "")


MACHINES = [debian_13_ready, debian_12_as_installed, newest_with_kho, kho_alone, efi_with_secure_boot, with_crashkernel,
            with_pmem_device, with_ramoops, pram_kernel, container, unprivileged, mounted_disk, systemd_boot]


def bare_image():
    """An initrd of initramfs-tools, as little of it as it is known by, with what the helper needs but itself."""
    record = initrds.record
    modules = [record(f"usr/lib/modules/{RELEASE}/kernel/drivers/nvdimm/{name}.ko", b"ELF")
               for name in ("libnvdimm", "nd_btt", "nd_e820", "nd_pmem")]
    return initrds.archive(
        record("init", b"#!/bin/sh\n", 0o100755), record("conf/initramfs.conf", b"MODULES=most\n"),
        record("scripts/functions", b""), record("scripts/init-top/ORDER", ORDER),
        record("bin/busybox", b"ELF", 0o100755), record("bin/sh", b"busybox", 0o120777), *modules)
