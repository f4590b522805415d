"""`boot` and `status`, as far as they can be shown without a boot: a mount namespace with a /run, a /proc/cmdline and a
/dev/kmsg of one's own. The program knows of no other way to be given these."""

import json
import os
import re
import shlex
import subprocess

import chain
from support import DAMAGED, FAILED, INTACT, PROGRAM, TIMEOUT, USAGE, CommandTest, Result, sample_files

FOLDER = "/run/pram-verify"
WORDS = {"intact": 0, "unnamed": DAMAGED, "corrected": 1, "empty": 0, "absent": 0, "off": 0, "damaged": DAMAGED, "indeterminate": DAMAGED,
         "failed": FAILED}


# A range of 1 MiB at 1 MiB that the command line reserves, and a machine that has it.
START, SIZE, MEMORY = 1 << 20, 1 << 20, 4 << 20
HEAD = START // chain.PAGE
RESERVED = f"memmap=1M$0x{START:x}"
IOMEM = f"""00000000-00000fff : Reserved
00001000-000fffff : System RAM
{START:08x}-{START + SIZE - 1:08x} : Reserved
{START + SIZE:08x}-{MEMORY - 1:08x} : System RAM
"""


class BootTest(CommandTest):
    def apart(self, line, script, run="-o size=1M", machine=False):
        """Runs a script with `$pv` for the program, after a boot with this kernel command line.

        Everything below /dev is made up, so that the kernel's log is a file wherever the test is run. With `machine`,
        so is the memory: `self.memory` below /dev/mem, and what the kernel and the firmware say of it.
        """
        (self.scratch / "cmdline").write_text(line + "\n")
        (self.scratch / "kmsg").write_text("")
        devices = self.scratch / "devices"
        devices.mkdir(exist_ok=True)
        steps = [
            "mount --make-rprivate /", f"mount -t tmpfs {run} none /run",
            f"mount --bind {self.scratch}/cmdline /proc/cmdline",
            f"mount -t tmpfs none {devices}",
            f"for name in null zero urandom; do touch {devices}/$name; mount --bind /dev/$name {devices}/$name; done",
            f"touch {devices}/kmsg", f"mount --bind {self.scratch}/kmsg {devices}/kmsg",
        ]
        if machine:
            (self.scratch / "iomem").write_text(IOMEM)
            steps += [
                f"touch {devices}/mem", f"mount --bind {self.memory} {devices}/mem",
                f"mount --bind {self.scratch}/iomem /proc/iomem", "mount -t tmpfs none /sys",
                "mkdir -p /sys/kernel /sys/block /sys/module /sys/firmware/memmap/0", "cd /sys/firmware/memmap/0",
                "echo 0x0 >start", f"echo {MEMORY - 1:#x} >end", "echo System RAM >type", "cd /",
            ]
        steps.append(f"mount -n --move {devices} /dev")
        whole = " && ".join(steps) + f" && pv={shlex.quote(str(PROGRAM))} && {script}"
        done = subprocess.run(["unshare", "-m", "sh", "-c", whole], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=TIMEOUT)
        result = Result(done.returncode, done.stdout, done.stderr)
        self.assert_printable(result)
        return result

    def boot(self, line, script="", **options):
        """Boots, then shows the status, the report and whatever else is asked for."""
        result = self.apart(line, f"$pv boot && cat {FOLDER}/status {FOLDER}/action && {script or 'true'}", **options)
        self.assertEqual(result.status, INTACT, result)
        return result.out.decode().splitlines()

    def log(self):
        """What went to the kernel's log."""
        return (self.scratch / "kmsg").read_text()

    def lay(self, files=None, flip=False):
        """Puts a chain into the reserved range of the machine; with a bit of a DATA page changed."""
        self.memory = self.scratch / "memory"
        pages, head = chain.write_chain(files or sample_files(), iter(range(HEAD, 1 << 20)))
        self.assertEqual(head, HEAD)
        with open(self.memory, "wb") as file:
            for page, content in pages.items():
                os.pwrite(file.fileno(), content, page * chain.PAGE)
            if flip:
                victim = next(e.pfn for e in chain.Link(head, pages[head]).entries if e.type == chain.DATA)
                os.pwrite(file.fileno(), bytes([pages[victim][9] ^ 1]), victim * chain.PAGE + 9)
            file.truncate(MEMORY)


