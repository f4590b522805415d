"""Initrds for the command tests: by mkinitramfs and dracut, and record by record."""

import functools
import hashlib
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile

from support import PROGRAM, ROOT

HERE = pathlib.Path(__file__).resolve().parent
PACKED = ("zstd", "gzip", "xz", "lz4", "lzma")
KINDS = {"initramfs-tools": "zstd", "dracut-shell": "dracut-shell", "systemd": "dracut-systemd"}


@functools.cache
def folder():
    """The folder of what mkinitramfs and dracut have made, used again until the program or a hook changes."""
    digest = hashlib.sha256(PROGRAM.read_bytes())
    sources = [path for name in ("initramfs-hooks", "dracut") for path in sorted((ROOT / name).rglob("*"))]
    for path in [HERE / "make-images", ROOT / "Makefile", *filter(pathlib.Path.is_file, sources)]:
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    made = ROOT / "build/initrds" / digest.hexdigest()[:16]
    if made.is_dir():
        return made
    shutil.rmtree(made.parent, ignore_errors=True)
    work = made.with_name(f"unfinished-{os.getpid()}")
    work.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as tree, open(made.parent / "log", "wb") as log:
        subprocess.run(["make", "-s", "install", f"DESTDIR={tree}", "prefix=/usr", f"PROGRAM={PROGRAM}"], cwd=ROOT,
                       check=True, stdout=log, stderr=log)
        subprocess.run([HERE / "make-images", work, tree], check=True, stdin=subprocess.DEVNULL, stdout=log,
                       stderr=log)
    work.rename(made)
    return made


def image(name):
    return folder() / f"{name}.img"


def unpacked(content, form):
    """What a packed stream holds, by the tool of its form."""
    tools = {"zstd": ["zstd", "-dcq"], "gzip": ["gzip", "-dc"], "xz": ["xz", "-dc"],
             "lzma": ["xz", "--format=lzma", "-dc"], "lz4": ["lz4", "-dcq"]}
    return subprocess.run(tools[form], input=content, capture_output=True, check=True).stdout


def packed(content, form):
    tools = {"zstd": ["zstd", "-qc"], "gzip": ["gzip", "-nc"], "xz": ["xz", "--check=crc32", "-c"],
             "lzma": ["xz", "--format=lzma", "-c"], "lz4": ["lz4", "-lqc"], "bzip2": ["bzip2", "-c"],
             "lz4-frame": ["lz4", "-qc"], "none": ["cat"]}
    return subprocess.run(tools[form], input=content, capture_output=True, check=True).stdout


def record(name, data=b"", mode=0o100644, *, links=1, inode=0, device=(0, 0), magic=b"070701", check=0, size=None,
           name_size=None, uid=0, gid=0):
    """A record of a newc archive that begins at a multiple of four bytes."""
    name = name.encode() if isinstance(name, str) else name
    if not name.endswith(b"\0"):
        name += b"\0"
    fields = (inode, mode, uid, gid, links, 0, len(data) if size is None else size, 0, 0, *device,
              len(name) if name_size is None else name_size, check)
    head = magic + b"".join(b"%08X" % field for field in fields) + name
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


TRAILER = record("TRAILER!!!", mode=0)


def archive(*records):
    return b"".join(records) + TRAILER


def executable(sections, certificates=b"", machine=0x8664):
    """A PE file, as far as a unified kernel image goes: {name: content}."""
    start, table, data = 0x40, b"", b""
    first = start + 24 + 240 + 40 * len(sections)
    for name, content in sections.items():
        table += struct.pack("<8sIIIIIIHHI", name.encode(), len(content), 0, len(content), first + len(data), 0, 0, 0,
                             0, 0)
        data += content
    directories = [(0, 0)] * 16
    if certificates:
        directories[4] = (first + len(data), len(certificates))
    optional = struct.pack("<H", 0x20B).ljust(108, b"\0") + struct.pack("<I", 16)
    optional += b"".join(struct.pack("<II", *pair) for pair in directories)
    header = b"PE\0\0" + struct.pack("<HHIIIHH", machine, len(sections), 0, 0, 0, len(optional), 0x22)
    return b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", start) + header + optional + table + data + certificates
