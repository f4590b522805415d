"""Debian's releases, each with its own kernel, initramfs tools, kexec-tools and systemd, as disk images for QEMU.

The root file systems come by mmdebstrap from the host's own sources with the name of the suite changed. What the project
installs lies in them as `make install` leaves it there, and the initrds are made there, by each release's own tools.
Everything is kept in build/boot/suites and used again until something that goes into it changes.
"""

import functools
import hashlib
import pathlib
import platform
import re
import shutil
import subprocess
import tempfile

from . import BUILD, debian, distribution, initramfs, provision

FOLDER = BUILD / "suites"
HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = (*debian.PACKAGES, "linux-image-amd64", "initramfs-tools", "dracut-core", "busybox", "zstd", "e2fsprogs",
            "iproute2", "systemd-boot-efi", "criu")
TOOLS = ("initramfs-tools", "dracut-systemd", "dracut-shell")
# What no case needs of a kernel's modules: they are most of it.
MODULES_LEFT_OUT = ("sound", *(f"drivers/{name}" for name in (
    "gpu", "net", "media", "staging", "infiniband", "usb", "scsi", "iio", "hid", "input", "mtd", "hwmon", "comedi",
    "accel", "isdn", "leds", "mfd", "mmc", "platform", "power", "regulator", "target", "video", "bluetooth", "i2c",
    "gpio", "pinctrl", "ata", "crypto", "edac", "firewire", "spi", "thermal", "tty", "w1", "watchdog")))
LEFT_OUT = (*debian.LEFT_OUT, *(f"{top}/lib/modules/*/kernel/{name}/*" for top in ("", "/usr")
                                for name in MODULES_LEFT_OUT))
# Where hooks are installed.
HOOKS = ("share/initramfs-tools", "share/pram-verify", "lib/dracut")
# What TESTED.md names.
NAMED = ("linux-image", "initramfs-tools", "dracut-core", "kexec-tools", "systemd", "criu")


