"""What the commands that write leave behind, judged by a kernel that has pram: what it reserves at boot and loads at
the mount, file by file. It is the judge of `save` and `drop`; nothing here asks the program whether it did well.
"""

import tempfile

import chain
from cases.support import *
from cases import test_pram_kernel

DAMAGED = "middle-7"


class Mounted:
    """What a mount brings back, and that the kernel has nothing to complain about."""

    @classmethod
    def mount(cls, machine):
        machine.must("mkdir -p /mnt && mount -t pram none /mnt")
        cls.loaded_sums = sums(machine, "/mnt")
        # The files are used once more and given back, so that the kernel looks at each of the pages it was given.
        machine.must("for file in /mnt/*; do cat \"$file\" >/dev/null; rm -f \"$file\"; done; umount /mnt")
        cls.complaints = machine.must(
            "dmesg | grep -E 'PRAM: (pfn|Failed|Res.*fail)|BUG|WARNING|Oops|Bad page' || true")

    def assert_mounted(self, expected):
        self.assertEqual(self.loaded_sums, expected)
        self.assertEqual(self.complaints, "")


def sums(machine, folder):
    """{name: SHA-256}"""
    return {name: digest for name, (digest, _) in contents(machine, folder).items()}


@functools.lru_cache(maxsize=None)
def image_for_two_kexecs():
    """The initrd of machines that kexec twice: what the second kernel gets can load a third."""
    last = initramfs.initramfs(image_path("pram-third.cpio.gz"), program_files())
    kernels = {"/boot/bzImage-pram": PRAM_KERNELS / "bzImage-pram", **provision.kexec_files(), **program_files()}
    second = initramfs.initramfs(image_path("pram-second.cpio.gz"), {**kernels, "/boot/initrd": last})
    return initramfs.initramfs(image_path("pram-first.cpio.gz"), {**kernels, "/boot/initrd": second})


class DamagedAfterKexec(Mounted, test_pram_kernel.AfterKexec):
    """A page of one file is spoiled before the kexec; the second kernel reserves the chain all the same.

    The chain lies on both sides of the banned border: that kernel has cleared the flags of some entries.
    """

    actions = ()

    @classmethod
    def setUpClass(cls):
        def spoil(machine, links):
            cls.order = stored_order(machine, links)
            cls.bad_page = page_of(machine, links, DAMAGED, 11)
            machine.must("head -c 4096 /dev/urandom | "
                         f"dd of=/dev/mem bs=4096 seek={cls.bad_page} conv=notrunc 2>/dev/null")
        cls.save_and_kexec(damage=spoil)
        machine = cls.machine
        cls.before = {line.split("  ", 1)[1]: line.split("  ", 1)[0] for line in cls.sums.splitlines()}
        cls.results = [run(machine, *words) for words in cls.actions]
        cls.checked = in_guest(machine)
        cls.before_mount()
        cls.mount(machine)

    @classmethod
    def before_mount(cls):
        """What else happens."""

    def others(self):
        return {name: digest for name, digest in self.before.items() if name != DAMAGED}


def stored_order(machine, links):
    """The names of a chain's files in its order."""
    read_page = page_reader(machine)
    pages = [read_page(entry.pfn) for link in links for entry in link.entries if entry.type == chain.META]
    return [page[16:16 + page[12]].decode() for page in pages]


def page_of(machine, links, name, index):
    """Where page `index` of a file lies."""
    read_page, current = page_reader(machine), None
    for link in links:
        for entry in link.entries:
            if entry.type == chain.META:
                page = read_page(entry.pfn)
                current = page[16:16 + page[12]].decode()
            elif current == name and entry.index == index:
                return entry.pfn
    raise MachineError(f"{name} has no page {index}")


class NotDropped(DamagedAfterKexec):
    """Nothing is done about it."""

    def test_control_the_mount_loses_that_file_and_all_behind_it(self):
        behind = self.order[self.order.index(DAMAGED):]
        self.assertGreater(len(behind), 3)
        loaded = {name for name, digest in self.loaded_sums.items() if digest == self.before[name]}
        self.assertEqual(loaded, set(self.order) - set(behind))
        self.assertIn(f"PRAM: pfn:{self.bad_page:x} corrupted", self.complaints)


class Dropped(DamagedAfterKexec):
    """drop, before the mount."""

    actions = (("drop", "--dry-run"), ("drop",), ("drop",))

    def test_drop_names_the_file_and_says_that_it_was_not_atomic(self):
        dry, drop, again = self.results
        self.assert_run(dry, 4, f"pram={self.head:x}\n", rf"{DAMAGED}: dropped")
        self.assert_run(drop, 1, f"pram={self.head:x}\n", rf"{DAMAGED}: dropped(.|\n)*not in a single step")
        self.assert_run(again, 0, f"pram={self.head:x}\n", "nothing to do")

    def test_the_chain_is_called_intact_then(self):
        self.assert_verdict(self.checked, "intact")
        self.assertEqual({name.decode() for name in self.checked.files()}, set(self.others()))

    def test_the_mount_brings_every_other_file(self):
        self.assert_mounted(self.others())


