"""A process that counts, and goes on counting under the next kernel: `make demo` shows it, test_process proves it.

Debian's own kernel runs it. criu writes it into a folder in RAM, `save` puts that folder into the reserved range, the
newest kernel is kexec'ed, `boot` verifies the chain before anything is mounted, `load` brings the folder back, and criu
makes the process out of it again.
"""

import functools
import re
import time

import chain
from cases.support import *
from harness import distribution, suites
from harness.machine import COMMAND_DEADLINE

APPEND = f"{distribution.ROOT} nokaslr memmap=32M${RESERVED_ADDRESS:#x}"

# criu looks whether the kernel knows nftables before it does anything. A full system would load them by itself.
MODULES = ("nf_tables",)

COUNTER = b"""#!/bin/sh
# Counts. Who it is and how far it has come is in its memory alone: it never reads what it has written.
read -r uuid </proc/sys/kernel/random/uuid
count=0
while :; do
    count=$((count + 1))
    read -r kernel </proc/sys/kernel/osrelease
    read -r boot </proc/sys/kernel/random/boot_id
    echo "I am ${uuid%%-*} and count $count; process $$, Linux $kernel, boot ${boot%%-*}"
    sleep 1
done
"""
LINE = re.compile(r"I am (?P<run>\w+) and count (?P<count>\d+); "
                  r"process (?P<process>\d+), Linux (?P<kernel>\S+), boot (?P<boot>\w+)")
LOG = "/root/count.log"
RESTORE = "criu restore --restore-detached --images-dir /tmp/dump --log-file /tmp/restore.log"


@functools.lru_cache(maxsize=None)
def images():
    """(the first kernel's initrd, a root file system that holds the next kernel)"""
    first, newest = provision.stock_kernel(), provision.newest_kernel()
    modules = {}
    for kernel in (first, newest):
        modules |= initramfs.module_files(kernel.modules(*MODULES), f"/modules/{kernel.release}")
    root = distribution.root_image(image_path("counting-root.img"), {
        **program_files(), **provision.kexec_files(), **provision.criu_files(), **modules, "/bin/counter": COUNTER,
        "/vmlinuz": newest.image, "/initrd.img": distribution.initrds(newest, PROGRAM)["initramfs-tools"],
    })
    return distribution.initrds(first, PROGRAM)["initramfs-tools"], root


def faults(log, dumped, kernels):
    """What in the counter's log speaks against one process that went on counting under another kernel. `dumped` is how
    many lines it had written when it was dumped, `kernels` are the releases before and after."""
    lines = [LINE.fullmatch(line) for line in log.splitlines()]
    if None in lines:
        return ["a line is not the counter's"]
    found = []
    if [int(line["count"]) for line in lines] != list(range(1, len(lines) + 1)):
        found.append("it did not count on from where it was")
    for name in ("run", "process"):
        if len({line[name] for line in lines}) > 1:
            found.append(f"its {name} changed")
    before, after = lines[:dumped], lines[dumped:]
    if [{line["kernel"] for line in side} for side in (before, after)] != [{kernel} for kernel in kernels]:
        found.append(f"it did not count under {kernels[0]}, then under {kernels[1]}")
    boots = [{line["boot"] for line in side} for side in (before, after)]
    if [len(side) for side in boots] != [1, 1] or boots[0] == boots[1]:
        found.append("it did not count in one boot, then in another one")
    return found


