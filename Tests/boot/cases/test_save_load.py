"""Files saved into a reserved range of machines that run Debian's own kernels, through /dev/mem: what mount and umount
are to a kernel that has pram, `load` and `save` are here.
"""

import json
import re
import time

import chain
from cases.support import *

RANGE, SIZE = 0x10000000, 32 << 20
HEAD = RANGE // chain.PAGE
MANY = 1200
APPEND = f"nokaslr memmap=32M${RANGE:#x}"


class SavedThroughDevMem(BootCase):
    """One range, nothing on the command line that names a chain."""

    @classmethod
    def setUpClass(cls):
        cls.machine = machine = cls.start(provision.stock_kernel().image, stock_image(), APPEND, STOCK_MEMORY)
        make_samples(machine, "/tmp/files")
        # So many that something can happen while they are saved.
        machine.must(f"mkdir /tmp/many; cd /tmp/many; n=0; "
                     f"while [ $n -lt {MANY} ]; do echo $n >$n; n=$((n + 1)); done")
        cls.files = contents(machine, "/tmp/files")

    def setUp(self):
        # What comes back by parity is the subject of test_repair, trees that of test_trees.
        self.saved = run(self.machine, "save", "--flat", "--replace", "--parity=0", "/tmp/files")
        self.assert_run(self.saved, 0, f"pram={HEAD:x}\n")

    def range(self):
        return self.machine.memory(RANGE, SIZE)

    def spoil(self, name, index):
        return spoil(self.machine, HEAD, name, index)

    def load(self, *options):
        """(how `load` ended, what it wrote)"""
        self.machine.must("rm -rf /tmp/out; mkdir /tmp/out")
        return run(self.machine, "load", *options, "/tmp/out"), contents(self.machine, "/tmp/out")

    def assert_no_chain(self):
        self.assertEqual(self.machine.memory(RANGE, chain.PAGE), bytes(chain.PAGE))
        self.assert_run(run(self.machine, "erase"), 0)
        self.assert_verdict(in_guest(self.machine, "/tmp/out", command="load"), "absent")

    def test_control_the_range_is_reserved(self):
        self.assertRegex(self.machine.must("cat /proc/iomem"), r"(?mi)^10000000-11ffffff : reserved$")

    def test_save_says_what_it_leaves_out(self):
        self.assertRegex(self.saved.errors, r"folder is left out: .*directories")
        self.assertRegex(self.saved.errors, r"link is left out: .*links")

    def test_the_map_of_this_machine(self):
        whole = run(self.machine, "map", "--pfn", f"{HEAD:x}")
        self.assert_run(whole, 0)
        self.assertIn("\nThe reserved range: 0x10000000-0x11ffffff, 32.0 MiB; a block is ", whole.output)
        self.assertRegex(whole.output, r"(?s)\nAll memory: 0x0-0x2fffffff, .*\n0x10000000 L:+\.")
        for name in ("System RAM", "reserved", "kernel", "initrd", "intact", "links"):
            self.assertRegex(whole.output, rf"\b{name} +\d", f"\n{whole}")
        self.spoil("large.img", 77)
        spoilt = run(self.machine, "map", "--pfn", f"{HEAD:x}", "--svg", "/tmp/map.svg")
        self.assert_run(spoilt, 4)
        self.assertRegex(spoilt.output, r"(?m)^damaged: page 0x1[0-9a-f]{4}, in large\.img$")
        svg = self.machine.must("cat /tmp/map.svg")
        self.assertRegex(svg, r"(?s)^<svg .*The chain in memory is damaged.* in large\.img; reserved.*</svg>\s*$")

    def test_what_was_saved_is_what_the_format_asks_for(self):
        self.assertEqual(chain_contents(self.machine, HEAD), self.files)

    def test_what_was_saved_is_intact_whether_or_not_it_is_named(self):
        report = in_guest(self.machine, "--pfn", f"{HEAD:x}")
        self.assert_verdict(report, "intact")
        self.assertEqual({name.decode(): f"{mode & 0o7777:o}" for name, (_, mode) in report.files().items()},
                         {name: mode for name, (_, mode) in self.files.items()})
        self.assert_verdict(in_guest(self.machine), "intact")

    def test_a_second_save_is_refused_and_changes_nothing(self):
        before = self.range()
        self.assert_run(
            run(self.machine, "save", "--flat", "/tmp/many"), 8, "", r"holds a chain already(.|\n)*--replace")
        self.assertEqual(self.range(), before)

    def test_a_second_save_is_refused_for_a_damaged_chain_too(self):
        flip_in_guest(self.machine, RANGE + 2000)
        before = self.range()
        self.assert_run(
            run(self.machine, "save", "--flat", "/tmp/many"), 8, "", r"holds a chain already(.|\n)*--replace")
        self.assertEqual(self.range(), before)

    def test_load_restores_bytes_and_modes_and_leaves_the_chain(self):
        loaded, files = self.load()
        self.assert_run(loaded, 0)
        self.assertEqual(files, self.files)
        self.assertEqual(chain_contents(self.machine, HEAD), self.files)

    def test_load_erase_restores_and_leaves_no_chain(self):
        loaded, files = self.load("--erase")
        self.assert_run(loaded, 0)
        self.assertEqual(files, self.files)
        self.assert_no_chain()

    def test_load_erase_leaves_the_chain_when_a_file_is_damaged(self):
        self.spoil("large.img", 77)
        before = self.range()
        loaded, files = self.load("--erase")
        self.assert_run(loaded, 4)
        self.assertEqual(files, {name: file for name, file in self.files.items() if name != "large.img"})
        self.assertEqual(self.range(), before)

    def test_erase_leaves_no_chain(self):
        self.assert_run(run(self.machine, "erase"), 0)
        self.assert_no_chain()

    def test_drop_has_nothing_to_do_on_an_intact_chain(self):
        before = self.range()
        self.assert_run(run(self.machine, "drop"), 0, f"pram={HEAD:x}\n", "nothing to do")
        self.assertEqual(self.range(), before)

    def test_dry_run_shows_the_plan_and_changes_nothing(self):
        self.spoil("large.img", 77)
        before = self.range()
        for command in ("drop", "quarantine"):
            with self.subTest(command):
                self.assert_run(run(self.machine, command, "--dry-run"), 4, f"pram={HEAD:x}\n", r"large\.img: ")
        self.assertEqual(self.range(), before)

    def test_drop_loses_the_damaged_file_and_no_other(self):
        self.spoil("large.img", 77)
        others = {name: file for name, file in self.files.items() if name != "large.img"}
        self.assert_run(run(self.machine, "drop"), 1, f"pram={HEAD:x}\n", r"large\.img: dropped: it is damaged")
        self.assertEqual(chain_contents(self.machine, HEAD), others)
        self.assert_verdict(in_guest(self.machine, "--pfn", f"{HEAD:x}"), "intact")
        self.assert_run(run(self.machine, "drop"), 0, f"pram={HEAD:x}\n", "nothing to do")
        self.assertEqual(self.load("--erase")[1], others)
        self.assert_no_chain()

    def test_quarantine_keeps_the_damaged_file_marked_and_under_another_name(self):
        self.spoil("large.img", 77)
        others = {name: file for name, file in self.files.items() if name != "large.img"}
        self.assert_run(run(self.machine, "quarantine"), 1, f"pram={HEAD:x}\n", r"large\.img: quarantined")
        report = in_guest(self.machine, "--pfn", f"{HEAD:x}")
        self.assertEqual(set(report.files("quarantined")), {b"large.img.damaged"}, f"\n{report}")
        self.assertEqual({name.decode() for name in report.files()}, set(others), f"\n{report}")
        self.assertEqual(self.load()[1], others)
        loaded, files = self.load("--damaged")
        self.assertEqual(set(files), {*others, "large.img.damaged"}, f"\n{loaded}")

    def test_nobody_writes_or_reads_while_a_writer_is_not_done(self):
        self.machine.must("""
            pram-verify save --flat --parity=0 --replace /tmp/many >/tmp/first 2>&1 &
            first=$!
            until grep -q "FLOCK.* $first " /proc/locks; do kill -0 $first || exit 9; done
            kill -STOP $first
            for command in "save --replace /tmp/files" erase "load --erase /tmp/out" drop quarantine \\
                           "check --pfn 10000" "load --pfn 10000 /tmp/out"; do
                pram-verify $command >/dev/null 2>/tmp/second
                echo "$? $(cat /tmp/second)"
            done >/tmp/seconds
            kill -CONT $first
            wait $first
            echo $? >/tmp/first-status
        """)
        seconds = [line for line in self.machine.must("cat /tmp/seconds").splitlines() if re.match(r"\d", line)]
        self.assertEqual(len(seconds), 7, seconds)
        for line in seconds:
            self.assertRegex(line, r"^8 .*/run/pram-verify/lock is locked by process \d+")
        self.assertEqual(self.machine.must("cat /tmp/first-status /tmp/first"), f"0\npram={HEAD:x}")
        report = in_guest(self.machine, "--pfn", f"{HEAD:x}")
        self.assert_verdict(report, "intact")
        self.assertEqual(len(report.files()), MANY)

    def test_killed_at_any_moment_it_leaves_the_old_chain_or_the_new_one(self):
        """The range has room for both, so there is never none."""
        self.machine.must("pram-verify save --flat --parity=0 --replace /tmp/many >/dev/null")
        begun = time.monotonic()
        self.machine.must("pram-verify save --flat --parity=0 --replace /tmp/many >/dev/null")
        duration = time.monotonic() - begun
        rounds = 8
        self.machine.must(f"""
            for round in $(seq 0 {rounds - 1}); do
                pram-verify save --flat --parity=0 --replace /tmp/files >/dev/null 2>&1 || exit 9
                pram-verify save --flat --parity=0 --replace /tmp/many >/dev/null 2>&1 &
                saving=$!
                usleep $((round * {int(duration * 1e6 / (rounds - 1))} + $RANDOM % 5000))
                kill -9 $saving
                wait $saving
                echo $? >/tmp/status-$round
                pram-verify check --json --pfn {HEAD:x} >/tmp/report-$round
            done
        """)
        seen = []
        for round in range(rounds):
            report = json.loads(self.machine.get(f"/tmp/report-{round}"))
            names = {bytes.fromhex(file["name_hex"]).decode() for file in report.get("files", [])}
            if report["verdict"] == "intact" and names == set(self.files):
                seen.append("old")
            elif report["verdict"] == "intact" and len(names) == MANY:
                seen.append("new")
            else:
                self.fail(f"round {round}: neither the old chain nor the new one: {report}")
        killed = [self.machine.must(f"cat /tmp/status-{round}") == "137" for round in range(rounds)]
        self.assertIn(True, killed, "none was killed in time")
        self.assertIn("old", seen, "none was killed while it wrote")
        # Whatever was left: saving once more is always possible.
        self.assert_run(run(self.machine, "save", "--flat", "--replace", "/tmp/files"), 0, f"pram={HEAD:x}\n")
        self.assertEqual(chain_contents(self.machine, HEAD), self.files)


