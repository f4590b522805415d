"""`rehearse` on a made-up machine, whose memory stays the same from boot to boot: what a kexec does to it is done here."""

import json
import os
import re

import chain
from support import DAMAGED, FAILED, INTACT, USAGE
from test_boot import FOLDER, HEAD, RESERVED, SIZE, START
from test_doctor import validator
from test_kexec import KexecTest

LINE = f"{RESERVED} quiet"
STATE = "/var/lib/pram-verify-state/rehearsal"


class RehearseTest(KexecTest):
    def setUp(self):
        super().setUp()
        self.state = self.scratch / "state"
        self.state.mkdir()
        self.boots = 0

    def machine(self, script, line=LINE, loaded=0):
        """One boot, with its own id; /var/lib lasts."""
        self.boots += 1
        (self.scratch / "boot_id").write_text(f"{self.boots:08x}-0000-4000-8000-000000000000\n")
        setup = (f"mount --bind {self.state} /var/lib && "
                 f"mount --bind {self.scratch}/boot_id /proc/sys/kernel/random/boot_id && ")
        return super().machine(setup + script, line, loaded)

    def overwrite(self, first, count):
        with open(self.memory, "r+b") as file:
            for page in range(first, first + count):
                os.pwrite(file.fileno(), b"\xa5" * chain.PAGE, page * chain.PAGE)

    def rehearse(self, *words, script="true"):
        result = self.machine(f"$pv rehearse {' '.join(words)} && {script}")
        self.assert_ends(result, INTACT)
        return result.out.decode()

    def next_boot(self, script=f"cat {FOLDER}/rehearsal; $pv rehearse --result"):
        return self.machine(f"$pv boot; {script}", line=f"{LINE} pram={HEAD:x}")