class Counting:
    """The machine, and what is typed in it, one method a step. `show` is told each command, what came out and how long
    it took. A command that fails raises."""

    def __init__(self, name, show=lambda command, output, seconds: None):
        self.show = show
        self.machine = self.make(name)

    def make(self, name):
        initrd, root = images()
        return Machine(name, provision.stock_kernel().image, initrd, APPEND, STOCK_MEMORY, drives=[root])

    def releases(self):
        return [kernel.release for kernel in (provision.stock_kernel(), provision.newest_kernel())]

    def type(self, command):
        begun = time.monotonic()
        result = self.machine.run(command)
        self.show(command, result.output + result.errors, time.monotonic() - begun)
        if result.status:
            # criu says there why it failed.
            raise MachineError(f"{self.machine.name}: {result}\n{self.machine.run('tail -n 5 /tmp/*.log').output}")

    def lines(self):
        return len(self.machine.must(f"cat {LOG}").splitlines())

    def wait_for_lines(self, number, deadline=COMMAND_DEADLINE):
        end = time.monotonic() + deadline
        while self.lines() < number:
            if time.monotonic() > end:
                raise MachineError(f"{self.machine.name}: the counter has not written {number} lines")
            time.sleep(0.5)

    def prepare(self):
        """What a full system has done by itself before anybody logs in."""
        self.machine.must("ip link set lo up; load-modules /modules/$(uname -r)")

    def start(self):
        self.machine.start()
        self.machine.wait_ready()
        self.prepare()

    def count(self):
        # criu gives a process its number back. Numbers this high are not taken when the next kernel has booted.
        self.machine.must("echo 20000 >/proc/sys/kernel/ns_last_pid")
        self.type(f"setsid counter </dev/null >{LOG} 2>&1 &")
        self.wait_for_lines(4)
        self.type(f"cat {LOG}")

    def dump(self):
        """Afterwards there is no process any more, and its log has `dumped` lines."""
        self.type("mkdir /tmp/dump")
        self.type("criu dump --tree $(pidof counter) --images-dir /tmp/dump --log-file /tmp/dump.log")
        self.type("du -sh /tmp/dump")
        self.machine.must("! pidof counter")
        self.dumped = self.lines()

    def save(self):
        self.type("pram-verify save /tmp/dump")

    def load_kernel(self):
        self.type("pram-verify cmdline")
        self.type('kexec $(pram-verify cmdline --kexec-options) -l /vmlinuz --initrd=/initrd.img '
                  '--command-line="$(pram-verify cmdline)"')
        self.type("pram-verify cmdline --check-loaded")

    def kexec(self):
        # kexec -e writes no file system back, and the log must be as long as criu knows it.
        self.type("sync")
        begun = time.monotonic()
        self.machine.kexec()
        self.show("kexec -e", "", time.monotonic() - begun)
        self.type("uname -r")
        self.prepare()

    def verified(self):
        self.type("dmesg | grep -e 'pram-verify: ' -e '(vda): mounted'")
        self.type("pram-verify status")

    def load(self):
        self.type("mkdir /tmp/dump")
        self.type("pram-verify load --erase /tmp/dump")

    def restore(self):
        self.type(RESTORE)
        self.wait_for_lines(self.dumped + 3)
        self.type(f"cat {LOG}")

    def faults(self):
        return faults(self.machine.must(f"cat {LOG}"), self.dumped, self.releases())


KHO_KERNEL = "bzImage-kho-7.3-systemd"


@functools.lru_cache(maxsize=None)
def stand_ins():
    """{path in the guest: content}: the kernel has neither hugetlbfs nor nftables, and criu gives up without them. One
    stands before criu, the other one in the place of its library."""
    made = {}
    versions = image_path("nftables.map")
    versions.parent.mkdir(parents=True, exist_ok=True)
    versions.write_text("LIBNFTABLES_1 { global: *; };\n")
    for place, name, options in (
            ("/usr/sbin/criu", "without-hugetlb", ()),
            ("/usr/lib/stand-ins/libnftables.so.1", "without-nftables",
             ("-shared", "-fPIC", "-Wl,-soname,libnftables.so.1", f"-Wl,--version-script={versions}"))):
        path = image_path(name)
        subprocess.run(["cc", "-O2", "-s", "-o", path, REPOSITORY / f"Tests/boot/harness/{name}.c", *options], check=True)
        made[place] = path.read_bytes()
    return made


class HandedOver(Counting):
    """The same without memmap=: the kernel itself hands the folder's chain over, to the same kernel once more. The root
    file system is Debian 13's, whose criu knows kernels of today."""

    def make(self, name):
        kernel = PRAM_KERNELS / KHO_KERNEL
        if not kernel.exists():
            raise provision.Missing(f"{kernel} is not there: Documentation/KHO.md says how such a kernel is built")
        disk, initrd = suites.TRIXIE.disk(PROGRAM, "initramfs-tools")
        content = kernel.read_bytes()
        self.size = len(content)
        padded = image_path("handed-over-kernel.img")
        padded.parent.mkdir(parents=True, exist_ok=True)
        padded.write_bytes(content + b"\0" * (-len(content) % 512))
        stand_ins()
        return Machine(name, kernel, initrd, f"{distribution.ROOT} kho=on liveupdate=on no_timer_check quiet", "1G",
                       drives=[disk, padded])

    def start(self):
        super().start()
        must = self.machine.must
        must(f"head -c {self.size} /dev/vdb >/boot/vmlinuz-kho && ln -sf boot/vmlinuz-kho /vmlinuz && "
             "ln -sf /boot/vmlinuz-kho /boot/vmlinuz-$(uname -r)")
        must("mv /usr/sbin/criu /usr/sbin/criu.real; mkdir /usr/lib/stand-ins; "
             "ln -s /harness/busybox /usr/local/bin/pidof")
        for place, content in {**stand_ins(), "/usr/local/bin/counter": COUNTER}.items():
            self.machine.put(place, content)
            must(f"chmod 755 {place}")

    def prepare(self):
        self.machine.must("ip link set lo up")

    def releases(self):
        return [self.machine.must("uname -r").strip()] * 2

    def save(self):
        self.type("pram-verify save --kho /tmp/dump")
        # Its memory is wanted, and that it comes back is to be seen.
        self.machine.must("rm -r /tmp/dump")

    def load_kernel(self):
        self.type("pram-verify kexec /vmlinuz /initrd.img")