class Boot(BootTest):
    def test_no_chain(self):
        self.assertEqual(self.boot("ro quiet"), ["absent", "continue"])
        self.assertEqual(self.log(), "<6>pram-verify: absent\n")

    def test_a_reserved_range_that_cannot_be_looked_at(self):
        self.assertEqual(self.boot("memmap=1M$1M"), ["absent", "continue"])
        self.assertIn("cannot be told", self.log())

    def test_files_are_complete_and_only_those_without_names_are_for_everybody(self):
        lines = self.boot("ro", f"cd {FOLDER} && stat -c '%n %a' * .[!.]* 2>/dev/null; true")
        self.assertEqual(lines[2:], [
            "action 644", "cmdline 644", "metrics.prom 644", "report.json 600", "report.txt 600", "status 644"])

    def test_json_report_follows_its_schema(self):
        report = json.loads("\n".join(self.boot("pram=xyz", f"cat {FOLDER}/report.json")[2:]))
        self.assertEqual((report["command"], report["verdict"]), ("boot", "absent"))
        self.assert_valid(report, Result(0, b"", b""))

    def test_metrics_are_well_formed(self):
        lines = self.boot("ro", f"cat {FOLDER}/metrics.prom")[2:]
        for line in lines:
            self.assertRegex(line, r'^(# (HELP|TYPE) pram_verify_\w+ .+|pram_verify_\w+(\{status="\w+"\})? \d+(e-3)?)$')
        self.assertIn('pram_verify_status{status="absent"} 1', lines)
        self.assertEqual(sum(line.endswith("} 1") for line in lines), 1)

    def test_policy_off(self):
        self.assertEqual(self.boot("pram=1 pram_verify.policy=off", f"ls {FOLDER}"),
                         ["off", "continue", "action", "status"])

    def test_parameters_that_are_wrong_are_named_and_ignored(self):
        for word in ("pram_verify.policy", "pram_verify.policy=", "pram_verify.policy=DROP",
                     "pram-verify.on_damage=reboot",
                     "pram_verify.timeout=0", "pram_verify.timeout=1e3", "pram_verify.timeout=99999999999999999999",
                     "pram_verify.quick=2", "pram_verify.region=16M", "pram_verify.region=0x", "pram_verify.device=",
                     "pram_verify.unknown=1", "pram_verify.", "pram_verify=drop"):
            with self.subTest(word):
                lines = self.boot(f"ro {word} quiet", f"cat {FOLDER}/report.txt")
                self.assertEqual(lines[:2], ["absent", "continue"])
                self.assertTrue(any(f"warning: {word} is ignored" in line for line in lines), lines)

    def test_parameters_that_are_right_are_taken(self):
        for word in ("pram_verify.policy=drop", "pram-verify.policy=quarantine", "pram_verify.on_damage=halt",
                     "pram_verify.timeout=86400", "pram_verify.quick", "pram_verify.quick=1", "pram_verify.quick=0",
                     "pram_verify.region=0x10000000+16M", "pram_verify.device=/dev/pmem0",
                     '"pram_verify.policy=report"',
                     "xpram_verify.nothing=1", "-- pram_verify.nothing=1"):
            with self.subTest(word):
                lines = self.boot(f"ro {word}", f"cat {FOLDER}/report.txt")
                self.assertFalse(any("ignored" in line for line in lines), lines)

    def test_many_wrong_parameters_do_not_fill_the_log(self):
        self.boot(" ".join(f"pram_verify.x{number}=1" for number in range(90)))
        lines = self.log().splitlines()
        self.assertGreater(sum("pram_verify.x" in line for line in lines), 1, lines)
        self.assertLessEqual(len(lines), 10)
        self.assertEqual(lines[0], "<6>pram-verify: absent")

    def test_a_run_that_cannot_be_written_does_not_cost_the_boot(self):
        for run in ("-o ro", "-o size=4k", "-o nr_inodes=2", "-o nr_inodes=4"):
            with self.subTest(run):
                result = self.apart("ro pram=1", "$pv boot; echo $?; ls -A /run/pram-verify 2>/dev/null; true", run)
                lines = result.out.decode().splitlines()
                self.assertEqual(lines[0], "0", result)
                self.assertFalse([line for line in lines if line.endswith(".tmp")], result)

    def test_what_stands_in_the_way_of_the_folder(self):
        for trap in ("ln -s /nowhere", "mkfifo", "touch"):
            with self.subTest(trap):
                result = self.apart("ro", f"{trap} /run/pram-verify; $pv boot; echo $?")
                self.assertEqual(result.out, b"0\n", result)

    def test_no_command_line_can_be_read(self):
        result = self.apart("ro", f"umount /proc/cmdline && mount --bind /dev/null /proc/cmdline && $pv boot && "
                                  f"cat {FOLDER}/status")
        self.assertEqual((result.status, result.out), (0, b"absent\n"), result)

    def test_no_names_from_the_call(self):
        self.assertEqual(self.apart("ro", "$pv boot word").status, USAGE)
        self.assertEqual(self.apart("ro", "$pv boot --json").status, USAGE)
        self.assertEqual(self.apart("ro", "$pv boot --pfn=1").status, USAGE)

    def test_a_second_boot_replaces_what_the_first_has_left(self):
        result = self.apart("ro", f"mkdir {FOLDER} && echo shell >{FOLDER}/action && echo damaged >{FOLDER}/status && "
                                  f"$pv boot && cat {FOLDER}/status {FOLDER}/action")
        self.assertEqual(result.out, b"absent\ncontinue\n", result)

    def test_commands_on_an_image_leave_the_folder_alone(self):
        folder = self.scratch / "in"
        folder.mkdir()
        (folder / "file").write_bytes(b"content")
        result = self.apart("ro", f"$pv boot && $pv save --memory={self.scratch}/image --size=1M {folder} && "
                                  f"cat {FOLDER}/status")
        self.assertEqual(result.out.decode().splitlines()[-1], "absent", result)


