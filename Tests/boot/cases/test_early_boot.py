"""`boot` in an initramfs by mkinitramfs: each of its parameters, and each kind of memory that it may meet. What every
kind of image does is in test_early_boot_images."""

from cases.early_boot import *


class Images(unittest.TestCase):
    def test_what_is_missing_is_said_and_images_are_made_all_the_same(self):
        made = distribution.made(provision.stock_kernel())
        for what, path in (("program", "/usr/sbin/pram-verify"),
                           ("rules", "/usr/share/pram-verify/98-pram-verify.rules")):
            for name in ("mkinitramfs", "dracut"):
                with self.subTest(what, tool=name):
                    log = (made / f"without-{what}-{name}.log").read_text("utf-8", "replace")
                    self.assertIn(f"pram-verify: {path} is missing", log)
                    self.assertGreater((made / f"without-{what}-{name}.img").stat().st_size, 0)


class ByInitramfsTools(EarlyBoot):
    def test_intact_chain(self):
        machine = self.boot_chain()
        self.assert_status(machine, "intact")
        self.assert_before_any_mount(machine)
        self.assert_goes_on(machine)
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
        self.assert_goes_on(machine)
        self.assertIn((3, "damaged"), [(level, text.split(":")[0]) for level, text in kernel_log_lines(machine)])
        self.assertEqual(machine.run("pram-verify status").status, 4)

    def test_damaged_page_is_dropped(self):
        machine = self.boot_chain("pram_verify.policy=drop", Chains.damaged())
        self.assert_status(machine, "corrected")
        self.assertEqual(machine.run("pram-verify status").status, 1)
        self.assert_now(machine, "intact", len(sample_files()) - 1)

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
        self.assert_goes_on(machine)
        self.assertEqual(self.report(machine)["command"], "boot")

    def test_a_real_crash_kernel_only_reports(self):
        machine = self.boot_chain("crashkernel=192M", Chains.damaged())
        self.assert_status(machine, "damaged")
        line = self.append(f"{CONSOLE} pram={Chains.head():x} pram_verify.policy=drop "
                           "pram_verify.on_damage=halt")
        machine.must("kexec -s -p /boot/vmlinuz --initrd=/boot/initramfs-tools.img "
                     f"--command-line={shlex.quote(line)}")
        machine.kexec("echo c >/proc/sysrq-trigger")
        machine.must("test -e /proc/vmcore")
        # It is told that the range is reserved, and no longer by whom, so what is there may be a device's.
        self.assert_status(machine, "failed")
        self.assertIn("crash kernel", machine.must(f"cat {FOLDER}/report.txt"))
        self.assert_goes_on(machine)
        machine.must(f"test ! -e {FOLDER}/cmdline")
        in_memory = [(address, machine.memory(address, len(data))) for address, data in Chains.damaged()]
        self.assertEqual(in_memory, Chains.damaged())

    def test_a_long_check_says_how_far_it_is_and_one_that_is_too_long_is_given_up(self):
        reserved = "memmap=1G$0x40000000"
        machine = self.boot(memmap=reserved, memory="3G")
        machine.must("mkdir /tmp/in && cd /tmp/in && head -c 1000000 /dev/urandom >/tmp/block && "
                     "for n in $(seq 960); do cat /tmp/block; done >large")
        parameters = f"{CONSOLE} {machine.must('pram-verify save /tmp/in')}"
        self.kexec(machine, self.append(f"{parameters} pram_verify.timeout=600", reserved))
        self.assert_status(machine, "intact")
        # How far it is is said every five seconds, and a machine may be faster than that.
        said = [text for _, text in kernel_log_lines(machine) if re.match(r"still at it: [0-9.]+ [MG]iB checked", text)]
        seconds = self.report(machine)["elapsed_ms"] // 1000
        self.assertLessEqual(abs(len(said) - seconds // 5), 1, f"{seconds} s: {said}")

        self.kexec(machine, self.append(f"{parameters} pram_verify.timeout=1 pram_verify.on_damage=halt", reserved))
        self.assert_status(machine, "indeterminate")
        self.assert_goes_on(machine)
        self.assertIn("timeout", [finding["kind"] for finding in self.report(machine)["findings"]])
        said = [text for level, text in kernel_log_lines(machine) if level == 4]
        self.assertTrue(said and said[0].startswith("indeterminate"), said)
        self.assertEqual(machine.run("pram-verify status").status, 4)

    def test_commands_keep_the_answer_up_to_date(self):
        machine = self.boot_chain(loads=Chains.damaged())
        self.assert_status(machine, "damaged")
        machine.must(f"test -e {FOLDER}/action && test -e {FOLDER}/cmdline")
        machine.run("pram-verify check; pram-verify list; mkdir /tmp/out; pram-verify load /tmp/out")
        self.assert_status(machine, "damaged")
        self.assertEqual(machine.run("pram-verify drop").status, 1)
        self.assert_status(machine, "corrected")
        self.assertEqual(self.report(machine)["command"], "drop")
        self.assertIn('pram_verify_status{status="corrected"} 1', machine.must(f"cat {FOLDER}/metrics.prom"))
        machine.must(f"test ! -e {FOLDER}/action && test ! -e {FOLDER}/cmdline")
        machine.must("pram-verify erase")
        self.assert_status(machine, "empty")
        machine.must("pram-verify save /tmp/out")
        self.assert_status(machine, "intact")
        self.assertEqual(machine.run("pram-verify status").status, 0)

    def test_shell_gives_way_to_panic(self):
        machine = self.boot_chain("pram_verify.on_damage=shell", Chains.damaged())
        self.assert_status(machine, "damaged")
        self.assert_goes_on(machine)
        self.assertTrue(any("panic=" in text for _, text in kernel_log_lines(machine)))

    def test_cleared_head_is_no_alarm(self):
        machine = self.boot(f"pram={RESERVED_PFN:x} pram_verify.on_damage=halt")
        self.assert_status(machine, "empty")
        self.assertEqual([level for level, _ in kernel_log_lines(machine)], [6])
        self.assertEqual(machine.run("pram-verify status").status, 0)

    def test_damaged_link_is_reported_and_cut_out(self):
        machine = self.boot_chain(loads=Chains.damaged_link())
        self.assert_status(machine, "damaged")
        findings = self.report(machine)["findings"]
        self.assertIn(1, [finding["link"] for finding in findings if finding["kind"].startswith("link-")], findings)
        self.kexec(machine, self.append(f"{CONSOLE} pram={Chains.head():x} pram_verify.policy=drop"))
        self.assert_status(machine, "corrected")

    def test_others_that_were_given_pages_of_the_chain_are_named(self):
        # Where the boot loader puts the initrd is seen from the kernel's log.
        first = self.boot()
        initrd = int(re.search(r"RAMDISK: \[mem 0x([0-9a-f]+)-", first.must("dmesg")).group(1), 16)
        first.close()
        pages, head = chain.write_chain(sample_files(), alternating(RESERVED_PFN, initrd // chain.PAGE + 16))
        loads = [(address, data) for address, data in chain.runs(pages) if address < initrd]
        machine = self.boot(f"pram={head:x} crashkernel=64M@0x10000000", loads, memmap="")
        warnings = self.report(machine)["warnings"]
        for what in ("where the boot loader put the initrd", "in what crashkernel= sets aside", "lacks memmap="):
            self.assertTrue(any(re.match(f"[0-9]+ pages of the chain .*{what}", text) for text in warnings), warnings)
        self.assertLessEqual({(4, text) for text in warnings}, set(kernel_log_lines(machine)))
        self.assert_goes_on(machine)

    def test_range_that_this_line_does_not_reserve(self):
        machine = self.boot_chain(memmap="")
        self.assertTrue(any("memmap=" in warning for warning in self.report(machine)["warnings"]), self.report(machine))

    def test_a_hibernated_system_in_a_swap_file_is_warned_of(self):
        swap = bytearray(8 << 20)
        swap[256 * 4096 + 4086:257 * 4096] = b"S1SUSPEND\0"
        images(self.kernel())
        disk = image_path("hibernated.img")
        disk.write_bytes(swap)
        machine = self.boot_chain("resume=/dev/vdb resume_offset=256", drives=[disk])
        self.assert_status(machine, "intact")
        said = [text for level, text in kernel_log_lines(machine) if level == 4]
        self.assertEqual(len(said), 1, said)
        self.assertRegex(said[0], "^/dev/vdb holds a hibernated system")

    def test_damage_in_a_pmem_range_is_dropped_through_its_device(self):
        machine = self.boot_chain("pram_verify.policy=drop pram_verify.device=/dev/pmem0", Chains.damaged(),
                                  memmap="memmap=16M!0x10000000")
        self.assert_status(machine, "corrected")
