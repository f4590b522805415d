"""`boot` in the initramfs of a distribution: the chain is verified before anything is mounted, by what mkinitramfs and
dracut have put into their images, and the answer is there on the running system."""

import functools
import json
import re
import time

import chain
from cases.support import *
from cases import test_pram_kernel
from harness import distribution

FOLDER = "/run/pram-verify"


@functools.lru_cache(maxsize=None)
def images():
    return distribution.initrds(provision.stock_kernel(), PROGRAM)


@functools.lru_cache(maxsize=None)
def root():
    """Everything that the running system needs, with what is to be kexec'ed."""
    return distribution.root_image(BUILD / "images" / "early-root.img", {
        **program_files(), **provision.kexec_files(), "/boot/vmlinuz": provision.stock_kernel().image,
        **{f"/boot/{name}.img": image for name, image in images().items()},
    })


def append(name, parameters, memmap="memmap=16M$0x10000000"):
    """A command line as a boot loader gives it."""
    early = "" if name == "initramfs-tools" else "rd.driver.pre=virtio_blk "
    return f"{early}root=/dev/vda rootfstype=ext4 rw fsck.mode=skip nokaslr {memmap} {parameters}".strip()


class EarlyBoot(unittest.TestCase):
    maxDiff = None
    initrd = "initramfs-tools"

    def boot(self, parameters="", loads=(), memmap="memmap=16M$0x10000000", ready=True):
        """A machine that has come as far as its real root file system, whatever lay in its memory."""
        machine = Machine(self.id().split("test_early_boot.")[1], provision.stock_kernel().image, images()[self.initrd],
                          append(self.initrd, parameters, memmap), STOCK_MEMORY, loads=loads, drives=[self.disk()])
        self.addCleanup(machine.close)
        if not ready:
            machine.arguments = [word.replace("panic=-1 ", "") for word in machine.arguments]
        machine.start()
        return machine.wait_ready(150) if ready else machine

    def assert_stops_with(self, parameters, pattern):
        """That a damaged chain stops the boot before the root file system is mounted."""
        machine = self.boot(f"pram={Chains.head():x} {parameters}", Chains.damaged(), ready=False)
        for _ in range(120):
            if re.search(pattern, machine.log) or machine.process.poll() is not None:
                break
            time.sleep(1)
        self.assertRegex(machine.log, pattern)
        self.assertRegex(machine.log, "] pram-verify: damaged")
        self.assertNotIn("EXT4-fs (vda): mounted", machine.log)

    def disk(self):
        """A copy of the root file system of one's own."""
        copy = BUILD / "images" / "early-root-in-use.img"
        copy.write_bytes(root().read_bytes())
        return copy

    def status(self, machine):
        return machine.must(f"cat {FOLDER}/status")

    def report(self, machine):
        return json.loads(machine.must(f"cat {FOLDER}/report.json"))

    def lines(self, machine):
        """(level, text) of what it said in the kernel's log."""
        return [(int(number) & 7, text) for number, text in re.findall(
            r"^<(\d+)>\[[^]]*\] pram-verify: (.*)$", machine.must("dmesg -r"), re.MULTILINE)]

    def assert_before_any_mount(self, machine):
        log = machine.must("dmesg")
        said, mounted = log.find("] pram-verify: "), log.find("EXT4-fs (vda): mounted")
        self.assertTrue(0 <= said < mounted, log[-6000:])

    def assert_status(self, machine, status):
        self.assertEqual(self.status(machine), status, machine.run(f"cat {FOLDER}/report.txt; dmesg | tail -n 40"))


