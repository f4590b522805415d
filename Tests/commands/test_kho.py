"""`save --kho` and what goes with it, as far as it can be shown without a kernel that hands memory over: calls that are
refused, and what is said of a kernel that cannot. What such a kernel does with it is in the boot case test_kho."""

from support import DAMAGED, FAILED, INTACT, USAGE
from test_kexec import LINE, KexecTest

NOTE = "head 1234\\nsession pram-verify-00000000-00000000\\n"


class Kho(KexecTest):
    def test_calls_that_contradict_themselves(self):
        for words in ("--kho --again", "--kho --memory=x $src", "--kho --device=/dev/pmem0 $src", "--kho --parity=51 $src",
                      "--kho --region=1M+1M $src", "--kho --size=8M $src", "--kho", "--again $src", "--again --replace"):
            with self.subTest(words):
                result = self.machine(f"$pv save {words}")
                self.assertEqual((result.status, result.out), (USAGE, b""), result)

    def test_a_kernel_that_cannot_is_named_with_what_it_lacks(self):
        for line, words in ((LINE, "kho=on and liveupdate=on are missing"), ("kho=on", "liveupdate=on is missing"),
                            ("liveupdate=on kho=off", "kho=on is missing"), ("kho=on liveupdate=on", "has no support")):
            for command in ("save --kho $src", "save --again"):
                with self.subTest(line, command=command):
                    result = self.machine(f"$pv {command}", line=line)
                    self.assert_ends(result, FAILED, words)
                    self.assertEqual(result.out, b"")

    def test_a_crash_kernel_saves_nothing(self):
        self.assert_ends(self.machine("$pv save --kho $src", line="elfcorehdr=0x1000 kho=on"), FAILED, "crash kernel")

    def test_a_holder_that_is_gone_is_missed(self):
        note = f"mkdir -p /run/pram-verify && printf '{NOTE}process 4194304\\nstarted 1\\n' >/run/pram-verify/held"
        result = self.machine(f"{note} && $pv boot && $pv status; echo $?")
        lines = result.out.decode().splitlines()
        self.assertEqual(lines[-1], str(DAMAGED), result)
        self.assertRegex(lines[-2], "^held:    no: process 4194304, which held session .* is gone")

    def test_a_number_that_another_process_has_now_is_no_holder(self):
        note = f"mkdir -p /run/pram-verify && printf '{NOTE}process 1\\nstarted 1\\n' >/run/pram-verify/held"
        result = self.machine(f"{note} && $pv boot && $pv status; echo $?")
        self.assertEqual(result.out.decode().splitlines()[-1], str(DAMAGED), result)

    def test_what_was_given_back_is_missed_by_nobody(self):
        note = f"mkdir -p /run/pram-verify && printf '{NOTE}released yes\\n' >/run/pram-verify/held"
        result = self.machine(f"{note} && $pv boot && $pv status >/dev/null && $pv check", line=f"{LINE} pram=1234")
        self.assertEqual(result.status, INTACT, result)
        self.assertIn(b"was loaded, and its memory given back", result.out)

    def test_what_was_given_back_before_another_one_was_saved_is_missed_by_nobody(self):
        note = (f"mkdir -p /run/pram-verify && printf '{NOTE}process 4194304\\nstarted 1\\ngiven-back 7 5678\\n' "
                ">/run/pram-verify/held")
        given_back = self.machine(f"{note} && $pv check", line=f"{LINE} pram=5678")
        self.assertEqual(given_back.status, INTACT, given_back)
        self.assertIn(b"was loaded, and its memory given back", given_back.out)
        other = self.machine(f"{note} && $pv check", line=f"{LINE} pram=5679")
        self.assertNotIn(b"given back", other.out, other)

    def test_a_head_alone_is_taken_with_nothing_besides(self):
        for words in ("--early", "--early $src", "--kho --early $src", "--kho --early --replace", "--kho --early --stdin=x",
                      "--kho --early --parity=5", "--kho --early --dry-run"):
            with self.subTest(words):
                result = self.machine(f"$pv save {words}")
                self.assertEqual((result.status, result.out), (USAGE, b""), result)
        result = self.machine("$pv save --kho --early", line="kho=on liveupdate=on")
        self.assert_ends(result, FAILED, "has no support")
        self.assertEqual(result.out, b"")

    def test_a_head_whose_holder_is_gone_is_not_handed_on(self):
        note = (f"mkdir -p /run/pram-verify && printf '{NOTE}process 4194304\\nstarted 1\\nearly yes\\n' "
                ">/run/pram-verify/held")
        result = self.machine(f"{note} && $pv cmdline", line=LINE)
        self.assertEqual(result.status, DAMAGED, result)
        self.assertNotIn(b"pram=", result.out)
        self.assertIn(b"is gone", result.err)

    def test_a_save_that_was_killed_keeps_no_promise(self):
        # The process is this shell, which is no holder, but lives.
        note = ("mkdir -p /run/pram-verify && read -r line </proc/$$/stat && set -- ${line##*) } && "
                f"printf '{NOTE}process %s\\nstarted %s\\nearly yes\\nbegun yes\\n' $$ ${{20}} >/run/pram-verify/held")
        result = self.machine(f"{note}; $pv cmdline; echo $?; $pv boot; $pv status; echo $?", line=LINE)
        self.assertNotIn(b"pram=", result.out, result)
        self.assertEqual(result.out.decode().splitlines()[1], str(DAMAGED), result)
        self.assertIn(b"did not come to its end", result.out + result.err)
        self.assertEqual(result.out.decode().splitlines()[-1], str(DAMAGED), result)

    def test_what_nobody_can_replace_is_no_answer(self):
        result = self.machine("$pv boot; mount --bind /run/pram-verify /run/pram-verify; "
                              "mount -o remount,bind,ro /run/pram-verify; $pv status; echo $?", line=LINE)
        self.assertEqual(result.out.decode().splitlines()[-1], str(DAMAGED), result)
        self.assertIn(b"/run/pram-verify is read-only", result.err)
