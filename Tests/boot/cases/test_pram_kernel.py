"""Chains that a kernel with pram really saved and handed over by kexec to a second one.

In each machine the first kernel mounts pram, files are written, and umount saves them; the second kernel reserves the
chain at boot (and clears flags behind the checksums' back). There the program looks before any mount, then again
after the kernel has loaded the files, which uses the chain up.
"""

import chain
from cases.support import *

# The second kernel and its initrd are loaded below this address, where pages of the chain never are: banned, or unused.
KEXEC_LIMIT = 0x8000000

# Memory fills from below. A ballast of 120 MB pushes what is written along with it over the banned border, so that the
# pages of `low` lie below it (copied when saved: no flag), those of `high` above (kept in place, with the flag), and
# a link in the middle has both.
WRITE_ACROSS_THE_BORDER = """
    head -c 1200000 /dev/urandom >low
    dd if=/dev/zero of=ballast bs=1M count=80 2>/dev/null
    for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do
        head -c 3000000 /dev/zero >>ballast
        head -c 100000 /dev/urandom >middle-$n
    done
    head -c 2000000 /dev/urandom >high
    rm ballast
"""
WRITE_PLAINLY = "head -c 3000000 /dev/urandom >large; chmod 600 large"
WRITE_SMALL = """
    : >empty
    echo snow >'café 雪'
    head -c 4096 /dev/urandom >page
    head -c 4097 /dev/urandom >'page and one'
"""


class AfterKexec(BootCase):
    """Subclasses say how much memory there is, what is banned, what is written and which kernel comes second."""

    needs_pram_kernels = True
    first, second = "bzImage-pram", "bzImage-pram"
    memory, append, write = "256M", "nokaslr pram_banned=0-128M", WRITE_ACROSS_THE_BORDER
    image = staticmethod(pram_image)

    @classmethod
    def image(cls):
        """The first kernel's initrd."""
        return pram_image()

    @classmethod
    def kexec_with(cls, head):
        """Kexecs the second kernel with this head on its command line."""
        cls.machine.must(
            f"kexec -c -l /boot/{cls.second} --initrd=/boot/initrd --mem-min=0 --mem-max={KEXEC_LIMIT:#x} "
            f"--append='console=ttyS0 panic=-1 {cls.append} pram={head:x}'")
        cls.machine.kexec()

    @classmethod
    def save_and_kexec(cls, damage=lambda machine, links: None):
        """From power-on to the second kernel's shell; `damage` may spoil the saved chain in between."""
        cls.machine = machine = cls.start(PRAM_KERNELS / cls.first, cls.image(), cls.append, cls.memory)
        machine.must("mkdir /mnt && mount -t pram none /mnt")
        machine.must(f"set -e; cd /mnt; {cls.write}\n{WRITE_SMALL}")
        cls.sums = machine.must("cd /mnt && sha256sum *")
        cls.stats = machine.must("cd /mnt && stat -c '%n/%s/%f' *")
        machine.must("umount /mnt")
        cls.head = int(machine.must("cat /sys/kernel/pram"), 16)
        cls.saved = chain.walk(page_reader(machine), cls.head)
        damage(machine, cls.saved)
        cls.kexec_with(cls.head)
        cls.links = chain.walk(page_reader(machine), cls.head)
        cls.pram_value = machine.must("cat /sys/kernel/pram")
        cls.messages = machine.must("dmesg | grep PRAM: || true")

    @classmethod
    def look_and_mount(cls):
        """What the program says before the mount and after it, and what the mount brings back."""
        machine = cls.machine
        cls.by_itself = in_guest(machine)
        cls.by_kcore = in_guest(machine, "--memory", "/proc/kcore")
        cls.by_dev_mem = in_guest(machine, "--memory", "/dev/mem")
        # Extraction is a second way to the files, to be compared with what the kernel loads.
        cls.extracted = machine.run("mkdir /tmp/out && pram-verify extract /tmp/out")
        cls.extracted_sums = machine.run("cd /tmp/out && sha256sum *").output.rstrip("\n")
        machine.must("mkdir /mnt && mount -t pram none /mnt")
        cls.loaded_sums = machine.must("cd /mnt && sha256sum *")
        cls.pram_value_after = machine.must("cat /sys/kernel/pram")
        cls.after_mount = in_guest(machine)

    def stored(self):
        """{name: (size, mode)} as the first kernel saw the files."""
        rows = [line.rsplit("/", 2) for line in self.stats.splitlines()]
        return {name.encode(): (int(size), int(mode, 16)) for name, size, mode in rows}