class Chain(BootTest):
    """`boot` on a machine that was handed a chain."""

    def boot(self, line, script="", **options):
        return super().boot(f"{RESERVED} nokaslr {line}", script, machine=True, **options)

    def test_an_intact_chain(self):
        self.lay()
        self.assertEqual(self.boot(f"pram={HEAD:x}"), ["intact", "continue"])
        self.assertEqual(self.log(), "<6>pram-verify: intact: 5 files, 1 link, 11 pages checked\n")

    def test_a_chain_that_nobody_handed_on(self):
        self.lay()
        lines = self.boot("pram_verify.on_damage=halt", "{ $pv check; echo $?; $pv list; $pv status; echo $?; }")
        self.assertEqual(lines[:3], ["unnamed", "continue", "verdict: intact"])
        self.assertIn(f"head:    page 0x{HEAD:x}, from the range's first page", lines)
        self.assertTrue(any(line.startswith(f"note: chain-unnamed page 0x{HEAD:x}: ") for line in lines), lines)
        self.assertIn("0", lines)
        self.assertEqual(lines[-1], str(DAMAGED))
        self.assertIn("<4>pram-verify: unnamed: 5 files, 1 link, 11 pages checked\n", self.log())

    def test_damage_in_a_chain_that_nobody_handed_on(self):
        self.lay(flip=True)
        self.assertEqual(self.boot("pram_verify.on_damage=halt"), ["damaged", "halt"])
        report = json.loads("\n".join(self.boot("", f"cat {FOLDER}/report.json")[2:]))
        self.assertIn("chain-unnamed", [finding["kind"] for finding in report["findings"]])
        self.assertEqual(report["head"]["origin"], "range")

    def test_a_reserved_range_without_a_chain(self):
        self.memory = self.scratch / "memory"
        self.memory.write_bytes(bytes(MEMORY))
        self.assertEqual(self.boot(""), ["absent", "continue"])
        self.assertEqual(self.log(), "<6>pram-verify: absent\n")

    def test_what_was_saved_in_this_boot_waits_to_be_handed_on(self):
        self.memory = self.scratch / "memory"
        self.memory.write_bytes(bytes(MEMORY))
        (self.scratch / "source").mkdir()
        (self.scratch / "source/file").write_bytes(b"content")
        lines = self.boot("", f"$pv save {self.scratch}/source && $pv check")
        self.assertEqual(lines[2:4], [f"pram={HEAD:x}", "verdict: intact"])
        self.assertFalse(any("chain-unnamed" in line for line in lines), lines)

    def test_damage_is_found_and_nothing_is_changed(self):
        self.lay(flip=True)
        before = self.memory.read_bytes()
        self.assertEqual(self.boot(f"pram={HEAD:x} pram_verify.on_damage=halt"), ["damaged", "halt"])
        self.assertTrue(self.log().startswith("<3>pram-verify: damaged: 1 of 5 files damaged, 1 link"), self.log())
        self.assertIn("data-checksum", self.log())
        self.assertEqual(self.memory.read_bytes(), before)

    def test_policy_drop_cuts_it_out(self):
        self.lay(flip=True)
        lines = self.boot(f"pram={HEAD:x} pram_verify.policy=drop pram_verify.on_damage=halt", "$pv check")
        self.assertEqual(lines[:3], ["corrected", "continue", "verdict: intact"])

    def test_what_has_destroyed_the_chain_is_in_the_log(self):
        self.lay()
        self.boot(f"pram={HEAD:x} initrdmem=0x{START + chain.PAGE:x},8K")
        self.assertRegex(self.log(), r"<4>pram-verify: 2 pages of the chain where the boot loader")

    def test_the_verdict_comes_first_in_the_log_and_all_of_it_fits(self):
        """The kernel keeps ten lines of one program in five seconds."""
        self.lay(flip=True)
        words = " ".join(f"pram_verify.word{number}" for number in range(20))
        self.boot(f"pram={HEAD:x} {words} initrdmem=0x{START:x},64K pram_verify.on_damage=halt")
        lines = self.log().splitlines()
        self.assertTrue(lines[0].startswith("<3>pram-verify: damaged: "), lines)
        self.assertLessEqual(len(lines), 10)
        self.assertEqual(lines[-1], "<3>pram-verify: pram_verify.on_damage=halt")

    def test_kaslr_that_may_have_hit_the_chain_is_named(self):
        self.lay()
        four = " ".join(f"memmap=4K$0x9{number}000000" for number in range(4))
        super().boot(f"{four} {RESERVED} pram={HEAD:x}", machine=True)
        self.assertIn("where KASLR may have put this kernel", self.log())

    def test_a_head_of_zeros_is_no_damage(self):
        self.lay()
        with open(self.memory, "r+b") as file:
            os.pwrite(file.fileno(), bytes(chain.PAGE), START)
        self.assertEqual(self.boot(f"pram={HEAD:x} pram_verify.on_damage=halt"), ["empty", "continue"])