class Chains:
    """One chain in the reserved range, and what becomes of it."""

    @staticmethod
    @functools.lru_cache(maxsize=None)
    def intact():
        return chain.write_chain(sample_files(), iter(range(RESERVED_PFN, 1 << 52)))

    @staticmethod
    def loads():
        return chain.runs(Chains.intact()[0])

    @staticmethod
    def head():
        return Chains.intact()[1]

    @staticmethod
    def damaged():
        """A byte of the second page of large.img is another one."""
        pages, _ = Chains.intact()
        large = next(file for file in sample_files() if file.pages and file.size == 1_000_000)
        pfn = next(pfn for pfn, page in pages.items() if page == large.pages[1])
        page = bytearray(pages[pfn])
        page[100] ^= 1
        return chain.runs({**pages, pfn: bytes(page)})


class ByInitramfsTools(EarlyBoot):
    def boot_chain(self, parameters="", loads=None, **options):
        return self.boot(f"pram={Chains.head():x} {parameters}", Chains.loads() if loads is None else loads, **options)

    def test_intact_chain(self):
        machine = self.boot_chain()
        self.assert_status(machine, "intact")
        self.assert_before_any_mount(machine)
        self.assertEqual(machine.must(f"cat {FOLDER}/action"), "continue")
        report = self.report(machine)
        self.assertEqual((report["command"], report["verdict"], report["warnings"]), ("boot", "intact", []))
        self.assertRegex(machine.must(f"cat {FOLDER}/cmdline"), rf" pram={Chains.head():x}\b")
        self.assertIn('pram_verify_status{status="intact"} 1', machine.must(f"cat {FOLDER}/metrics.prom"))
        self.assertEqual(machine.must(f"cd {FOLDER} && stat -c '%n %a' status action metrics.prom report.*").split(),
                         "status 644 action 644 metrics.prom 644 report.json 600 report.txt 600".split())
        shown = machine.run("pram-verify status")
        self.assertEqual(shown.status, 0, shown)
        self.assertIn("verdict: intact", shown.output)
        self.assertNotIn("large.img", machine.must("dmesg"))

    def test_damaged_page_is_reported_and_the_boot_goes_on(self):
        machine = self.boot_chain(loads=Chains.damaged())
        self.assert_status(machine, "damaged")
        self.assertEqual(machine.must(f"cat {FOLDER}/action"), "continue")
        self.assertIn((3, "damaged"), [(level, text.split(":")[0]) for level, text in self.lines(machine)])
        self.assertEqual(machine.run("pram-verify status").status, 4)

    def test_damaged_page_is_dropped(self):
        machine = self.boot_chain("pram_verify.policy=drop", Chains.damaged())
        self.assert_status(machine, "corrected")
        self.assertEqual(machine.run("pram-verify status").status, 1)
        self.assert_verdict_now(machine, "intact", len(sample_files()) - 1)

    def test_damaged_page_is_quarantined(self):
        machine = self.boot_chain("pram_verify.policy=quarantine", Chains.damaged())
        self.assertIn(self.status(machine), ("corrected", "intact"))
        self.assertIn("quarantined", machine.must(f"cat {FOLDER}/report.json"))

    def test_policy_off_looks_at_nothing(self):
        machine = self.boot_chain("pram_verify.policy=off", Chains.damaged())
        self.assert_status(machine, "off")
        self.assertEqual(machine.run(f"ls {FOLDER}").output.split(), ["action", "status"])
        self.assertEqual(machine.run("pram-verify status").status, 0)

    def test_a_crash_kernel_only_reports(self):
        machine = self.boot_chain(
            "pram_verify.policy=drop pram_verify.on_damage=halt -- elfcorehdr=1", Chains.damaged())
        self.assert_status(machine, "damaged")
        self.assertEqual(machine.must(f"cat {FOLDER}/action"), "continue")
        self.assertEqual(self.report(machine)["command"], "boot")

    def test_shell_gives_way_to_panic(self):
        machine = self.boot_chain("pram_verify.on_damage=shell", Chains.damaged())
        self.assert_status(machine, "damaged")
        self.assertEqual(machine.must(f"cat {FOLDER}/action"), "continue")
        self.assertTrue(any("panic=" in text for _, text in self.lines(machine)))

    def test_halt_halts(self):
        self.assert_stops_with("pram_verify.on_damage=halt", "System halted")

    def test_shell_is_given(self):
        self.assert_stops_with("pram_verify.on_damage=shell", r"exit goes on with the boot[^$]*\(initramfs\)")

    def test_no_chain(self):
        machine = self.boot()
        self.assert_status(machine, "absent")
        self.assertEqual([level for level, _ in self.lines(machine)], [6])

    def test_cleared_head_is_no_alarm(self):
        machine = self.boot(f"pram={RESERVED_PFN:x} pram_verify.on_damage=halt")
        self.assert_status(machine, "empty")
        self.assertEqual([level for level, _ in self.lines(machine)], [6])
        self.assertEqual(machine.run("pram-verify status").status, 0)

    def test_garbage_in_every_parameter_is_named_and_ignored(self):
        garbage = ["policy=Drop", "on_damage=reboot", "timeout=-1", "quick=maybe", "region=16M", "device=", "nothing=1"]
        machine = self.boot_chain(" ".join("pram_verify." + word for word in garbage))
        self.assert_status(machine, "intact")
        warnings = self.report(machine)["warnings"]
        for word in garbage:
            self.assertTrue(any(f"pram_verify.{word} is ignored" in warning for warning in warnings), warnings)

    def test_range_that_this_line_does_not_reserve(self):
        machine = self.boot_chain(memmap="")
        self.assertTrue(any("memmap=" in warning for warning in self.report(machine)["warnings"]), self.report(machine))

    def test_full_run_does_not_cost_the_boot(self):
        machine = self.boot_chain("initramfs.runsize=4k")
        self.assertTrue(any("intact" in text for _, text in self.lines(machine)))
        self.assertTrue(any("No space" in text for _, text in self.lines(machine)), self.lines(machine))
        self.assertNotIn(".tmp", machine.run(f"ls -a {FOLDER}").output)

    def test_lockdown_is_explained_and_the_boot_goes_on(self):
        machine = self.boot_chain("lockdown=integrity")
        self.assert_status(machine, "failed")
        self.assertIn("lockdown", machine.must(f"cat {FOLDER}/report.txt"))
        self.assertEqual(machine.run("pram-verify status").status, 8)

    def test_pmem_range_under_lockdown_is_verified_through_its_device(self):
        machine = self.boot_chain("lockdown=integrity", memmap="memmap=16M!0x10000000")
        self.assert_status(machine, "intact")
        self.assertIn("pmem0", self.report(machine)["memory"]["kind"])

    def test_damage_in_a_pmem_range_is_dropped_through_its_device(self):
        machine = self.boot_chain("pram_verify.policy=drop pram_verify.device=/dev/pmem0", Chains.damaged(),
                                  memmap="memmap=16M!0x10000000")
        self.assert_status(machine, "corrected")

    def assert_verdict_now(self, machine, verdict, files):
        report = in_guest(machine)
        self.assertEqual((report.verdict, len(report.files())), (verdict, files), f"\n{report}")


