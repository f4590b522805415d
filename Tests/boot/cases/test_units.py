"""The unit, pram-verify-kexec and what ties the program to Debian's kexec-tools, on a Debian with systemd as PID 1:
files come through a real shutdown and a real kexec, or the log says why not. The host's release; suite_releases has others.
"""

import functools

from cases.support import *
from cases.units import *
from harness import debian


@functools.lru_cache(maxsize=None)
def parts():
    kernel = provision.stock_kernel()
    initrd = distribution.initrds(kernel, PROGRAM)["initramfs-tools"]
    return kernel.image, initrd, debian.image(kernel, initrd, PROGRAM)


class Units(UnitsCases, UnitsMachine):
    parts = staticmethod(parts)

    def test_debian_kexec_tools(self):
        """A reboot loads the kernel by /etc/init.d/kexec-load, where the chain is found that was saved just before."""
        files = self.make_files()
        self.enable('SAVE_TARGETS="kexec.target reboot.target"')
        files = self.start_writer(SAVED, files)
        self.must(f"sed -i 's/^LOAD_KEXEC=.*/LOAD_KEXEC=true/; s/^USE_GRUB_CONFIG=.*/USE_GRUB_CONFIG=false/; "
                  f"/^APPEND=/d' {DEBIAN_SETTINGS}; echo \"APPEND='console=ttyS0 panic=-1 {self.line} from=append'\" "
                  f">>{DEBIAN_SETTINGS}".replace("$0x", "\\$0x"))
        self.machine.put(ON_REBOOT, (REPOSITORY / "kexec/kexec-on-reboot").read_bytes())
        self.must(f"chmod 755 {ON_REBOOT}")
        self.next_kernel("systemctl reboot")
        self.assertIn(f"{STOCK_APPEND} from=append pram={RESERVED_PFN:x}", self.cmdline())
        self.assert_restored(files)

    # The last one in the order of names: it leaves no machine behind.
    def test_without_kexec_nothing_is_saved(self):
        self.make_files()
        self.enable()
        self.shut_down("systemctl reboot")
        # kexec-load has loaded a kernel on the way (that is Debian's default), and still it is no kexec.
        self.assertIn("machine restart", self.machine.log)
        self.assert_no_chain_in_memory()
        self.start_again()
        self.assertNotIn("Stopping", self.journal(UNIT))
        self.assertIn("Stopped", self.journal(UNIT, -1))
        self.shut_down("systemctl poweroff")
        self.assertIn("Power down", self.machine.log)
        self.assert_no_chain_in_memory()