class Passes(RehearseTest):
    def test_the_whole_range_is_the_canarys_and_nothing_else_changes(self):
        before = self.memory.read_bytes()
        said = self.rehearse("/k", "/i")
        self.assertIn(f"at {START:#x}", said)
        self.assertIn("systemctl kexec", said)
        after = self.memory.read_bytes()
        self.assertEqual(after[:START], before[:START])
        self.assertEqual(after[START + SIZE:], before[START + SIZE:])
        pages = [after[START + n * 4096:START + (n + 1) * 4096] for n in range(SIZE // 4096)]
        # The last page or two may be too few for one more file.
        self.assertLessEqual(sum(page == bytes(4096) for page in pages), 2)
        self.assertEqual(len(set(pages[:-2])), len(pages) - 2)
        links = chain.walk(lambda pfn: after[pfn * 4096:(pfn + 1) * 4096], HEAD)
        self.assertEqual(links[0].pfn, HEAD)
        listed = {entry.pfn for link in links for entry in link.entries} | {link.pfn for link in links}
        self.assertEqual(listed, set(range(HEAD, HEAD + len(listed))))

    def test_the_next_kernel_is_loaded_as_by_kexec(self):
        self.rehearse("/k", "/i")
        self.assert_loaded(f"{LINE} pram={HEAD:x}", "-s")

    def test_without_loading_it_says_how(self):
        self.assertIn("pram-verify kexec /k /i", self.rehearse("--no-load", "/k", "/i"))
        self.assertEqual(self.loads(), [])

    def test_size_is_heeded(self):
        said = self.rehearse("--size=64K", "--no-load", "/k")
        self.assertIn("64.0 KiB", said)
        self.assertEqual(set(self.memory.read_bytes()[START + 65536:]), {0})

    def test_the_next_boot_recognises_it_and_every_page_arrived(self):
        self.rehearse("/k", "/i")
        result = self.next_boot()
        self.assertEqual(result.status, INTACT, result)
        text = result.out.decode()
        self.assertIn("state passed\n", text)
        self.assertRegex(text, r"(?m)^lost 0$")
        self.assertRegex(text, rf"(?m)^from {re.escape(os.uname().release)}$")
        self.assertRegex(text, rf"(?m)^to {re.escape(os.uname().release)}$")
        self.assertIn("rehearsal: passed", text)
        self.assertIn("pram-verify: rehearsal passed", self.log())

    def test_the_result_is_kept_on_the_disk_and_status_and_doctor_know_it(self):
        self.rehearse("/k", "/i")
        result = self.next_boot("$pv rehearse --result --json; $pv status; $pv doctor")
        text = result.out.decode()
        self.assertEqual(json.JSONDecoder().raw_decode(text)[0]["state"], "passed")
        self.assertIn("last rehearsal: passed", text)
        self.assertRegex(text, r"(?m)^ok +rehearsal +the last rehearsal passed")
        self.assertIn("state passed\n", (self.state / "pram-verify-state/rehearsal").read_text())
        # And later, when there is no /run any more.
        later = self.machine("$pv rehearse --result")
        self.assertEqual(later.status, INTACT, later)

    def test_without_an_initramfs_the_result_is_made_when_it_is_asked_for(self):
        self.rehearse("/k", "/i")
        result = self.machine("$pv rehearse --result", line=f"{LINE} pram={HEAD:x}")
        self.assertEqual(result.status, INTACT, result)
        self.assertIn(b"rehearsal: passed", result.out)

    def test_in_the_same_boot_there_is_no_result_yet(self):
        result = self.machine("$pv rehearse --no-load /k && $pv rehearse --result")
        self.assertEqual(result.status, FAILED, result)
        self.assertIn(b"rehearsal: waiting", result.out)

    def test_service_start_restores_nothing_keeps_the_result_and_clears_the_canary(self):
        self.rehearse("/k", "/i")
        result = self.next_boot("$pv service start && ls -A /var/lib && head -1 /var/lib/pram-verify-state/rehearsal")
        self.assertEqual(result.status, INTACT, result)
        self.assertIn(b"nothing is restored: the last boot was a rehearsal, which passed", result.err)
        self.assertEqual(result.out.decode().split(), ["pram-verify-state", "state", "passed"])
        self.assertEqual(self.memory.read_bytes()[START:START + 4096], bytes(4096))

    def test_service_stop_leaves_the_canary_alone(self):
        save = self.state / "files"
        save.mkdir()
        (save / "file").write_text("x")
        result = self.machine(
            "$pv rehearse /k /i && SAVE_DIR=/var/lib/files $pv service stop && $pv list", line=LINE)
        self.assert_ends(result, INTACT, "a rehearsal is under way")
        self.assertEqual(self.next_boot().status, INTACT)

    def test_a_second_rehearsal_takes_the_place_of_the_first(self):
        self.rehearse("--no-load", "/k")
        first = self.memory.read_bytes()
        self.rehearse("--no-load", "/k")
        self.assertNotEqual(self.memory.read_bytes(), first)
        self.assertEqual(self.next_boot().status, INTACT)


class Fails(RehearseTest):
    def fails(self, first, count):
        self.rehearse("/k", "/i")
        self.overwrite(first, count)
        result = self.next_boot()
        self.assertEqual(result.status, DAMAGED, result)
        text = result.out.decode()
        self.assertIn("state failed\n", text)
        self.assertEqual(re.findall(r"^overwritten (\S+)$", text, re.MULTILINE),
                         [f"{first * 4096:#x}+{count * 4096:#x}"])
        self.assertRegex(text, rf"(?m)^lost {count}$")
        return text

    def test_pages_in_the_middle_are_named(self):
        text = self.fails(HEAD + 100, 7)
        self.assertRegex(text, r"map: +\|\.+#+\.+\|")

    def test_the_first_pages_are_named_where_the_head_is_gone(self):
        self.fails(HEAD, 1)

    def test_all_from_somewhere_on(self):
        self.fails(HEAD + 64, 100)

    def test_where_nothing_is_recognised_at_boot_the_disk_still_knows(self):
        self.rehearse("/k", "/i")
        self.overwrite(HEAD, 40)
        result = self.next_boot("ls /run/pram-verify; $pv rehearse --result")
        self.assertEqual(result.status, DAMAGED, result)
        self.assertIn(f"{START:#x}+{40 * 4096:#x}", result.out.decode())

    def test_on_damage_and_policies_do_not_concern_a_canary(self):
        self.rehearse("/k", "/i")
        self.overwrite(HEAD + 100, 1)
        before = self.memory.read_bytes()
        for word in ("pram_verify.on_damage=halt", "pram_verify.policy=drop", "pram_verify.policy=repair"):
            with self.subTest(word):
                result = self.machine(f"$pv boot; cat {FOLDER}/action", line=f"{LINE} pram={HEAD:x} {word}")
                self.assertIn(b"continue", result.out)
                self.assertEqual(self.memory.read_bytes(), before)

    def test_status_and_doctor_say_so(self):
        self.rehearse("/k", "/i")
        self.overwrite(HEAD + 100, 1)
        text = self.next_boot("$pv rehearse --result; $pv status; $pv doctor").out.decode()
        self.assertIn("last rehearsal: failed", text)
        self.assertRegex(text, r"(?m)^problem +rehearsal +the last rehearsal failed")

    def test_a_kernel_that_is_not_loaded_fails_the_rehearsal(self):
        self.program("kexec", "exit 1")
        result = self.machine("$pv rehearse /k /i")
        self.assertEqual(result.status, FAILED, result)


class Refuses(RehearseTest):
    def test_a_chain_of_files_is_not_written_over(self):
        self.lay()
        before = self.memory.read_bytes()
        result = self.machine("$pv rehearse /k /i")
        self.assert_ends(result, FAILED, "a rehearsal writes over no chain of files")
        self.assertEqual(self.memory.read_bytes(), before)
        self.assertFalse((self.state / "pram-verify-state").exists())

    def test_nor_a_small_one_that_was_saved_over_a_canary(self):
        self.rehearse("--no-load", "/k")
        self.assert_ends(self.machine("$pv save --flat --replace --parity=0 $src"), INTACT)
        before = self.memory.read_bytes()
        self.assert_ends(self.machine("$pv rehearse /k /i"), FAILED, "a rehearsal writes over no chain of files")
        self.assertEqual(self.memory.read_bytes(), before)
        # And no rehearsal is waited for any more.
        self.assert_ends(self.machine("$pv rehearse --result"), FAILED, "nothing was rehearsed")
        result = self.machine("$pv rehearse --result --json")
        report = json.loads(result.out)
        self.assertEqual([error.message for error in validator().iter_errors(report)], [], result)
        self.assertIn("nothing was rehearsed", report["failure"]["message"])

    def test_a_small_damaged_chain_over_a_canary_is_none(self):
        self.rehearse("--no-load", "/k")
        self.assert_ends(self.machine("$pv save --flat --replace --parity=0 $src"), INTACT)
        self.overwrite(HEAD, 1)
        result = self.next_boot(f"cat {FOLDER}/status; ls {FOLDER}")
        self.assertNotIn(b"rehearsal\n", result.out)

    def test_machines_without_a_range(self):
        self.assert_ends(self.machine("$pv rehearse /k", line="quiet"), FAILED, "reserves no memory")

    def test_usage(self):
        for words in ("--result /k", "--json /k", "a b c", "--size=x", "--size=0"):
            with self.subTest(words):
                self.assert_ends(self.machine(f"$pv rehearse {words}"), USAGE)

    def test_without_a_rehearsal_there_is_no_result(self):
        self.assert_ends(self.machine("$pv rehearse --result"), FAILED, "nothing was rehearsed")