class Scenario(EarlyBoot):
    """From a cold boot to files that have come through a kexec, with each kind of initramfs."""

    def life_of_a_chain(self):
        machine = self.boot(f"pram={RESERVED_PFN:x}")
        self.assert_status(machine, "empty")
        self.assert_before_any_mount(machine)
        machine.must("mkdir /tmp/in && cd /tmp/in && head -c 3000000 /dev/urandom >large && echo snow >small")
        sums = machine.must("cd /tmp/in && sha256sum *")
        line = machine.must("pram-verify save /tmp/in")
        self.assert_status(machine, "intact")
        machine.must(f"test ! -e {FOLDER}/action")
        parameters = append(self.initrd, line)
        machine.must(f"kexec -s -l /boot/vmlinuz --initrd=/boot/{self.initrd}.img "
                     f"--append='console=ttyS0 panic=-1 {parameters}'")
        machine.kexec(deadline=180)
        self.assert_status(machine, "intact")
        self.assert_before_any_mount(machine)
        machine.must("pram-verify load --erase /tmp/out")
        self.assertEqual(machine.must("cd /tmp/out && sha256sum *"), sums)
        self.assert_status(machine, "empty")


class ScenarioByInitramfsTools(Scenario):
    def test_life_of_a_chain(self):
        self.life_of_a_chain()