class SavedForTheNextKernel(BootCase):
    """The line that save prints goes to the newest kernel, which is kexec'ed, and loads the files."""

    @classmethod
    def setUpClass(cls):
        cls.machine = machine = cls.start(provision.stock_kernel().image, stock_image(), APPEND, STOCK_MEMORY)
        make_samples(machine, "/tmp/files")
        cls.files = contents(machine, "/tmp/files")
        machine.must("kexec -s -l /boot/vmlinuz --initrd=/boot/initrd "
                     f"--command-line='console=ttyS0 panic=-1 {APPEND} '\"$(pram-verify save --flat /tmp/files)\"")
        machine.kexec()
        machine.must("mkdir /tmp/out /tmp/again")
        cls.checked = in_guest(machine)
        cls.loaded = run(machine, "load", "--erase", "/tmp/out")
        cls.after = in_guest(machine)
        cls.loaded_again = run(machine, "load", "/tmp/again")

    def test_control_the_newest_kernel_runs_with_that_line(self):
        self.assertEqual(self.machine.release, provision.newest_kernel().release)
        self.assertIn(f" pram={HEAD:x}", self.machine.must("cat /proc/cmdline"))

    def test_the_chain_is_intact_by_itself(self):
        self.assert_verdict(self.checked, "intact")
        self.assertEqual({name.decode() for name in self.checked.files()}, set(self.files))

    def test_load_restores_every_file(self):
        self.assert_run(self.loaded, 0)
        self.assertEqual(contents(self.machine, "/tmp/out"), self.files)

    def test_after_load_erase_nothing_is_called_intact_and_nothing_is_loaded(self):
        self.assertEqual(self.machine.memory(RANGE, chain.PAGE), bytes(chain.PAGE))
        self.assertNotEqual(self.after.verdict, "intact", f"\n{self.after}")
        self.assert_run(self.loaded_again, 4)
        self.assertEqual(contents(self.machine, "/tmp/again"), {})