class DroppedAndKexecedAgain(DamagedAfterKexec):
    """drop, and then a third kernel instead of a mount."""

    actions = (("drop",),)

    @classmethod
    def image(cls):
        return image_for_two_kexecs()

    @classmethod
    def before_mount(cls):
        cls.kexec_with(cls.head)
        cls.pram_value = cls.machine.must("cat /sys/kernel/pram")

    def test_the_third_kernel_reserves_the_chain_and_the_mount_brings_every_other_file(self):
        self.assert_run(self.results[0], 1, f"pram={self.head:x}\n")
        self.assertEqual(int(self.pram_value, 16), self.head)
        self.assert_mounted(self.others())


class Quarantined(DamagedAfterKexec):
    """quarantine, before the mount."""

    actions = (("quarantine",),)

    def test_quarantine_names_the_file(self):
        self.assert_run(self.results[0], 1, f"pram={self.head:x}\n", rf"{DAMAGED}: quarantined")

    def test_the_mount_brings_every_other_file_and_the_damaged_one_under_its_new_name(self):
        loaded = dict(self.loaded_sums)
        self.assertNotIn(loaded.pop(f"{DAMAGED}.damaged", None), (None, self.before[DAMAGED]))
        self.assertEqual(loaded, self.others())
        self.assertEqual(self.complaints, "")

    def test_a_check_calls_it_quarantined(self):
        self.assertEqual(set(self.checked.files("quarantined")), {f"{DAMAGED}.damaged".encode()}, f"\n{self.checked}")
        self.assertEqual({name.decode() for name in self.checked.files()}, set(self.others()))


class OnTheStrictKernel(DamagedAfterKexec):
    """CONFIG_STRICT_DEVMEM: the chain can be read, and not be written."""

    second = "bzImage-pram-strict"
    actions = (("drop", "--dry-run"), ("drop",), ("quarantine",))

    def test_the_plan_is_shown(self):
        self.assert_run(self.results[0], 4, f"pram={self.head:x}\n", rf"{DAMAGED}: dropped")

    def test_both_are_refused_with_the_reason(self):
        for result in self.results[1:]:
            with self.subTest(result.command):
                self.assert_run(result, 8, "", r"CONFIG_STRICT_DEVMEM(.|\n)*extract")

    def test_nothing_was_changed(self):
        self.assert_verdict(self.checked, "damaged")


class KexecedTwice(Mounted, test_pram_kernel.AfterKexec):
    """The second kernel does not mount, and hands the chain on to a third."""

    action = None

    @classmethod
    def image(cls):
        return image_for_two_kexecs()

    @classmethod
    def setUpClass(cls):
        cls.save_and_kexec()
        cls.before = {line.split("  ", 1)[1]: line.split("  ", 1)[0] for line in cls.sums.splitlines()}
        machine = cls.machine
        cls.result = run(machine, *cls.action) if cls.action else None
        cls.kexec_with(cls.head)
        cls.pram_value = machine.must("cat /sys/kernel/pram")
        cls.messages = machine.must("dmesg | grep PRAM: || true")
        cls.mount(machine)


class KexecedTwiceAsItIs(KexecedTwice):
    def test_control_the_third_kernel_refuses_the_chain(self):
        self.assertEqual(self.pram_value, "0")
        self.assertRegex(self.messages, "PRAM: pfn:[0-9a-f]+ corrupted")
        self.assertEqual(self.loaded_sums, {})


class KexecedTwiceRefitted(KexecedTwice):
    action = ("drop", "--refit")

    def test_refit_drops_nothing(self):
        self.assert_run(self.result, 1, f"pram={self.head:x}\n")
        self.assertNotIn("dropped", self.result.errors)

    def test_the_third_kernel_reserves_the_chain_and_the_mount_brings_every_file(self):
        self.assertEqual(int(self.pram_value, 16), self.head)
        self.assert_mounted(self.before)