class ScenarioByDracut(Scenario):
    initrd = "dracut-shell"

    def test_life_of_a_chain(self):
        self.life_of_a_chain()

    def test_halt_halts(self):
        self.assert_stops_with("pram_verify.on_damage=halt", "System halted")

    def test_shell_is_given(self):
        self.assert_stops_with("pram_verify.on_damage=shell", r"exit goes on with the boot[^$]*pram-verify:/# ")


class ScenarioByDracutWithSystemd(Scenario):
    initrd = "dracut-systemd"

    def test_life_of_a_chain(self):
        self.life_of_a_chain()

    def test_halt_halts(self):
        self.assert_stops_with("pram_verify.on_damage=halt", "System halted")

    def test_shell_is_given(self):
        self.assert_stops_with("pram_verify.on_damage=shell", r"exit goes on with the boot[^$]*pram-verify:/# ")


INIT_WITH_BOOT = (distribution.HERE / "init.sh").read_bytes().replace(b"\nexec ", b"\n/sbin/pram-verify boot\nexec ")


@functools.lru_cache(maxsize=None)
def pram_image_with_boot():
    """As `pram_image`, but what is started by kexec runs `boot` before anything else."""
    inner = initramfs.initramfs(BUILD / "images" / "pram-boot.cpio.gz", {**program_files(), "/init": INIT_WITH_BOOT})
    return initramfs.initramfs(BUILD / "images" / "pram-boot-first.cpio.gz", {
        **program_files(), **provision.kexec_files(), "/boot/initrd": inner,
        "/boot/bzImage-pram": PRAM_KERNELS / "bzImage-pram",
    })


class OnPramKernel(test_pram_kernel.AfterKexec):
    """A small initramfs made by hand, on a kernel that reserves the chain itself."""

    image = staticmethod(pram_image_with_boot)
    damage = staticmethod(lambda machine, links: None)

    @classmethod
    def setUpClass(cls):
        cls.save_and_kexec(damage=cls.damage)
        cls.status = cls.machine.must(f"cat {FOLDER}/status")
        cls.report = json.loads(cls.machine.must(f"cat {FOLDER}/report.json"))

    @staticmethod
    def spoil(machine, address):
        old = machine.memory(address, 1)[0]
        machine.must(f"printf '\\{old ^ 1:03o}' | dd of=/dev/mem bs=1 seek={address} conv=notrunc 2>/dev/null")


class IntactOnPramKernel(OnPramKernel):
    def test_intact(self):
        self.assertEqual((self.status, self.report["verdict"], self.report["warnings"]), ("intact", "intact", []))
        self.assertEqual(self.report["head"]["origin"], "sys-kernel-pram")


class DamagedPageOnPramKernel(OnPramKernel):
    write = test_pram_kernel.WRITE_PLAINLY

    @staticmethod
    def damage(machine, links):
        OnPramKernel.spoil(machine, links[2].entries[50].pfn * chain.PAGE + 2000)

    def test_damaged(self):
        self.assertEqual((self.status, self.report["verdict"]), ("damaged", "damaged"))
        self.assertEqual([finding["kind"] for finding in self.report["findings"]
                          if finding["severity"] == "damage"], ["data-checksum"])


class RefusedByPramKernel(OnPramKernel):
    @staticmethod
    def damage(machine, links):
        OnPramKernel.spoil(machine, links[2].pfn * chain.PAGE + chain.PAGE - 1)

    def test_refused(self):
        self.assertEqual(self.pram_value, "0")
        self.assertEqual((self.status, self.report["verdict"]), ("damaged", "damaged"))
        self.assertIn("kernel-refused", [finding["kind"] for finding in self.report["findings"]])
