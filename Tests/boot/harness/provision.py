"""What the boot tests need from the distribution: tools on the host, kernels and programs unpacked beside them.

Tools are installed with apt when they are missing. Kernels, busybox and kexec are only downloaded and unpacked below
the build folder (`dpkg -x`), so the host keeps its own. What cannot be had raises `Missing`: that fails the tests, it
never skips them.
"""

import contextlib
import fcntl
import functools
import lzma
import os
import pathlib
import re
import shutil
import subprocess

from . import BUILD

# command -> Debian package that brings it
TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "makedumpfile": "makedumpfile",
    "xz": "xz-utils",
    "cpio": "cpio",
    "mke2fs": "e2fsprogs",
    "unshare": "util-linux",
    "mmdebstrap": "mmdebstrap",
    "mcopy": "mtools",
    "mkfs.vfat": "dosfstools",
    "sfdisk": "fdisk",
    "objcopy": "binutils",
}

PACKAGES = BUILD / "packages"


class Missing(Exception):
    """A tool, package or kernel that cannot be had here."""


class Kernel:
    """A kernel package, unpacked."""

    def __init__(self, root):
        self.root = root
        images = sorted((root / "boot").glob("vmlinuz-*"))
        if len(images) != 1:
            raise Missing(f"{root}: {len(images)} kernel images, expected 1")
        self.image = images[0]
        self.release = images[0].name.removeprefix("vmlinuz-")

    def modules(self, *names):
        """{module: its .ko as bytes}, what they depend on included, in an order in which insmod takes them.

        What is built into the kernel is left out. What a module asks for by name at run time is not known here: name
        it too (ext4 wants crc32c_generic).
        """
        ordered = {}
        for name in names:
            path = self._module_files().get(name.replace("-", "_"))
            if path is None:
                if name.replace("-", "_") not in self._built_in():
                    raise Missing(f"{self.release}: no module {name}")
                continue
            data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
            depends = re.search(rb"\0depends=([^\0]*)\0", data).group(1).decode()
            ordered.update(self.modules(*filter(None, depends.split(","))))
            ordered[path.name.split(".")[0].replace("-", "_")] = data
        return ordered

    @functools.lru_cache(maxsize=None)
    def _module_files(self):
        return {path.name.split(".")[0].replace("-", "_"): path
                for path in (self.root / "lib/modules" / self.release).rglob("*.ko*")}

    @functools.lru_cache(maxsize=None)
    def _built_in(self):
        listing = (self.root / "lib/modules" / self.release / "modules.builtin").read_text()
        return {pathlib.Path(line).name.split(".")[0].replace("-", "_") for line in listing.splitlines()}

    def __repr__(self):
        return self.release


