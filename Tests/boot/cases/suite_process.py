"""A process that criu has dumped on Debian 13 goes on under the next release's kernel, by `systemctl kexec`."""

import shlex

from cases import counting
from cases.suite_releases import Release
from cases.support import *
from cases.units import *
from harness import suites

LOG = "/root/count.log"


class TrixieProcess(Release):
    suite, to = suites.TRIXIE, suites.NEXT
    line = f"{distribution.ROOT} memmap=32M$0x10000000 quiet"

    def more_disks(self):
        return [self.to.disk(PROGRAM, self.tool)[0]]

    def mount_next(self):
        """The next release's kernel, initrd and modules, as if they were installed here."""
        modules = f"/usr/lib/modules/{self.to.release}"
        self.must("mkdir -p /mnt/next && mount -o ro /dev/vdb /mnt/next; "
                  f"mkdir -p {modules} && mount --bind /mnt/next{modules} {modules}; "
                  # criu looks whether the kernel knows nftables before it does anything.
                  "modprobe nf_tables; ip link set lo up")

    def wait_for_lines(self, number):
        self.must(f"until [ $(wc -l <{LOG}) -ge {number} ]; do sleep 1; done")

    def criu(self, *words):
        result = self.machine.run(shlex.join(["criu", *words, "--log-file", "/tmp/criu.log"]))
        self.assertEqual(result.status, 0, f"{result}\n{self.machine.run('tail -n 20 /tmp/criu.log */criu.log').output}")

    def test_a_process_counts_on_in_the_next_kernel(self):
        self.mount_next()
        self.machine.put("/usr/local/bin/counter", counting.COUNTER)
        # criu gives a process its number back. Numbers this high are not taken when the next kernel has booted.
        self.must("chmod 755 /usr/local/bin/counter; echo 20000 >/proc/sys/kernel/ns_last_pid; "
                  f"setsid /usr/local/bin/counter </dev/null >{LOG} 2>&1 & echo $! >/tmp/process")
        self.wait_for_lines(4)
        self.must("mkdir -p /srv/dump")
        self.criu("dump", "--tree", self.must("cat /tmp/process"), "--images-dir", "/srv/dump")
        dumped = len(self.must(f"cat {LOG}").splitlines())
        # The dump's log stays behind: it is no part of the process.
        files = contents(self.machine, "/srv/dump")
        self.must("pram-verify save --replace /srv/dump && pram-verify-kexec /mnt/next/vmlinuz /mnt/next/initrd.img && "
                  f"umount /usr/lib/modules/{self.to.release} /mnt/next && rm -r /srv/dump")
        self.next_kernel("systemctl kexec")
        self.assert_arrived(files)
        self.mount_next()
        self.criu("restore", "--restore-detached", "--images-dir", LOADED)
        self.wait_for_lines(dumped + 3)
        kernels = [self.suite.release, self.to.release]
        self.assertEqual(counting.faults(self.must(f"cat {LOG}"), dumped, kernels), [])


del Release
