"""Whole trees over a real kexec: what a database leaves in its directory comes back on a stock kernel, and a kernel
with pram mounts what `save` wrote, where bsdtar restores the tree from its manifest.
"""

import functools
import pathlib
import shutil
import subprocess

import chain
from cases.support import *

RANGE = 0x10000000
HEAD = RANGE // chain.PAGE
APPEND = f"nokaslr memmap=32M${RANGE:#x}"

# As PostgreSQL has it: owners, 0700, a tablespace behind a symbolic link, hard links, a FIFO, times.
WRITE_DATABASE = """
    mkdir -p base/1 base/5 global pg_tblspc pg_wal/archive_status space/PG_15
    head -c 300000 /dev/urandom >base/1/1259
    head -c 8192 /dev/urandom >base/1/1259_fsm
    head -c 8192 /dev/urandom >base/5/1259
    truncate -s 16M pg_wal/000000010000000000000001
    head -c 40000 /dev/urandom | dd of=pg_wal/000000010000000000000001 bs=4096 seek=3 conv=notrunc 2>/dev/null
    ln pg_wal/000000010000000000000001 pg_wal/archive_status/linked
    echo 15 >PG_VERSION; : >global/pg_filenode.map
    ln -s /tmp/database/space pg_tblspc/16384
    echo table >space/PG_15/16385; echo odd >"base/5/a % b~2 \\\\ ü"
    mkfifo pipe
    chown -R 107:115 .; chmod -R go-rwx .; chmod 4711 PG_VERSION
    touch -h -d '2001-02-03 04:05:06' pg_tblspc/16384 base/1/1259 base/5 pipe
    touch -d '1969-12-31 12:00:00' space/PG_15/16385
    touch -d '2040-01-01 00:00:00' base global
"""

# Everything that busybox can tell of a tree; sizes of directories are the file system's own.
LISTING = """cd {0} && find . | sort | while IFS= read -r name; do
    if [ -d "$name" ] && [ ! -L "$name" ]; then stat -c '%n|%F|%a|%u|%g|%Y|%h' "$name"
    else stat -c '%n|%F|%a|%u|%g|%Y|%h|%s' "$name"; fi
    if [ -L "$name" ]; then readlink "$name"; elif [ -f "$name" ]; then sha256sum <"$name"; fi
done"""


class TreeOverAKexec(BootCase):
    """From the stock kernel to the newest one."""

    @classmethod
    def setUpClass(cls):
        cls.machine = machine = cls.start(provision.stock_kernel().image, stock_image(), APPEND, STOCK_MEMORY)
        machine.must(f"set -e; mkdir /tmp/database; cd /tmp/database; {WRITE_DATABASE}")
        cls.before = machine.must(LISTING.format("/tmp/database"))
        cls.blocks = machine.must("stat -c %b /tmp/database/pg_wal/000000010000000000000001")
        machine.must("pram-verify save /tmp/database >/tmp/word")
        machine.must("kexec -s -l /boot/vmlinuz --initrd=/boot/initrd "
                     f"--command-line='console=ttyS0 panic=-1 {APPEND} '\"$(cat /tmp/word)\"")
        machine.kexec()
        cls.booted = machine.run("pram-verify boot")
        cls.checked = in_guest(machine)
        cls.text = machine.must("pram-verify check")
        cls.status = machine.must("pram-verify status")
        cls.loaded = run(machine, "load", "--preserve-mode", "/tmp/database")

    def test_control_another_kernel_runs(self):
        self.assertEqual(self.machine.release, provision.newest_kernel().release)

    def test_the_tree_is_the_same(self):
        self.assert_run(self.loaded, 0)
        self.assertEqual(self.machine.must(LISTING.format("/tmp/database")), self.before)

    def test_holes_stay_holes(self):
        self.assertEqual(
            self.machine.must("stat -c %b /tmp/database/pg_wal/000000010000000000000001"), self.blocks)

    def test_it_says_where_the_chain_comes_from(self):
        self.assert_verdict(self.checked, "intact")
        saved = self.checked.json["saved"]
        self.assertEqual((saved["when"], saved["kernel"]), ("before-start", provision.stock_kernel().release))
        self.assertLess(saved["seconds_before_start"], 120)
        pattern = r"saved:   \d+ s before this kernel started, by Linux " + re.escape(provision.stock_kernel().release)
        self.assertRegex(self.text, pattern)
        self.assertRegex(self.status, pattern)


@functools.lru_cache(maxsize=None)
def bsdtar_files():
    """bsdtar of this system, with its libraries, for an image."""
    program = shutil.which("bsdtar")
    if program is None:
        raise MachineError("bsdtar is missing: apt-get install libarchive-tools")
    files = {"/usr/bin/bsdtar": pathlib.Path(program).resolve()}
    for line in subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout.splitlines():
        found = re.search(r"(/\S+) \(0x", line)
        if found:
            files[found[1]] = pathlib.Path(found[1]).resolve()
    return files


class ManifestOnAPramKernel(BootCase):
    """A chain that `save` wrote into memory which the kernel is then told of: it mounts flat files."""

    needs_pram_kernels = True

    @classmethod
    def setUpClass(cls):
        inner = initramfs.initramfs(image_path("trees-next.cpio.gz"), {**program_files(), **bsdtar_files()})
        image = initramfs.initramfs(image_path("trees.cpio.gz"), {
            **program_files(), **provision.kexec_files(), "/boot/initrd": inner,
            "/boot/bzImage-pram": PRAM_KERNELS / "bzImage-pram",
        })
        cls.machine = machine = cls.start(
            PRAM_KERNELS / "bzImage-pram", image, f"{APPEND} pram_banned=0-128M", "1G")
        machine.must(f"set -e; mkdir /tmp/database; cd /tmp/database; {WRITE_DATABASE}")
        cls.before = machine.must(LISTING.format("/tmp/database"))
        cls.saved = run(machine, "save", "/tmp/database")
        # Without memmap=: the range is plain memory to the next kernel, as its own chains are.
        machine.must("kexec -c -l /boot/bzImage-pram --initrd=/boot/initrd --mem-min=0 --mem-max=0x8000000 "
                     f"--append='console=ttyS0 panic=-1 nokaslr pram_banned=0-128M pram={HEAD:x}'")
        machine.kexec()
        cls.checked = in_guest(machine)
        machine.must("mkdir /mnt && mount -t pram none /mnt")
        cls.names = machine.must("ls -A /mnt")
        machine.must("mkdir /tmp/database")
        cls.restored = machine.run(
            "cd /mnt && bsdtar --options hdrcharset=BINARY -cf - @.pram-manifest.mtree | "
            "bsdtar -xpf - -C /tmp/database")

    def test_the_kernel_takes_the_chain(self):
        self.assert_run(self.saved, 0, f"pram={HEAD:x}\n")
        self.assert_verdict(self.checked, "intact")
        self.assertIn(".pram-manifest.mtree", self.names.splitlines())

    def test_bsdtar_restores_the_tree_from_the_mounted_manifest(self):
        self.assertEqual(self.restored.status, 0, f"\n{self.restored}")
        after = self.machine.must(LISTING.format("/tmp/database"))
        # The time of the top directory is what bsdtar cannot give.
        self.assertEqual(after.splitlines()[1:], self.before.splitlines()[1:])