class SavedByAnotherKernel(Mounted, BootCase):
    """Debian's kernel, which has no pram, saves into a reserved range: ordinary RAM to the kernel that comes next."""

    needs_pram_kernels = True
    APPEND = "nokaslr memmap=32M$0x9000000"

    @classmethod
    def setUpClass(cls):
        image = initramfs.initramfs(image_path("stock-to-pram.cpio.gz"), {
            **program_files(), **provision.kexec_files(), "/boot/bzImage-pram": PRAM_KERNELS / "bzImage-pram",
            "/boot/initrd": initramfs.initramfs(image_path("pram-third.cpio.gz"), program_files())})
        cls.machine = machine = cls.start(provision.stock_kernel().image, image, cls.APPEND, STOCK_MEMORY)
        make_samples(machine, "/tmp/files")
        cls.files = contents(machine, "/tmp/files")
        cls.saved = run(machine, "save", "--flat", "/tmp/files")
        cls.bad_page = page_of(machine, chain.walk(page_reader(machine), 0x9000), "page and one", 1)
        flip_in_guest(machine, cls.bad_page * chain.PAGE)
        cls.dropped = run(machine, "drop", "--no-repair")
        machine.must("kexec -s -l /boot/bzImage-pram --initrd=/boot/initrd --command-line='console=ttyS0 panic=-1 "
                     f"nokaslr {cls.dropped.output.strip()}'")
        machine.kexec()
        cls.pram_value = machine.must("cat /sys/kernel/pram")
        machine.must("mkdir /mnt && mount -t pram none /mnt")
        cls.loaded = contents(machine, "/mnt")

    def test_the_pram_kernel_reserves_and_loads_it(self):
        self.assert_run(self.saved, 0, "pram=9000\n")
        self.assert_run(self.dropped, 1, "pram=9000\n", "page and one: dropped")
        self.assertEqual(self.pram_value, "9000")
        del self.files["page and one"]
        self.assertEqual(self.loaded, self.files)


class OnHost(Mounted, BootCase):
    """A chain that the program wrote into an image on the host; QEMU puts it into RAM that is nobody's yet."""

    needs_pram_kernels = True
    ADDRESS, SIZE = 0x9000000, 8 << 20
    options = ()

    @classmethod
    def program(cls, *words):
        done = subprocess.run([PROGRAM, *map(str, words), "--memory", cls.image, "--base", f"{cls.ADDRESS:#x}"],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        return Result(shlex.join(map(str, words)), done.returncode, done.stdout, done.stderr)

    @classmethod
    def write(cls):
        """Saves the sample files, and says by what name, mode and contents they are expected."""
        for file in sample_files():
            path = cls.folder / "files" / file.name.decode()
            with open(path, "wb") as output:
                for index, page in file.pages.items():
                    output.seek(index * chain.PAGE)
                    output.write(page)
                output.truncate(file.size)
            path.chmod(file.mode & 0o7777)
            cls.expected[path.name] = (hashlib.sha256(path.read_bytes()).hexdigest(), f"{file.mode & 0o7777:o}")
        cls.saved = cls.program("save", "--flat", cls.folder / "files", "--size", cls.SIZE, *cls.options)

    @classmethod
    def change(cls):
        """What else is done to the image."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="boot-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder, cls.expected = pathlib.Path(folder.name), {}
        cls.image = cls.folder / "image"
        (cls.folder / "files").mkdir()
        cls.head = cls.ADDRESS // chain.PAGE
        cls.write()
        cls.change()
        machine = cls.start(PRAM_KERNELS / "bzImage-pram", pram_image(), f"nokaslr pram={cls.head:x}", "256M",
                            loads=[(cls.ADDRESS, cls.image)])
        cls.pram_value = machine.must("cat /sys/kernel/pram")
        machine.must("mkdir -p /mnt && mount -t pram none /mnt")
        cls.loaded = contents(machine, "/mnt")
        machine.must("umount /mnt")
        cls.mount(machine)

    def assert_all(self, expected):
        self.assertEqual(int(self.pram_value, 16), self.head)
        self.assertEqual(self.loaded, expected)
        # Saved again by the kernel itself, and loaded again.
        self.assert_mounted({name: digest for name, (digest, _) in expected.items()})


class SavedOnHost(OnHost):
    def test_the_kernel_reserves_and_loads_what_save_wrote(self):
        self.assert_run(self.saved, 0, f"pram={self.head:x}\n")
        self.assert_all(self.expected)


class DroppedOnHost(OnHost):
    """One file is damaged in the image and dropped, a second one is quarantined."""

    options = ("--parity=0",)

    @classmethod
    def change(cls):
        def spoil(content):
            image = bytearray(cls.image.read_bytes())
            image[image.index(content) + 17] ^= 1
            cls.image.write_bytes(image)
        noise = {file.name: file.pages for file in sample_files()}
        spoil(noise[b"large.img"][100])
        cls.dropped = cls.program("drop")
        spoil(noise[b"page and one"][0])
        cls.quarantined = cls.program("quarantine")

    def test_the_kernel_reserves_and_loads_what_drop_and_quarantine_left(self):
        self.assert_run(self.dropped, 1, f"pram={self.head:x}\n", r"large\.img: dropped")
        self.assert_run(self.quarantined, 1, f"pram={self.head:x}\n", r"page and one: quarantined")
        expected = dict(self.expected)
        del expected["large.img"]
        whole, mode = expected.pop("page and one")
        bad, _ = self.loaded["page and one.damaged"]
        self.assertNotEqual(bad, whole)
        self.assert_all({**expected, "page and one.damaged": (bad, mode)})