@contextlib.contextmanager
def alone(what="lock"):
    """Makes runners that work side by side take turns: neither apt nor what is kept in the build folder is for two."""
    PACKAGES.mkdir(parents=True, exist_ok=True)
    with open(PACKAGES / what, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(*command, cwd=None, env=()):
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", **dict(env)}
    done = subprocess.run(command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise Missing(f"{' '.join(map(str, command))}: exit {done.returncode}: {done.stderr.strip()[-800:]}")
    return done.stdout


@functools.lru_cache(maxsize=None)
def _update_lists():
    """apt's package lists, once a run and only when something must be fetched."""
    with alone("lists"):
        _run("apt-get", "update", "-q")


def tools(*commands):
    """Makes sure that these commands exist, installing their packages when they do not."""
    if not all(tool_path(command) for command in commands):
        with alone():
            missing = [command for command in commands if not tool_path(command)]
            if missing:
                print("installing " + ", ".join(missing), flush=True)
                _update_lists()
                _run("apt-get", "install", "-q", "-y", "--no-install-recommends", *{TOOLS[name] for name in missing})
    still = [command for command in commands if not tool_path(command)]
    if still:
        raise Missing(f"still missing after installation: {', '.join(still)}")


def tool_path(command):
    """Where `command` is, or None. sbin is looked at too: it is not on everybody's PATH."""
    return shutil.which(command, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def package(name):
    """The folder into which the candidate version of package `name` is unpacked; downloaded when not there yet."""
    version = _candidate(name)
    root = PACKAGES / f"{name}={version}".replace(":", "%3a")
    if not root.is_dir():
        with alone():
            if not root.is_dir():
                _fetch(name, version, root)
    return root


def _fetch(name, version, root):
    print(f"fetching {name} {version}", flush=True)
    _update_lists()
    work = PACKAGES / f"unpacking-{name}-{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    (work / "root").mkdir(parents=True)
    # apt's own sandbox user cannot write below root's folders: let root download.
    _run("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", f"{name}={version}", cwd=work)
    archives = list(work.glob("*.deb"))
    if len(archives) != 1:
        raise Missing(f"{name}: {len(archives)} archives downloaded, expected 1")
    _run("dpkg", "-x", archives[0], work / "root")
    # Renamed when complete, so an interrupted download is never taken for a package.
    (work / "root").rename(root)
    shutil.rmtree(work)


@functools.lru_cache(maxsize=None)
def _candidate(name):
    for attempt in ("lists as they are", "fresh lists"):
        if attempt == "fresh lists":
            _update_lists()
        found = re.search(r"^  Candidate: (?!\(none\))(\S+)", _run("apt-cache", "policy", name), re.MULTILINE)
        if found:
            return found.group(1)
    raise Missing(f"apt knows no candidate for package {name}")


@functools.lru_cache(maxsize=None)
def stock_kernel():
    """The kernel that this release's linux-image-amd64 depends on."""
    _candidate("linux-image-amd64")
    depends = _run("apt-cache", "depends", "--no-recommends", "--no-suggests", "linux-image-amd64")
    found = re.search(r"Depends: (linux-image-\d\S*-amd64)", depends)
    if not found:
        raise Missing("linux-image-amd64 depends on no kernel image")
    return Kernel(package(found.group(1)))


@functools.lru_cache(maxsize=None)
def newest_kernel():
    """The kernel of the highest version that apt offers (backports and the like included)."""
    _candidate("linux-image-amd64")
    # Meta packages (linux-image-6.12-amd64) have no third number; the other flavours have words before -amd64.
    versions = re.findall(r"^linux-image-(\d+\.\d+\.\d+[^-\s]*(?:-\d+)?)-amd64$", _run("apt-cache", "pkgnames"),
                          re.MULTILINE)
    highest = None
    for version in versions:
        if highest is None or _newer(version, highest):
            highest = version
    if highest is None:
        raise Missing("apt offers no kernel image")
    return Kernel(package(f"linux-image-{highest}-amd64"))


def _newer(one, other):
    return subprocess.run(["dpkg", "--compare-versions", one, "gt", other]).returncode == 0


def busybox():
    """A static busybox."""
    root = package("busybox-static")
    for place in ("bin/busybox", "usr/bin/busybox"):
        if (root / place).is_file():
            return root / place
    raise Missing("busybox-static holds no busybox")


def firmware():
    """(code, variables) of OVMF, EFI firmware for QEMU."""
    folder = package("ovmf") / "usr/share/OVMF"
    return folder / "OVMF_CODE_4M.fd", folder / "OVMF_VARS_4M.fd"


def kexec_files():
    """{path in the guest: host file} of kexec and the shared libraries it needs."""
    return _program_files("kexec-tools", "/sbin/kexec")


def criu_files():
    """{path in the guest: host file} of criu, which dumps and restores processes, and what it needs."""
    return _program_files("criu", "/sbin/criu")


def _program_files(name, place):
    """{path in the guest: host file} of a package's program and the shared libraries it needs."""
    # Debian links kexec with Xen's libraries. What installing it would bring is unpacked beside it instead.
    simulated = _run("apt-get", "install", "-s", "-q", "--no-install-recommends", name)
    needed = re.findall(r"^Inst (lib\S+)", simulated, re.MULTILINE)
    root = package(name)
    for program in (root / place[1:], root / "usr" / place[1:]):
        if program.is_file():
            return {place: program, **shared_libraries(program, [package(name) for name in needed])}
    raise Missing(f"{name} holds no {place}")


def shared_libraries(program, roots=()):
    """{path in the guest: host file} of the libraries a dynamic program loads, by ldd, from `roots` or the host."""
    folders = {str(path.parent) for root in roots for path in root.rglob("*.so.*")}
    listing = _run("ldd", program, env={"LD_LIBRARY_PATH": ":".join(sorted(folders))})
    if "not found" in listing:
        raise Missing(f"{program}: {listing.strip()}")
    files = {}
    for path in re.findall(r"(/\S+) \(0x", listing):
        # The loader itself is named by full path in the program; the libraries are looked for in /lib.
        place = path if "/ld-linux" in path else "/lib/" + os.path.basename(path)
        files[place] = pathlib.Path(path)
    return files