class GiveUp(BootTest):
    """What becomes of the boot when the process that looks is ended, or hangs."""

    # /proc/iomem is a pipe that stays silent for a while: so long the process that looks waits in it.
    SILENT = "mkfifo /run/pipe && mount --bind /run/pipe /proc/iomem && exec 9<>/run/pipe && "
    CHILD = ("$pv boot & parent=$!; sleep 0.5; for process in /proc/[0-9]*; do "
             "read -r number name state above rest <$process/stat && [ \"$above\" = $parent ] && child=$number; done; "
             "kill -%s $child && { wait $parent; echo $?; } && ")

    def ended(self, signal, line="", then=""):
        self.lay()
        result = self.apart(f"{RESERVED} pram={HEAD:x} pram_verify.timeout=1 {line}", self.SILENT + self.CHILD % signal
                            + f"cat {FOLDER}/status {FOLDER}/action && {then or 'true'}", machine=True)
        self.assertEqual(result.status, 0, result)
        return result.out.decode().splitlines()

    def test_a_process_that_is_killed_is_a_failure_that_is_said(self):
        for signal, number in (("SEGV", 11), ("KILL", 9), ("ILL", 4)):
            with self.subTest(signal):
                lines = self.ended(signal, "pram_verify.on_damage=halt", f"cat {FOLDER}/report.txt")
                self.assertEqual(lines[:3], ["0", "failed", "continue"])
                self.assertIn(f"the check was ended by signal {number}", "\n".join(lines))
                self.assertIn(f"<4>pram-verify: failed: boot: the check was ended by signal {number}", self.log())

    def test_a_process_that_hangs_is_left_behind_in_time(self):
        lines = self.ended("STOP", "pram_verify.on_damage=halt", f"cat {FOLDER}/report.json")
        self.assertEqual(lines[:3], ["0", "indeterminate", "continue"])
        report = json.loads("\n".join(lines[3:]))
        self.assertEqual((report["verdict"], [f["kind"] for f in report["findings"]]), ("indeterminate", ["timeout"]))
        self.assertIn("<4>pram-verify: indeterminate", self.log())

    def test_what_was_published_stays(self):
        """Behind the result comes a look at the device for hibernation; here that hangs, and the process is killed."""
        for signal in ("KILL", "SEGV"):
            with self.subTest(signal):
                self.lay(flip=True)
                pipe = ("mkfifo /run/swap && mkdir -p /dev/disk/by-uuid && touch /dev/disk/by-uuid/1 && "
                        "mount --bind /run/swap /dev/disk/by-uuid/1 && ")
                result = self.apart(
                    f"{RESERVED} nokaslr pram={HEAD:x} pram_verify.on_damage=halt resume=UUID=1",
                    pipe + "strace -qq -f -o /dev/null -e inject=renameat,renameat2:signal=" + signal + ":when=6 $pv boot; "
                    f"echo $?; cat {FOLDER}/status {FOLDER}/action", machine=True)
                self.assertEqual(result.out.decode().splitlines(), ["0", "damaged", "halt"], result)

    def test_no_process_can_be_started(self):
        """Then the work is done all the same."""
        self.lay()
        result = self.apart(f"{RESERVED} nokaslr pram={HEAD:x}", "strace -qq -o /dev/null "
                            "-e inject=clone,clone3,fork,vfork:error=EAGAIN $pv boot; "
                            f"echo $?; cat {FOLDER}/status", machine=True)
        self.assertEqual(result.out, b"0\nintact\n", result)


