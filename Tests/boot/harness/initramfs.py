"""Initramfs images: a newc writer, and the harness's own image with busybox and the agent in it."""

import gzip
import pathlib
import stat

from . import provision

HERE = pathlib.Path(__file__).resolve().parent


class Symlink:
    """A symbolic link among an image's files."""

    def __init__(self, target):
        self.target = target


def archive(files):
    """A newc archive of {path: bytes | host path | Symlink}; parent folders come by themselves, all is root's.

    A host file's permissions are kept; bytes become executable when they start with "#!".
    """
    records, folders = [], set()
    # A static node: the kernel opens the console for PID 1 before anybody could mount devtmpfs.
    files = {"/dev/console": None, **files}
    for path in sorted(files):
        name = path.strip("/")
        for parent in reversed(pathlib.PurePosixPath(name).parents[:-1]):
            if parent not in folders:
                folders.add(parent)
                records.append(_record(str(parent), stat.S_IFDIR | 0o755))
        content = files[path]
        if content is None:
            records.append(_record(name, stat.S_IFCHR | 0o600, device=(5, 1)))
        elif isinstance(content, Symlink):
            records.append(_record(name, stat.S_IFLNK | 0o777, content.target.encode()))
        elif isinstance(content, bytes):
            mode = 0o755 if content.startswith(b"#!") else 0o644
            records.append(_record(name, stat.S_IFREG | mode, content))
        else:
            mode = 0o755 if content.stat().st_mode & 0o111 else 0o644
            records.append(_record(name, stat.S_IFREG | mode, content.read_bytes()))
    records.append(_record("TRAILER!!!", 0))
    return b"".join(records)


def _record(name, mode, data=b"", device=(0, 0)):
    name = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def agent_files():
    """What any initramfs needs for the agent to run; something in it must call `/harness/busybox sh /harness/agent`."""
    return {"/harness/busybox": provision.busybox(), "/harness/agent": HERE / "agent.sh"}


LOAD_MODULES = b"""#!/harness/busybox sh
# Loads this image's modules in the order they need; the kernel that runs must be theirs.
set -e
for module in "${1:-/modules}"/*.ko; do /harness/busybox insmod "$module"; done
"""


def module_files(modules, folder="/modules"):
    """An image's files for `Kernel.modules`: the guest loads them all by `load-modules FOLDER`."""
    files = {f"{folder}/{number:02}-{name}.ko": data for number, (name, data) in enumerate(modules.items())}
    return {"/sbin/load-modules": LOAD_MODULES, **files}


def initramfs(path, files=()):
    """Writes the harness's own image, with `files` in it as well, to `path` (gzip)."""
    content = {"/init": (HERE / "init.sh").read_bytes(), **agent_files(), **dict(files)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(archive(content), compresslevel=1, mtime=0))
    return path
