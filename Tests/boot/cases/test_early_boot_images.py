"""`boot` in every kind of initramfs, by mkinitramfs and by dracut without and with systemd, each on the kernel of this
release and on the newest one: the chain is verified before anything is mounted, and the boot goes on."""

import chain
from cases.early_boot import *

# 64 MiB below the end of memory; the initrd is above it.
NEAR_THE_TOP = 0x2C000000

# /run is given two MiB and filled up before `boot`, and freed again after it: the rest of the boot is not to blame.
FILL_RUN = "mount -o remount,size=2m /run; cat /dev/zero >/run/full"
FREE_RUN = "rm -f /run/full; mount -o remount,size=64m /run"


class EveryImage:
    # What the console shows when somebody is given a shell.
    shell = None
    # What makes /run full when `boot` runs.
    full_run_parameters, full_run_files = "", {}

    def test_a_chain_over_two_kexecs_and_then_forgotten(self):
        machine = self.boot(f"pram={RESERVED_PFN:x}")
        self.assert_status(machine, "empty")
        self.assert_before_any_mount(machine)
        self.assertEqual(machine.release, self.kernel().release)
        machine.must("mkdir /tmp/in && cd /tmp/in && head -c 3000000 /dev/urandom >large && echo snow >small")
        sums = machine.must("cd /tmp/in && sha256sum *")
        self.assertEqual(machine.must("pram-verify save /tmp/in"), f"pram={RESERVED_PFN:x}")
        self.assert_status(machine, "intact")
        machine.must(f"test ! -e {FOLDER}/action && test ! -e {FOLDER}/cmdline")

        machine.must("kexec $(pram-verify cmdline --kexec-options) -l /boot/vmlinuz "
                     f"--initrd=/boot/{self.initrd}.img --command-line=\"$(pram-verify cmdline)\"")
        machine.must("pram-verify cmdline --check-loaded")
        machine.kexec()
        self.assert_status(machine, "intact")
        self.assert_before_any_mount(machine)

        self.kexec(machine, machine.must(f"cat {FOLDER}/cmdline"))
        self.assert_status(machine, "intact")
        self.assert_before_any_mount(machine)
        machine.must("pram-verify load --erase /tmp/out")
        self.assertEqual(machine.must("cd /tmp/out && sha256sum *"), sums)
        self.assert_status(machine, "empty")
        machine.must(f"test ! -e {FOLDER}/cmdline")

        # Whether the chain lives is luck, as nothing reserves it.
        machine.must("pram-verify save /tmp/out")
        self.kexec(machine, self.append(f"{CONSOLE} pram={RESERVED_PFN:x}", memmap=""))
        self.assertTrue(any("lacks memmap=" in warning for warning in self.report(machine)["warnings"]),
                        self.report(machine))
        self.assert_goes_on(machine)

    def test_damage_between_save_and_kexec_in_a_range_near_the_top(self):
        machine = self.boot(memmap=f"memmap=16M${NEAR_THE_TOP:#x}")
        self.assert_status(machine, "absent")
        self.assertEqual([level for level, _ in kernel_log_lines(machine)], [6])
        machine.must("mkdir /tmp/in && cd /tmp/in && head -c 3000000 /dev/urandom >large && echo snow >small")
        small = machine.must("cd /tmp/in && sha256sum small")
        head = NEAR_THE_TOP // chain.PAGE
        self.assertEqual(machine.must("pram-verify save --flat --parity=0 /tmp/in"), f"pram={head:x}")

        def line(policy):
            return self.append(f"{CONSOLE} pram={head:x} pram_verify.policy={policy}", f"memmap=16M${NEAR_THE_TOP:#x}")

        pages = [entry.pfn for link in chain.walk(page_reader(machine), head) for entry in link.entries
                 if entry.type == chain.DATA]
        flip_in_guest(machine, pages[len(pages) // 2] * chain.PAGE + 1000)
        self.kexec(machine, line("report"))
        self.assert_status(machine, "damaged")
        self.assert_before_any_mount(machine)
        self.assert_goes_on(machine)
        self.assert_now(machine, "damaged", 2)

        self.kexec(machine, line("quarantine"))
        self.assert_status(machine, "corrected")
        self.assert_before_any_mount(machine)
        self.assertIn("large.damaged", machine.must("pram-verify list"))

        # A link in the middle. What it held of the large file cannot be known any more.
        links = list(chain.walk(page_reader(machine), head))
        flip_in_guest(machine, links[2].pfn * chain.PAGE + 100)
        self.kexec(machine, line("drop"))
        self.assert_status(machine, "corrected")
        self.assert_before_any_mount(machine)
        self.assertEqual(in_guest(machine).verdict, "intact")
        machine.run("pram-verify load /tmp/out")
        self.assertEqual(machine.must("cd /tmp/out && sha256sum small"), small)

    def test_garbage_in_every_parameter_is_named_and_ignored(self):
        machine = self.boot_chain(GARBAGE_PARAMETERS)
        self.assert_status(machine, "intact")
        self.assert_ignored(machine, GARBAGE)

    def test_lockdown_is_explained_and_the_boot_goes_on(self):
        machine = self.boot_chain("lockdown=integrity")
        self.assert_status(machine, "failed")
        self.assertIn("lockdown", machine.must(f"cat {FOLDER}/report.txt"))
        self.assertEqual(machine.run("pram-verify status").status, 8)
        self.assert_goes_on(machine)

    def test_pmem_range_under_lockdown_is_verified_through_its_device(self):
        machine = self.boot_chain("lockdown=integrity", memmap="memmap=16M!0x10000000")
        self.assert_status(machine, "intact")
        self.assert_before_any_mount(machine)
        self.assertIn("pmem0", self.report(machine)["memory"]["kind"])

    def test_full_run_does_not_cost_the_boot(self):
        machine = self.boot_chain(self.full_run_parameters, files=self.full_run_files)
        self.assertTrue(any("intact" in text for _, text in kernel_log_lines(machine)), kernel_log_lines(machine))
        self.assertTrue(any("No space" in text for _, text in kernel_log_lines(machine)), kernel_log_lines(machine))
        self.assertLessEqual(set(machine.run(f"ls -A {FOLDER}").output.split()), {"lock", "status"})

    def test_a_hibernated_system_is_warned_of_before_it_is_resumed(self):
        swap = bytearray(8 << 20)
        swap[4086:4096] = b"S1SUSPEND\0"
        images(self.kernel())
        disk = image_path("hibernated.img")
        disk.write_bytes(swap)
        machine = self.boot_chain("resume=/dev/vdb", drives=[disk])
        self.assert_status(machine, "intact")
        self.assertIn((4, "/dev/vdb holds a hibernated system: resuming it replaces all memory, and the chain with it; "
                          "the bare word noresume on the command line keeps the chain"), kernel_log_lines(machine))
        # The kernel freezes all processes when it finds an image. This one has nothing in it, so the boot goes on.
        log = machine.must("dmesg")
        said, resumed = log.find("holds a hibernated system"), log.find("Freezing user space processes")
        self.assertTrue(0 <= said < resumed, log[-6000:])

    def test_halt_halts(self):
        self.assert_stops_with("pram_verify.on_damage=halt", "System halted")

    def test_shell_is_given(self):
        self.assert_stops_with("pram_verify.on_damage=shell", self.shell)


class InitramfsTools(EveryImage, EarlyBoot):
    shell = r"exit goes on with the boot[^$]*\(initramfs\)"
    full_run_parameters = "initramfs.runsize=4k"


class DracutShell(EveryImage, EarlyBoot):
    initrd = "dracut-shell"
    shell = r"exit goes on with the boot[^$]*pram-verify:/# "
    full_run_files = {"/usr/lib/dracut/hooks/cmdline/00-full.sh": FILL_RUN.encode(),
                      "/usr/lib/dracut/hooks/cmdline/00-zz-free.sh": FREE_RUN.encode()}


class DracutSystemd(EveryImage, EarlyBoot):
    initrd = "dracut-systemd"
    shell = "Press Enter for maintenance"
    full_run_files = {
        "/etc/systemd/system/pram-verify-boot.service.d/full.conf":
        f"[Service]\nExecStartPre=-/bin/sh -c '{FILL_RUN}'\nExecStartPost=-/bin/sh -c '{FREE_RUN}'\n".encode()}


class InitramfsToolsOnTheNewestKernel(InitramfsTools):
    kernel = staticmethod(provision.newest_kernel)


class DracutShellOnTheNewestKernel(DracutShell):
    kernel = staticmethod(provision.newest_kernel)


class DracutSystemdOnTheNewestKernel(DracutSystemd):
    kernel = staticmethod(provision.newest_kernel)