class LifeOfAChain:
    """The tests of a chain that arrives unharmed."""

    @classmethod
    def setUpClass(cls):
        cls.save_and_kexec()
        cls.look_and_mount()

    def test_control_the_kernel_reserves_the_chain_and_mount_brings_the_files_back(self):
        self.assertEqual(int(self.pram_value, 16), self.head)
        self.assertIn("pages reserved", self.messages)
        self.assertEqual(self.loaded_sums, self.sums)
        self.assertEqual(self.pram_value_after, "0")

    def test_before_any_mount_the_chain_is_intact_by_itself(self):
        self.assert_verdict(self.by_itself, "intact")
        self.assertEqual(self.by_itself.files(), self.stored(), f"\n{self.by_itself}")

    def test_before_any_mount_the_chain_is_intact_through_kcore(self):
        self.assert_verdict(self.by_kcore, "intact")
        self.assertEqual(self.by_kcore.files(), self.stored(), f"\n{self.by_kcore}")

    def test_dev_mem_before_any_mount(self):
        if self.second.endswith("-strict"):
            self.assert_explained(self.by_dev_mem, r"strict[-_ ]?devmem")
        else:
            self.assert_verdict(self.by_dev_mem, "intact")
            self.assertEqual(self.by_dev_mem.files(), self.stored(), f"\n{self.by_dev_mem}")

    def test_extract_gives_the_bytes_that_mount_gives(self):
        self.assertEqual(self.extracted.status, 0, f"\n{self.extracted}")
        self.assertEqual(self.extracted_sums, self.sums)

    def test_after_the_mount_the_chain_is_called_damaged_because_the_kernel_has_used_it(self):
        self.assert_verdict(self.after_mount, "damaged")
        self.assertTrue(self.after_mount.says(r"/sys/kernel/pram"), f"\n{self.after_mount}")


class WithMixedFlags(LifeOfAChain, AfterKexec):
    """256 MiB, the lower half banned: links with the flag on all, some and none of their pages."""

    def test_control_links_of_all_three_kinds_are_there(self):
        kinds = {(link.fits(), link.fits(lambda entry: entry.type == chain.DATA)) for link in self.links}
        self.assertEqual(kinds, {(True, False), (False, True), (False, False)})


class WithAllFlagsCleared(LifeOfAChain, AfterKexec):
    """5 GiB, nothing banned: all pages stay in place above 4 GiB, and no link fits its checksum as it lies."""

    second = "bzImage-pram-strict"
    memory, append, write = "5G", "nokaslr", WRITE_PLAINLY

    def test_control_no_link_fits_and_all_do_with_the_flags_restored(self):
        self.assertEqual([link.fits() for link in self.links], [False] * len(self.links))
        self.assertTrue(all(link.fits(lambda entry: entry.type == chain.DATA) for link in self.links))
        self.assertGreaterEqual(len(self.links), 3)


class Refused(AfterKexec):
    """A byte of the third link's slack is spoiled before the kexec: the second kernel refuses the whole chain."""

    @classmethod
    def setUpClass(cls):
        def spoil(machine, links):
            cls.bad_link = links[2].pfn
            address = cls.bad_link * chain.PAGE + chain.PAGE - 1
            machine.must(f"printf '\\252' | dd of=/dev/mem bs=1 seek={address} conv=notrunc 2>/dev/null")
        cls.save_and_kexec(damage=spoil)
        cls.report = in_guest(cls.machine)

    def test_control_the_kernel_refused_the_chain_at_that_link(self):
        self.assertEqual(self.pram_value, "0")
        self.assertIn(f"PRAM: pfn:{self.bad_link:x} corrupted", self.messages)

    def test_the_diagnosis_names_the_bad_link(self):
        self.assert_verdict(self.report, "damaged")
        self.assert_names_page(self.report, self.bad_link)

    def test_the_diagnosis_says_that_the_kernel_refused(self):
        self.assertTrue(self.report.says(r"/sys/kernel/pram"), f"\n{self.report}")


class SpoiledPage(AfterKexec):
    """A byte of a file's page is spoiled before the kexec. The kernel looks at links only and notices nothing."""

    write = WRITE_PLAINLY

    @classmethod
    def setUpClass(cls):
        def spoil(machine, links):
            cls.bad_page = links[2].entries[50].pfn
            address = cls.bad_page * chain.PAGE + 2000
            old = machine.memory(address, 1)[0]
            machine.must(f"printf '\\{old ^ 1:03o}' | dd of=/dev/mem bs=1 seek={address} conv=notrunc 2>/dev/null")
        cls.save_and_kexec(damage=spoil)
        cls.look_and_mount()

    def test_control_the_kernel_reserves_the_chain_and_mount_loses_contents_without_a_word(self):
        self.assertEqual(int(self.pram_value, 16), self.head)
        changed = set(self.sums.splitlines()) ^ set(self.loaded_sums.splitlines())
        self.assertEqual({line.split("  ", 1)[1] for line in changed}, {"large"})

    def test_before_any_mount_the_page_and_its_file_are_found(self):
        for report in (self.by_itself, self.by_kcore, self.by_dev_mem):
            with self.subTest(report.result.command):
                self.assert_verdict(report, "damaged")
                self.assertEqual(report.finding_pages(), {self.bad_page}, f"\n{report}")
                whole = {name: file for name, file in self.stored().items() if name != b"large"}
                self.assertEqual(report.files(), whole, f"\n{report}")

    def test_extract_gives_the_other_files_only(self):
        self.assertEqual(self.extracted.status, 4, f"\n{self.extracted}")
        others = [line for line in self.sums.splitlines() if not line.endswith("  large")]
        self.assertEqual(self.extracted_sums.splitlines(), others)
