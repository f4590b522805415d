"""Recorded machines: what /proc and /sys show, written below a directory from readable recipes."""

import pathlib
import re

# A machine of 16 GiB with EFI, a crash kernel, a range for chains and persistent memory.
IOMEM = """\
00000000-00000fff : Reserved
00001000-0009fbff : System RAM
000a0000-000bffff : PCI Bus 0000:00
000f0000-000fffff : System ROM
00100000-0fffffff : System RAM
  02000000-02e02aaf : Kernel code
  03000000-037b2fff : Kernel rodata
  03800000-03af4aff : Kernel data
  04088000-041fffff : Kernel bss
10000000-13ffffff : Reserved
14000000-7bbfffff : System RAM
  60000000-6fffffff : Crash kernel
7bc00000-7bdfffff : ACPI Non-volatile Storage
7be00000-7beeffff : ACPI Tables
7bf00000-7fffffff : Reserved
80000000-febfffff : PCI Bus 0000:00
  fd000000-fdffffff : 0000:00:02.0
100000000-3ffffffff : System RAM
400000000-47fffffff : Persistent Memory
380000000000-3807ffffffff : PCI Bus 0000:00
"""
LINE = "root=/dev/vda1 memmap=64M$0x10000000 crashkernel=256M pram_banned=0x200000000-0x220000000 pram=10000"
FIRMWARE = """\
0-0x9fbff System RAM
0x100000-0x7bbfffff System RAM
0x7bc00000-0x7bdfffff ACPI Non-volatile Storage
0x7be00000-0x7beeffff ACPI Tables
0x7bf00000-0x7fffffff Reserved
0x100000000-0x3ffffffff System RAM
"""
EFI = {0x7B900000: 0x100, 0x7BA00000: 0x80}
INITRD = (0x74000000, 48 << 20)


def record(root, iomem=IOMEM, line=LINE, firmware=FIRMWARE, efi=None, initrd=None):
    """Writes the files of a machine below `root`; what is None is not there."""
    root = pathlib.Path(root)

    def write(name, content):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    root.mkdir(parents=True, exist_ok=True)
    if iomem is not None:
        write("proc/iomem", iomem)
    if line is not None:
        write("proc/cmdline", line + "\n")
    for number, entry in enumerate((firmware or "").splitlines()):
        start, end, kind = re.fullmatch(r"(\w+)-(\w+) (.*)", entry).groups()
        for name, value in (("start", start), ("end", end), ("type", kind)):
            write(f"sys/firmware/memmap/{number}/{name}", value + "\n")
    for number, (start, pages) in enumerate((efi or {}).items()):
        write(f"sys/firmware/efi/runtime-map/{number}/phys_addr", f"{start:#x}\n")
        write(f"sys/firmware/efi/runtime-map/{number}/num_pages", f"{pages:#x}\n")
    if initrd:
        start, size = initrd
        data = bytearray(4096)
        data[0x218:0x21C] = (start & 0xFFFFFFFF).to_bytes(4, "little")
        data[0x21C:0x220] = size.to_bytes(4, "little")
        write("sys/kernel/boot_params/data", bytes(data))
    return str(root)
