"""The plugin for kernel-install, called by systemd's own kernel-install: the boot loader's entry carries the helper."""

import subprocess

from initrds import archive, record
from support import PROGRAM, ROOT, CommandTest

VERSION = "9.9.9-test"


class KernelInstall(CommandTest):
    def setUp(self):
        super().setUp()
        self.boot, plugin = self.scratch / "boot", self.scratch / "plugin.install"
        (self.boot / "token" / VERSION).mkdir(parents=True)
        for name in ("install.conf", "cmdline"):
            (self.scratch / name).write_text("")
        (self.scratch / "entry-token").write_text("token\n")
        (self.scratch / "vmlinuz").write_bytes(b"kernel")
        text = (ROOT / "kernel-install/58-pram-verify.install").read_text()
        self.assertIn("program=/usr/sbin/pram-verify\n", text)
        plugin.write_text(text.replace("program=/usr/sbin/pram-verify\n", f"program={PROGRAM}\n"))
        plugin.chmod(0o755)
        self.plugins = f"{plugin} /usr/lib/kernel/install.d/90-loaderentry.install"

    def add(self, *initrds_given):
        """The files that the entry of the boot loader hands over, as (name, content)."""
        paths = []
        for number, content in enumerate(initrds_given):
            paths.append(self.scratch / f"initrd{number}")
            paths[-1].write_bytes(content)
        done = subprocess.run(
            ["kernel-install", "add", VERSION, self.scratch / "vmlinuz", *paths], capture_output=True, text=True,
            timeout=60, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "BOOT_ROOT": str(self.boot), "MACHINE_ID": "0" * 32,
                             "KERNEL_INSTALL_CONF_ROOT": str(self.scratch), "KERNEL_INSTALL_PLUGINS": self.plugins,
                             "layout": "bls"})
        self.assertEqual(done.returncode, 0, done)
        entry = (self.boot / f"loader/entries/token-{VERSION}.conf").read_text()
        names = [line.split()[1].rpartition("/")[2] for line in entry.splitlines() if line.startswith("initrd ")]
        return [(name, (self.boot / "token" / VERSION / name).read_bytes()) for name in names]

    def image(self):
        return archive(
            record("init", b"#!/bin/sh\n", 0o100755), record("bin", mode=0o040755),
            *(record(f"bin/{name}", b"\x7fELF", 0o100755) for name in ("sh", "cat", "modprobe")),
            record("scripts", mode=0o040755), record("scripts/functions", b"\n"),
            record("scripts/init-top", mode=0o040755), record("scripts/init-top/ORDER", b""))

    def microcode(self):
        return archive(record("kernel", mode=0o040755), record("kernel/x86", mode=0o040755),
                       record("kernel/x86/microcode", mode=0o040755), record("kernel/x86/microcode/x.bin", b"x"))

    def test_an_initrd_without_the_helper_gets_one_more_behind_it(self):
        given = self.add(self.microcode(), self.image())
        self.assertEqual([name for name, _ in given], ["initrd0", "initrd1", "initrd.zz-pram-verify"])
        self.assertEqual([content for _, content in given[:2]], [self.microcode(), self.image()])
        whole = self.scratch / "whole.img"
        content = b"".join(content + b"\0" * (-len(content) % 4) for _, content in given)
        whole.write_bytes(content)
        report = self.run_program("image", "check", str(whole), timeout=60)
        self.assertIn(b"good: helper: ", report.out)
        self.assertIn(b"good: order: ", report.out)
        self.assertEqual(report.status, 0, report)

    def test_one_that_has_it_gets_none(self):
        path = self.scratch / "with.img"
        path.write_bytes(self.image())
        self.assertEqual(self.run_program("image", "append", str(path), timeout=60).status, 0)
        self.assertEqual([name for name, _ in self.add(path.read_bytes())], ["initrd0"])

    def test_what_lies_in_boot_does_not_count_where_an_initrd_is_given(self):
        plugin, path = self.scratch / "plugin.install", self.scratch / "initrd.img-"
        path.write_bytes(self.image())
        self.assertEqual(self.run_program("image", "append", str(path), timeout=60).status, 0)
        path.rename(f"{path}{VERSION}")
        plugin.write_text(plugin.read_text().replace('"/boot/initrd', f'"{self.scratch}/initrd'))
        self.assertIn(f'"{path}', plugin.read_text())
        self.assertEqual([name for name, _ in self.add(self.image())], ["initrd0", "initrd.zz-pram-verify"])
        self.assertEqual(self.add(), [])

    def test_what_is_not_understood_is_left_alone(self):
        for content in (b"no image", self.microcode(), b""):
            self.assertEqual([name for name, _ in self.add(content)], ["initrd0"])
        self.assertEqual(self.add(), [])

    def test_the_kernel_is_installed_without_the_program_too(self):
        plugin = self.scratch / "plugin.install"
        plugin.write_text(plugin.read_text().replace(f"program={PROGRAM}", "program=/nowhere"))
        self.assertEqual([name for name, _ in self.add(self.image())], ["initrd0"])
