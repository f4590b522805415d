"""Machines as a distribution sets them up: initrds by mkinitramfs and dracut, and a small real root file system."""

import gzip
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

from . import BUILD, REPOSITORY, image_path, initramfs, provision

HERE = pathlib.Path(__file__).resolve().parent
NAMES = ("initramfs-tools", "dracut-shell", "dracut-systemd")

# What a kernel is told of the root file system, the first virtio disk.
ROOT = "root=/dev/vda rootfstype=ext4 rw fsck.mode=skip"

INIT = b"""#!/harness/busybox sh
# PID 1 of the real root file system. What the initramfs has mounted came along; /run does not lend the agent its space.
busybox=/harness/busybox
[ -e /proc/self ] || $busybox mount -t proc none /proc
for place in sysfs:/sys devtmpfs:/dev tmpfs:/run; do
    $busybox grep -q " ${place#*:} " /proc/mounts || $busybox mount -t ${place%%:*} none ${place#*:}
done
$busybox mount -t tmpfs none /tmp
$busybox mkdir -p /tmp/harness /run/harness
$busybox mount --bind /tmp/harness /run/harness || $busybox mount -t tmpfs none /run/harness
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/
exec $busybox sh /harness/agent
"""


def install(prefix):
    """A tree as `make install` makes it."""
    done = subprocess.run(["make", "-s", "install", f"DESTDIR={prefix}", "prefix=/usr"], cwd=REPOSITORY,
                          capture_output=True, text=True)
    if done.returncode:
        raise provision.Missing(f"make install: {done.stderr[-800:]}")


def made(kernel):
    """The folder of what mkinitramfs and dracut have made, which is used again until a hook changes."""
    sources = [path for folder in ("initramfs-hooks", "dracut")
               for path in sorted((REPOSITORY / folder).rglob("*")) if path.is_file()]
    digest = hashlib.sha256(kernel.release.encode())
    for path in [HERE / "make-initrds", REPOSITORY / "Makefile", *sources]:
        digest.update(str(path.relative_to(REPOSITORY)).encode() + b"\0" + path.read_bytes())
    folder = BUILD / "initrds" / f"{kernel.release}-{digest.hexdigest()[:16]}"
    if not folder.is_dir():
        with provision.alone():
            if not folder.is_dir():
                _make(kernel, folder)
    return folder


def _make(kernel, folder):
    print(f"making initrds of {kernel} by mkinitramfs and dracut", flush=True)
    work = folder.with_name(f"unfinished-{os.getpid()}")
    archives = provision.PACKAGES / "archives"
    for path in (work, archives):
        path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as tree, open(BUILD / "initrds" / "log", "wb") as log:
        install(tree)
        done = subprocess.run([HERE / "make-initrds", work, archives, tree, kernel.root], stdin=subprocess.DEVNULL,
                              stdout=log, stderr=log)
    if done.returncode:
        raise provision.Missing(f"make-initrds: exit {done.returncode}; see {BUILD / 'initrds' / 'log'}")
    shutil.rmtree(folder, ignore_errors=True)
    work.rename(folder)


def initrds(kernel, program):
    """{name: image} with this program in them: it comes in an archive of its own behind what the tools have made, and
    the kernel unpacks its files over the first one's."""
    folder = made(kernel)
    return {name: with_files(folder / f"{name}.img", {"/usr/sbin/pram-verify": program}, f"{kernel}-{name}.img")
            for name in NAMES}


def bare(kernel):
    """{name: image} as the tools make them where no hook is installed."""
    folder = made(kernel)
    return {name: folder / f"bare-{name}.img" for name in NAMES}


def most(kernel):
    """An image with every driver, as mkinitramfs makes it by default where no hook is installed; and what lsinitramfs
    says of it."""
    folder = made(kernel)
    return folder / "bare-most.img", (folder / "bare-most.list").read_text()


def with_files(image, files, name):
    """A copy of an initrd, called `name`, with more files in it: {path in the guest: bytes | host path | Symlink}."""
    path = image_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = image.read_bytes()
    # A compressed archive starts at a multiple of four bytes.
    own = gzip.compress(initramfs.archive(files), compresslevel=1, mtime=0)
    path.write_bytes(content + b"\0" * (-len(content) % 4) + own)
    return path


def root_image(path, files):
    """An ext4 file system with the agent as its PID 1 and these files: {path in the guest: bytes or host file}."""
    provision.tools("mke2fs")
    content = {**initramfs.agent_files(), "/sbin/init": INIT, "/etc/os-release": b"ID=test\nNAME=test\n", **files}
    with tempfile.TemporaryDirectory() as scratch:
        top = pathlib.Path(scratch)
        for folder in ("proc", "sys", "dev", "run", "tmp", "bin", "mnt", "usr/lib", "root"):
            (top / folder).mkdir(parents=True)
        for place, data in content.items():
            target = top / place.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(data, bytes):
                target.write_bytes(data)
            else:
                shutil.copy(data, target)
            if isinstance(data, bytes) and data.startswith(b"#!") or not isinstance(data, bytes):
                target.chmod(0o755)
        # /bin holds the applets, as links: there is no PID 1 yet that could make them.
        listing = subprocess.run([provision.busybox(), "--list"], capture_output=True, text=True, check=True)
        for applet in listing.stdout.split():
            link = top / "bin" / applet
            if not link.exists():
                link.symlink_to("/harness/busybox")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        done = subprocess.run([provision.tool_path("mke2fs"), "-q", "-t", "ext4", "-d", top, path, "96M"],
                              capture_output=True, text=True)
        if done.returncode:
            raise provision.Missing(f"mke2fs: {done.stderr[-800:]}")
    return path
