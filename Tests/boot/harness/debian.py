"""A real Debian: the host's own release with systemd as PID 1 and the real kexec-tools, as an ext4 image.

What the project installs lies in it as `make install` leaves it there: nothing of it is enabled.
"""

import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
import tempfile

from . import BUILD, distribution, initramfs, provision

FOLDER = BUILD / "debian"
# udev, kmod and dbus are on every Debian machine.
PACKAGES = ("systemd-sysv", "dbus", "udev", "kmod", "kexec-tools")
# Nobody reads these here.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
# Nobody logs in, the initramfs has set up the only disk, there are no modules, and emulated machines have no time for
# the rest.
MASKED = (
    "getty.target", "serial-getty@ttyS0.service", "timers.target", "e2scrub_reap.service",
    "systemd-udev-trigger.service", "systemd-modules-load.service", "systemd-random-seed.service",
    "systemd-sysusers.service", "systemd-sysctl.service", "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service", "dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount", "sys-kernel-config.mount", "sys-fs-fuse-connections.mount",
    *(f"modprobe@{module}.service" for module in ("configfs", "dm_mod", "drm", "efi_pstore", "fuse", "loop")),
)

AGENT_UNIT = b"""[Unit]
Description=Agent of the boot tests

[Service]
ExecStart=/harness/busybox sh /harness/agent

[Install]
WantedBy=multi-user.target
"""


def settings():
    """{path: content} of what makes it a machine of the tests."""
    return {
        # A system that has been started before: the first start of all enables whatever no preset forbids.
        "etc/machine-id": b"0123456789abcdef0123456789abcdef\n", "etc/hostname": b"test\n", "etc/fstab": b"",
        # To be read after the next boot.
        "etc/systemd/journald.conf.d/test.conf": b"[Journal]\nStorage=persistent\n",
        # Emulated on a host that others use as well, anything may take minutes.
        "etc/systemd/system.conf.d/test.conf":
            b"[Manager]\nDefaultTimeoutStartSec=15min\nDefaultDeviceTimeoutSec=15min\nDefaultTimeoutStopSec=15min\n",
        "etc/systemd/system/harness-agent.service": AGENT_UNIT,
    }


def mask(top):
    """Enables the agent below `top` and masks what nobody needs."""
    units = top / "etc/systemd/system"
    wants = units / "multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / "harness-agent.service").symlink_to("../harness-agent.service")
    for name in MASKED:
        (units / name).unlink(missing_ok=True)
        (units / name).symlink_to("/dev/null")


def make_image(top, path, size):
    """An ext4 file system of this size with what lies below `top`."""
    provision.tools("mke2fs")
    path.unlink(missing_ok=True)
    done = subprocess.run([provision.tool_path("mke2fs"), "-q", "-t", "ext4", "-d", top, path, size],
                          capture_output=True, text=True)
    if done.returncode:
        raise provision.Missing(f"mke2fs: {done.stderr[-800:]}")


def _base():
    """The system before anything of ours is in it, as a tarball; used again while it is made of the same packages."""
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    sources = [path for pattern in ("sources.list", "sources.list.d/*.list", "sources.list.d/*.sources")
               for path in sorted(pathlib.Path("/etc/apt").glob(pattern))]
    words = [f"--include={','.join(PACKAGES)}", *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT), release]
    digest = hashlib.sha256(" ".join(words).encode()).hexdigest()[:16]
    tarball = FOLDER / f"base-{digest}.tar"
    if not tarball.is_file():
        print("making a Debian root file system", flush=True)
        provision.tools("mmdebstrap")
        archives = FOLDER / "archives"
        archives.mkdir(parents=True, exist_ok=True)
        work = FOLDER / f"unfinished-{os.getpid()}.tar"
        with open(FOLDER / "log", "wb") as log:
            done = subprocess.run(
                ["mmdebstrap", "--mode=root", "--variant=minbase", "--skip=essential/unlink",
                 '--setup-hook=mkdir -p "$1/var/cache/apt/archives"',
                 f"--setup-hook=sync-in '{archives}' /var/cache/apt/archives",
                 f"--customize-hook=sync-out /var/cache/apt/archives '{archives}'",
                 *words, work, *sources], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if done.returncode:
            raise provision.Missing(f"mmdebstrap: exit {done.returncode}; see {FOLDER / 'log'}")
        for old in FOLDER.glob("base-*.tar"):
            old.unlink()
        work.rename(tarball)
    return tarball


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        shutil.copy(content, path)


def _digest(*trees):
    """A number for the content and permissions of files, and of those below folders."""
    digest = hashlib.sha256()
    for tree in trees:
        for path in sorted(tree.rglob("*")) if tree.is_dir() else [tree]:
            if path.is_file():
                name = path.relative_to(tree)
                digest.update(f"{name}\0{path.stat().st_mode}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def image(kernel, initrd, program):
    """The root file system, with this kernel and initrd to be kexec'ed and this program in it; made anew when something
    that goes into it has changed."""
    base = _base()
    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
        installed, top = pathlib.Path(scratch, "installed"), pathlib.Path(scratch, "root")
        distribution.install(installed)
        _write(installed / "usr/sbin/pram-verify", program)
        agent = initramfs.agent_files().values()
        digest = _digest(installed, initrd, kernel.image, base, pathlib.Path(__file__), *agent)
        made = FOLDER / f"root-{digest}.img"
        if made.is_file():
            return made
        for old in FOLDER.glob("root-*.img"):
            old.unlink()
        top.mkdir()
        subprocess.run(["tar", "-xf", base, "-C", top], check=True)
        shutil.copytree(installed, top, symlinks=True, dirs_exist_ok=True)
        for path, content in {
            f"boot/vmlinuz-{kernel.release}": kernel.image, f"boot/initrd.img-{kernel.release}": initrd,
            **settings(), **{path.lstrip("/"): content for path, content in initramfs.agent_files().items()},
        }.items():
            _write(top / path, content)
        # As Debian's kernel packages leave them.
        (top / "vmlinuz").symlink_to(f"boot/vmlinuz-{kernel.release}")
        (top / "initrd.img").symlink_to(f"boot/initrd.img-{kernel.release}")
        mask(top)
        work = FOLDER / f"unfinished-{os.getpid()}.img"
        make_image(top, work, "768M")
        work.rename(made)
    return made