class Status(BootTest):
    def test_without_a_boot(self):
        result = self.apart("ro", "$pv status")
        self.assertEqual((result.status, result.out), (FAILED, b""), result)
        self.assertIn(b"boot did not run", result.err)
        result = self.apart("ro", "$pv status --json")
        self.assertEqual(result.status, FAILED, result)
        report = json.loads(result.out)
        self.assert_valid(report, result)
        self.assertEqual((report["command"], report["exit"]), ("status", FAILED))
        self.assertIn("boot did not run", report["failure"]["remedy"])

    def test_the_word_is_for_everybody(self):
        for word, status in (("intact", INTACT), ("damaged", DAMAGED)):
            result = self.apart("ro", f"$pv boot && echo {word} >{FOLDER}/status && "
                                      "setpriv --reuid=65534 --regid=65534 --clear-groups $pv status")
            self.assertEqual((result.status, result.out), (status, f"status:  {word}\n".encode()), result)
            self.assertIn(b"the report is for root alone", result.err)

    def test_shows_what_boot_has_found(self):
        result = self.apart("ro", "$pv boot && $pv status && $pv status --json")
        self.assertEqual(result.status, INTACT)
        self.assertIn(b"status:  absent", result.out)
        self.assertIn(b'"command": "boot"', result.out)

    def test_exit_status_is_that_of_the_word(self):
        for word, status in WORDS.items():
            result = self.apart("ro", f"mkdir {FOLDER} && cd {FOLDER} && echo {word} >status && echo x >report.txt && "
                                      "$pv status")
            self.assertEqual(result.status, status, result)

    def test_a_word_that_nobody_wrote(self):
        for word in ("", "fine", "intact intact", "\\377"):
            result = self.apart("ro", f"mkdir {FOLDER} && printf '{word}\\n' >{FOLDER}/status && $pv status")
            self.assertEqual(result.status, FAILED, result)


class HelpShowsTheParameters(CommandTest):
    def test_each_has_its_values(self):
        text = self.run_program("boot", "--help").out.decode()
        names = re.findall(r"^  (pram_verify\.\w+)=\S+", text, re.MULTILINE)
        self.assertEqual(len(names), len(set(names)))
        self.assertIn("pram_verify.policy", names)
