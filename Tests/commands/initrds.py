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


def _made(digest, *words):
    """The folder of what make-images makes when it is called so; used again while the digest is the same."""
    made = ROOT / "build/initrds" / f"{'with' if words else 'bare'}-{digest.hexdigest()[:16]}"
    if made.is_dir():
        return made
    for old in made.parent.glob(f"{made.name[:5]}*"):
        shutil.rmtree(old)
    work = made.with_name(f"unfinished-{os.getpid()}")
    work.mkdir(parents=True)
    with open(made.parent / f"{made.name[:4]}.log", "wb") as log:
        subprocess.run([HERE / "make-images", work, *words], check=True, stdin=subprocess.DEVNULL, stdout=log,
                       stderr=log)
    work.rename(made)
    return made


@functools.cache
def bare():
    """What mkinitramfs and dracut make where there are no hooks."""
    return _made(hashlib.sha256((HERE / "make-images").read_bytes()))


@functools.cache
def hooked():
    """What they make with the hooks and the program, again whenever one of these changes."""
    with tempfile.TemporaryDirectory() as tree:
        subprocess.run(["make", "-s", "install", f"DESTDIR={tree}", "prefix=/usr", f"PROGRAM={PROGRAM}"], cwd=ROOT,
                       check=True, capture_output=True)
        digest = hashlib.sha256((HERE / "make-images").read_bytes())
        for path in sorted(filter(pathlib.Path.is_file, pathlib.Path(tree).rglob("*"))):
            digest.update(str(path.relative_to(tree)).encode() + b"\0" + path.read_bytes())
        return _made(digest, tree)


def folder(name):
    return hooked() if name.startswith("with-") else bare()


def image(name):
    return folder(name) / f"{name}.img"


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