class Suite:
    """A release. `lacking` are packages that it does not have, `more` those that only it needs; `note` is what a reader of
    TESTED.md should know of it."""

    def __init__(self, number, name, others=(), extra=("-updates", "-security"), lacking=(), more=(), note=""):
        self.number, self.name, self.others, self.extra, self.note = number, name, others, extra, note
        self.packages = [*(package for package in PACKAGES if package not in lacking), *more]

    def __repr__(self):
        return f"Debian {self.number}"

    @functools.cached_property
    def base(self):
        """The root file system before anything of ours is in it: a folder with root.tar, packages and vmlinuz."""
        for name in (self.name, *self.others):
            words = [f"--include={','.join(self.packages)}",
                     *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT)]
            lines = sources(name, self.extra)
            digest = hashlib.sha256("\n".join([*words, *lines]).encode()).hexdigest()[:16]
            folder = FOLDER / f"{name}-{digest}"
            if not folder.is_dir():
                with provision.alone(f"suite-{self.name}"):
                    if not folder.is_dir() and not _strap(name, words, lines, folder):
                        continue
            return folder
        raise provision.Missing(f"no root file system of {self}; see {FOLDER}/*.log")

    @functools.cached_property
    def versions(self):
        """{package: version} of all that is installed."""
        return dict(line.split("\t") for line in (self.base / "packages").read_text().splitlines())

    def named_versions(self):
        """What TESTED.md says of it: {name: version}."""
        return {name: next((version for package, version in self.versions.items() if package == name or
                            name == "linux-image" and re.fullmatch(r"linux-image-\d\S*", package)), "none")
                for name in NAMED}

    @property
    def kernel(self):
        return self.base / "vmlinuz"

    @property
    def release(self):
        """What uname -r says there."""
        return (self.base / "release").read_text().strip()

    @functools.lru_cache(maxsize=None)
    def disk(self, program, tool):
        """(the disk image, the initrd of this tool) with this program in both."""
        with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
            installed = pathlib.Path(scratch, "installed")
            distribution.install(installed)
            # What goes into an image, but for the program.
            hooks = debian._digest(*(installed / "usr" / name for name in HOOKS), HERE / "make-suite-initrds")
            debian._write(installed / "usr/sbin/pram-verify", program)
            digest = debian._digest(installed, pathlib.Path(__file__), pathlib.Path(debian.__file__),
                                    HERE / "make-suite-initrds", *initramfs.agent_files().values())
            made = self.base / f"disk-{tool}-{digest}"
            if not made.is_dir():
                with provision.alone(f"suite-{self.name}-{tool}"):
                    if not made.is_dir():
                        for old in self.base.glob(f"disk-{tool}-*"):
                            shutil.rmtree(old)
                        self._make(pathlib.Path(scratch), installed, hooks, made, tool)
        return made / "root.img", made / "initrd.img"

    def _make(self, scratch, installed, hooks, made, tool):
        print(f"making a disk of {self} with the initrd of {tool}", flush=True)
        top, work = scratch / "root", scratch / "made"
        top.mkdir()
        work.mkdir()
        subprocess.run(["tar", "-xf", self.base / "root.tar", "-C", top], check=True)
        # Not in place of a link like lib -> usr/lib, which a release is full of.
        subprocess.run(f"tar -C '{installed}' -c . | tar -C '{top}' -x --keep-directory-symlink --no-same-owner",
                       shell=True, check=True)
        initrd = self.base / f"initrd-{tool}-{hooks}"
        if not initrd.is_file():
            for old in self.base.glob(f"initrd-{tool}-*"):
                old.unlink()
            self._make_initrd(top, work, tool)
            (work / f"{tool}.img").rename(initrd)
        # The program that is under test now lies in an archive of its own behind what the tool has made.
        own = distribution.with_files(initrd, {"/usr/sbin/pram-verify": installed / "usr/sbin/pram-verify"},
                                      f"{self.name}-{tool}.img")
        shutil.move(own, work / "initrd.img")
        shutil.copy(work / "initrd.img", top / "boot" / f"initrd.img-{self.release}")
        for path, content in {
            **debian.settings(), **{path.lstrip("/"): content for path, content in initramfs.agent_files().items()},
        }.items():
            debian._write(top / path, content)
        # As Debian's kernel packages leave them.
        for name in ("vmlinuz", "initrd.img"):
            (top / name).unlink(missing_ok=True)
            (top / name).symlink_to(f"boot/{name}-{self.release}")
        debian.mask(top)
        debian.make_image(top, work / "root.img", "1100M")
        work.rename(made)

    def _make_initrd(self, top, work, tool):
        messages = self.base / f"{tool}.log"
        with open(messages, "wb") as log:
            done = subprocess.run([HERE / "make-suite-initrds", top, work, self.release, tool],
                                  stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if done.returncode:
            raise provision.Missing(f"make-suite-initrds: exit {done.returncode}; see {messages}")


def boot_disk(suite, initrd, line, path):
    """A disk with a GPT and one partition, the EFI system partition, on which systemd-boot finds one entry: this
    release's kernel with an initrd and a command line. Made without mounting anything."""
    provision.tools("mcopy", "mkfs.vfat", "sfdisk")
    mebibyte = 1 << 20
    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
        work = pathlib.Path(scratch)
        loader = "./usr/lib/systemd/boot/efi/systemd-bootx64.efi"
        subprocess.run(["tar", "-xf", suite.base / "root.tar", "-C", work, loader], check=True)
        (work / "loader.conf").write_text("timeout 0\n")
        (work / "debian.conf").write_text(
            f"title Debian\nversion {suite.release}\nlinux /vmlinuz\ninitrd /initrd.img\noptions {line}\n")
        size = 2 * mebibyte + suite.kernel.stat().st_size + initrd.stat().st_size
        size = max(size // mebibyte + 4, 40) * mebibyte
        volume = work / "volume"
        with open(volume, "wb") as file:
            file.truncate(size)
        run = functools.partial(subprocess.run, check=True, capture_output=True)
        run([provision.tool_path("mkfs.vfat"), "-F", "32", volume])
        run(["mmd", "-i", volume, "::EFI", "::EFI/BOOT", "::loader", "::loader/entries"])
        for source, target in ((work / loader, "EFI/BOOT/BOOTX64.EFI"), (work / "loader.conf", "loader/loader.conf"),
                               (work / "debian.conf", "loader/entries/debian.conf"), (suite.kernel, "vmlinuz"),
                               (initrd, "initrd.img")):
            run(["mcopy", "-i", volume, source, f"::{target}"])
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as disk:
            disk.truncate(size + 2 * mebibyte)
        run([provision.tool_path("sfdisk"), path], input=b"label: gpt\nstart=1MiB, size=%dMiB, type=uefi\n"
            % (size // mebibyte))
        with open(path, "r+b") as disk:
            disk.seek(mebibyte)
            disk.write(volume.read_bytes())
    return path


def _strap(name, words, lines, folder):
    """Has mmdebstrap make a root file system. Says whether it did."""
    print(f"making a Debian {name} root file system", flush=True)
    provision.tools("mmdebstrap")
    archives, work = FOLDER / "archives" / name, folder.with_name(folder.name + ".unfinished")
    for path in (archives, work):
        path.mkdir(parents=True, exist_ok=True)
    (work / "sources").write_text("".join(line + "\n" for line in lines))
    drivers = "\\n".join(("virtio_blk", "virtio_pci", "ext4"))
    hooks = [
        'setup-hook=mkdir -p "$1/var/cache/apt/archives"', f"setup-hook=sync-in '{archives}' /var/cache/apt/archives",
        # The kernel package makes an initrd on the way. Small ones are quick.
        'setup-hook=mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"; '
        "printf 'MODULES=list\\n' >\"$1/etc/initramfs-tools/conf.d/test\"; "
        f"printf '{drivers}\\n' >\"$1/usr/share/initramfs-tools/modules.d/test\"",
        f"customize-hook=sync-out /var/cache/apt/archives '{archives}'",
        'customize-hook=rm -rf "$1"/boot/initrd.img-* "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*',
        "customize-hook=chroot \"$1\" dpkg-query -W -f '${Package}\\t${Version}\\n' "
        f">'{work}/packages'",
        f"customize-hook=cp \"$1\"/boot/vmlinuz-* '{work}/vmlinuz'; ls \"$1/usr/lib/modules\" >'{work}/release'",
    ]
    with open(FOLDER / f"{name}.log", "wb") as log:
        # A mirror may be a snapshot of another day. Signatures are checked all the same.
        done = subprocess.run(["mmdebstrap", "--mode=root", "--variant=minbase", "--skip=essential/unlink",
                               "--aptopt=Acquire::Check-Valid-Until \"false\"",
                               *(f"--{hook}" for hook in hooks), *words, name, work / "root.tar", work / "sources"],
                              stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    if done.returncode:
        return False
    work.rename(folder)
    return True


def sources(suite, extra):
    """The host's sources, with the name of its release changed to this suite's: one-line entries for apt."""
    host = platform.freedesktop_os_release()["VERSION_CODENAME"]
    lines = []
    for types, options, uris, suites, components in _host_sources():
        for name in suites.split():
            rest = name.removeprefix(host)
            if "deb" in types.split() and name.startswith(host) and rest in ("", *extra):
                lines += [f"deb {options} {uri} {suite}{rest} {components}".replace("  ", " ") for uri in uris.split()]
    if not lines:
        raise provision.Missing(f"no source of {host} in /etc/apt to make one of {suite} from")
    return lines


def _host_sources():
    """(types, options, URIs, suites, components) of each source of the host."""
    for path in sorted(pathlib.Path("/etc/apt").glob("sources.list.d/*.sources")):
        for part in re.split(r"\n\s*\n", path.read_text()):
            part = "\n".join(line for line in part.splitlines() if not line.startswith("#"))
            fields = dict(re.findall(r"^([A-Za-z-]+):\s*(.*(?:\n[ \t].*)*)", part, re.MULTILINE))
            key = fields.get("Signed-By", "").strip()
            options = f"[signed-by={key}]" if key.startswith("/") else ""
            if fields.get("Enabled", "yes") != "no" and "URIs" in fields:
                yield (fields["Types"], options, fields["URIs"], fields.get("Suites", ""), fields.get("Components", ""))
    for path in [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt").glob("sources.list.d/*.list"))]:
        for line in path.read_text().splitlines() if path.is_file() else []:
            found = re.match(r"\s*(deb)\s+(\[[^]]*\])?\s*(\S+)\s+(\S+)\s+([^#]*)", line)
            if found:
                yield tuple((field or "").strip() for field in found.groups())


BOOKWORM = Suite("12", "bookworm", lacking=("criu",))
TRIXIE = Suite("13", "trixie")
# The next release, before it is one; and what it is made from, where the mirror does not have it under its name.
NEXT = Suite("forky, the next release", "forky", others=("sid",), extra=(), more=("util-linux-extra",), note=(
    "dracut makes an initrd without systemd (dracut-shell) that boots only where util-linux-extra is installed: since\n"
    "util-linux 2.41.2 switch_root lies there, and no package that dracut depends on brings it."))
ALL = (BOOKWORM, TRIXIE, NEXT)
