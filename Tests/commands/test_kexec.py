"""`kexec` and `service`, on a made-up machine, with programs in their PATH that note how they are called; and the scripts
that call them."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

import chain
from support import DAMAGED, FAILED, INTACT, ROOT, USAGE
from test_boot import FOLDER, HEAD, MEMORY, RESERVED, START, BootTest

PRAM = f"pram={HEAD:x}"
LINE = f"{RESERVED} nokaslr quiet"

# Notes its words, and loads or unloads, as long as $FAILS is not among them.
KEXEC = """for word; do printf "[%s]" "$word"; done >>"$CALLS"; echo >>"$CALLS"
case " $* " in *"${FAILS:-never}"*) exit 1 ;; esac
case " $* " in *" -u "*) echo 0 ;; *) echo 1 ;; esac >/sys/kernel/kexec_loaded
eval "${AFTERWARDS:-}"
"""


class KexecTest(BootTest):
    def setUp(self):
        super().setUp()
        self.calls = self.scratch / "calls"
        self.calls.write_text("")
        self.memory = self.scratch / "memory"
        with open(self.memory, "wb") as file:
            file.truncate(MEMORY)
        self.programs = self.scratch / "programs"
        self.programs.mkdir()
        self.program("kexec", KEXEC)
        self.jobs("kexec.target")
        self.source = self.scratch / "source"
        self.source.mkdir()
        (self.source / "one").write_bytes(b"1" * 5000)
        (self.source / "two").write_bytes(b"two")

    def program(self, name, text):
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def jobs(self, *targets):
        """What systemctl list-jobs says; like it, of the units alone that it is asked for."""
        rows = "".join(f'case " $* " in *" {name} "*) echo "7 {name} start waiting" ;; esac\n' for name in targets)
        self.program("systemctl", f'[ "$1" = list-jobs ] || exit 1\n{rows}echo "{len(targets)} jobs listed."')

    def machine(self, script, line=LINE, loaded=0):
        """Runs a script on the machine; $pv is the program, $src a directory with two files."""
        setup = (f"mkdir -p /sys/kernel && echo {loaded} >/sys/kernel/kexec_loaded && export CALLS={self.calls} "
                 f"PATH={self.programs}:$PATH src={self.source} && ")
        return self.apart(line, setup + "{ " + script + "; }", machine=True)

    def loads(self):
        return [line for line in self.calls.read_text().splitlines() if "[-l]" in line]

    def assert_ends(self, result, status, *said):
        self.assertEqual(result.status, status, result)
        for text in said:
            self.assertIn(text.encode(), result.err)

    def assert_loaded(self, line, *options, kernel="[/k]", initrd="[--initrd=/i]"):
        words = "".join(f"[{option}]" for option in options)
        self.assertEqual(self.loads(), [f"{words}[-l]{kernel}{initrd}[--command-line={line}]"])


class Loads(KexecTest):
    def test_with_the_chain(self):
        self.lay()
        self.assert_ends(self.machine(f"$pv kexec /k /i && cat {FOLDER}/loaded"), INTACT, "loaded /k", "5 files")
        self.assert_loaded(f"{LINE} {PRAM}", "-s")

    def test_the_note_names_what_was_loaded(self):
        self.lay()
        result = self.machine(f"$pv kexec '/k k' && cat {FOLDER}/loaded && stat -c %a {FOLDER}/loaded")
        self.assert_loaded(f"{LINE} {PRAM}", "-s", kernel="[/k k]", initrd="")
        lines = result.out.decode().splitlines()
        self.assertRegex(lines[0], r"^time \d+$")
        self.assertEqual(lines[1:], ["kernel /k k", f"line {LINE} {PRAM}", "644"])

    def test_no_chain_is_no_failure(self):
        self.assert_ends(self.machine("$pv kexec /k /i"), INTACT, "no chain", "without a chain")
        self.assert_loaded(LINE)

    def test_options_of_the_line(self):
        self.lay()
        self.machine(f"$pv kexec --cmdline 'x=\"a  b\" {RESERVED} nokaslr' --append=more --remove=x /k")
        self.assert_loaded(f"{RESERVED} nokaslr more {PRAM}", "-s", initrd="")

    def test_empty_initrd_is_none(self):
        self.machine("$pv kexec /k ''")
        self.assert_loaded(LINE, initrd="")

    def test_a_chain_that_does_not_qualify(self):
        self.lay(flip=True)
        self.assert_ends(self.machine("$pv kexec /k /i"), DAMAGED, "damaged", "no kernel is loaded", "--without-chain")
        self.assertEqual(self.loads(), [])
        self.assert_ends(self.machine("$pv kexec --without-chain /k /i"), INTACT, "without a chain")
        self.assert_loaded(LINE)

    def test_one_that_the_next_line_does_not_reserve(self):
        self.lay()
        self.assert_ends(self.machine("$pv kexec --remove=memmap /k"), DAMAGED, "not reserved by the new command line")
        self.assertEqual(self.loads(), [])

    def test_memory_that_cannot_be_looked_at(self):
        self.lay()
        hidden = "umount /dev/mem && rm /dev/mem && umount /proc/kcore 2>/dev/null; mount --bind /dev/null /proc/kcore;"
        for words, status, loads in (("", FAILED, 0), ("--without-chain", INTACT, 1)):
            with self.subTest(words):
                self.calls.write_text("")
                result = self.machine(f"{hidden} $pv kexec {words} /k /i", line=f"{LINE} {PRAM}")
                self.assert_ends(result, status, "could not be looked at")
                self.assertEqual(len(self.loads()), loads)

    def test_kexec_that_fails(self):
        self.lay()
        result = self.machine("FAILS=-s $pv kexec /k /i")
        self.assert_ends(result, FAILED, "kexec did not load the kernel so that the chain lives")
        self.assertEqual(len(self.loads()), 1)
        self.calls.write_text("")
        self.assert_ends(self.machine("FAILS=-s $pv kexec --without-chain /k /i"), INTACT)
        self.assertEqual(self.loads()[-1], f"[-l][/k][--initrd=/i][--command-line={LINE}]")

    def test_the_other_system_call_where_there_is_no_chain(self):
        self.program("kexec", KEXEC.replace('case " $* " in *"${', 'case "$1" in -l) exit 1 ;; esac; case " $* " in *"${'))
        self.assert_ends(self.machine("$pv kexec /k"), INTACT)
        self.assertEqual(self.loads()[1:], [f"[-s][-l][/k][--command-line={LINE}]"])
        self.calls.write_text("")
        self.assert_ends(self.machine("FAILS=-l $pv kexec /k"), FAILED)

    def test_a_kernel_that_is_not_loaded_after_all(self):
        self.assert_ends(self.machine("AFTERWARDS='echo 0 >/sys/kernel/kexec_loaded' $pv kexec /k"), FAILED)

    def test_a_chain_that_does_not_outlive_the_loading(self):
        self.lay()
        broken = f"AFTERWARDS='printf x | dd of=/dev/mem bs=1 seek={START + 100} conv=notrunc 2>/dev/null'"
        result = self.machine(f"{broken} $pv kexec /k; echo $?; cat /sys/kernel/kexec_loaded {FOLDER}/loaded")
        self.assertEqual(result.out.decode().splitlines(), ["4", "0"], result)
        self.assertIn(b"did not outlive", result.err)
        self.assertIn("[-u]", self.calls.read_text())

    def test_without_kexec(self):
        (self.programs / "kexec").unlink()
        result = self.machine(f"ln -s $(command -v true) {self.programs}/true; PATH={self.programs} $pv kexec /k")
        self.assert_ends(result, FAILED, "kexec: exec: No such file", "kexec-tools")

    def test_if_chain(self):
        self.assert_ends(self.machine("$pv kexec --if-chain /k"), INTACT)
        self.assertEqual(self.loads(), [])
        self.lay()
        self.assert_ends(self.machine("$pv kexec --if-chain /k /i"), INTACT)
        self.assert_loaded(f"{LINE} {PRAM}", "-s")

    def test_wrong_usage(self):
        for words in ("", "/k /i /x", "--without-chain --if-chain /k", "--kexec-file --kexec-load /k", "--json /k",
                      "--memory=x /k"):
            self.assert_ends(self.machine(f"$pv kexec {words}"), USAGE)
        self.assertEqual(self.calls.read_text(), "")


class Notes(KexecTest):
    """What was saved last is what is handed on."""

    def test_after_a_save(self):
        result = self.machine(f"$pv save $src && cat {FOLDER}/saved && stat -c %a {FOLDER}/saved && $pv kexec /k")
        self.assert_ends(result, INTACT)
        self.assertRegex(result.out.decode(), rf"{PRAM}\nstate saved\ntime \d+\nhead {HEAD:x}\ngeneration [0-9a-f]+\n600")
        self.assert_loaded(f"{LINE} {PRAM}", "-s", initrd="")

    def failing(self, then):
        """A chain that was saved, and then a save that fails, of files that are too large."""
        return self.machine(f"$pv save $src >/dev/null && head -c 2000000 /dev/zero | tr '\\0' x >$src/large && "
                            f"! $pv save --replace $src 2>/dev/null && {{ {then}; }}")

    def test_after_a_save_that_failed(self):
        result = self.failing(f"cat {FOLDER}/saved; $pv kexec /k")
        self.assert_ends(result, DAMAGED, "the last save failed", "--pfn=")
        self.assertIn(b"state failed\n", result.out)
        self.assertIn(b"reason the files need", result.out)
        self.assertEqual(self.loads(), [])

    def test_the_line_after_a_save_that_failed(self):
        result = self.failing("$pv cmdline")
        self.assert_ends(result, DAMAGED, "the last save failed")
        self.assertEqual(result.out, f"{LINE}\n".encode())

    def test_a_save_that_succeeds_ends_it(self):
        result = self.failing("rm $src/large; $pv save --replace $src && $pv cmdline")
        self.assert_ends(result, INTACT)
        self.assertEqual(result.out, f"{PRAM}\n{LINE} {PRAM}\n".encode())

    def test_a_head_that_is_named_is_meant(self):
        self.assert_ends(self.failing(f"$pv kexec --pfn={HEAD:x} /k"), INTACT)
        self.assert_loaded(f"{LINE} {PRAM}", "-s", initrd="")

    def test_a_save_that_did_not_end(self):
        self.lay()
        result = self.machine(f"mkdir -p {FOLDER} && echo state unfinished >{FOLDER}/saved && $pv kexec /k")
        self.assert_ends(result, DAMAGED, "did not come to its end")

    def test_another_chain_than_the_last_one(self):
        result = self.machine("$pv save $src && cp /dev/mem $src/../old && $pv save --replace $src && "
                              "cat $src/../old >/dev/mem && $pv kexec /k")
        self.assert_ends(result, DAMAGED, "not the chain that was saved last")

    def test_erase_takes_the_note_away(self):
        result = self.machine(f"$pv save $src && $pv erase && ! test -e {FOLDER}/saved && $pv kexec /k")
        self.assert_ends(result, INTACT, "without a chain")
        self.assert_ends(self.failing("$pv erase && $pv cmdline"), INTACT)

    def test_a_chain_that_is_gone(self):
        result = self.machine(f"$pv save $src && dd if=/dev/zero of=/dev/mem bs=4096 seek={HEAD} count=1 conv=notrunc "
                              "2>/dev/null && $pv kexec /k")
        self.assert_ends(result, DAMAGED, "not there any more")

    def test_drop_changes_it_on_purpose(self):
        result = self.machine(f"$pv save $src && cp {FOLDER}/saved $src/../note && "
                              f"printf x | dd of=/dev/mem bs=1 seek={START + 2 * chain.PAGE + 9} conv=notrunc "
                              "2>/dev/null && { $pv drop; [ $? = 1 ]; } && $pv kexec /k")
        self.assert_ends(result, INTACT)

    def test_saved_after_a_kernel_was_loaded(self):
        result = self.machine("$pv kexec /k && $pv save $src && { $pv cmdline --check-loaded >/dev/null; }")
        self.assert_ends(result, DAMAGED, "a kernel is loaded already", "the loaded kernel's line has no pram=",
                         "load it once more")

    def test_saved_again_after_a_kernel_was_loaded_that_knows_the_place(self):
        result = self.machine("$pv save $src && $pv kexec /k && $pv save --replace $src && "
                              "$pv cmdline --check-loaded")
        self.assert_ends(result, INTACT)
        self.assertNotIn(b"already", result.err)

    def test_loaded_by_another_program(self):
        result = self.machine("$pv save $src && $pv cmdline --check-loaded", loaded=1)
        self.assert_ends(result, INTACT, "cannot be known")

    def test_loaded_by_another_program_after_ours_was_unloaded(self):
        """As kexec-load-kernel does, which asks for a chain first."""
        result = self.machine("$pv save $src && $pv kexec /k && echo 0 >/sys/kernel/kexec_loaded && $pv erase && "
                              "$pv kexec --if-chain /k; echo 1 >/sys/kernel/kexec_loaded; "
                              f"test ! -e {FOLDER}/loaded && $pv save $src && $pv cmdline --check-loaded")
        self.assert_ends(result, INTACT, "cannot be known")

    def test_a_boot_leaves_the_notes(self):
        result = self.machine(f"$pv save $src && $pv kexec /k && $pv check >/dev/null && ls {FOLDER}")
        self.assertIn("loaded\n", result.out.decode())
        self.assertIn("saved\n", result.out.decode())

    def test_an_image_is_not_this_machine(self):
        result = self.machine(f"$pv save --memory=$src/../image --size=1M $src && ! test -e {FOLDER}/saved")
        self.assert_ends(result, INTACT)


class Service(KexecTest):
    def stop(self, before="true", after="true", line=LINE, loaded=0, **settings):
        settings = {"SAVE_DIR": str(self.source), "KEXEC_KERNEL": "/k", "KEXEC_INITRD": "/i", **settings}
        words = " ".join(f"{name}='{value}'" for name, value in settings.items() if value is not None)
        return self.machine(f"{before}; {words} $pv service stop; status=$?; {after}; exit $status", line, loaded)

    def start(self, line, before="true", **settings):
        words = " ".join(f"{name}='{value}'" for name, value in settings.items())
        return self.machine(f"{before}; LOAD_DIR={self.scratch}/restored {words} $pv service start", line)

    def restored(self):
        folder = self.scratch / "restored"
        return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else None

    def head(self):
        with open(self.memory, "rb") as file:
            file.seek(START)
            return file.read(chain.PAGE)

    def test_saves_and_loads_again(self):
        self.assert_ends(self.stop(), INTACT, "saved 2 files", f"at page {HEAD:#x}", "loaded /k")
        self.assert_loaded(f"{LINE} {PRAM}", "-s")

    def test_nothing_on_another_way(self):
        self.jobs("reboot.target")
        result = self.stop()
        self.assertEqual((result.status, result.out, result.err, self.loads()), (INTACT, b"", b"", []))
        self.assertEqual(self.head(), bytes(chain.PAGE))

    def test_targets(self):
        self.jobs("reboot.target")
        self.assert_ends(self.stop(SAVE_TARGETS="kexec.target  reboot.target", KEXEC_KERNEL=None), INTACT, "saved 2")
        self.assertEqual(self.loads(), [])

    def test_where_systemctl_does_not_answer(self):
        self.program("systemctl", "exit 1")
        self.assert_ends(self.stop(), FAILED, "nothing is saved")
        self.assertEqual(self.head(), bytes(chain.PAGE))

    def test_crash_kernel(self):
        self.assert_ends(self.stop(line=LINE + " elfcorehdr=1"), INTACT, "crash kernel")
        self.assertEqual(self.head(), bytes(chain.PAGE))

    def too_large(self):
        (self.source / "large").write_bytes(b"x" * 2_000_000)

    def test_a_save_that_fails_leaves_no_older_files(self):
        self.lay()
        self.too_large()
        result = self.stop(INVOCATION_ID="x")
        self.assert_ends(result, FAILED, "the files need", "<3>pram-verify: saving", "the older chain was erased")
        self.assertEqual((self.head(), self.loads()), (bytes(chain.PAGE), []))

    def test_options_of_save_that_erase_does_not_have(self):
        self.lay()
        self.too_large()
        self.stop(SAVE_OPTIONS=f'--replace --force "--region={START:#x}+1M"')
        self.assertEqual(self.head(), bytes(chain.PAGE))

    def test_without_replace_the_older_chain_stays(self):
        self.lay()
        before = self.head()
        self.assert_ends(self.stop(SAVE_OPTIONS=""), FAILED, "holds a chain already")
        self.assertEqual(self.head(), before)

    def test_the_only_copy_stays_where_there_is_nothing_to_save(self):
        self.lay()
        before = self.head()
        for path in self.source.iterdir():
            path.unlink()
        self.assert_ends(self.stop(), FAILED, "holds nothing that can be saved")
        self.assertEqual(self.head(), before)

    def test_options_that_are_none(self):
        self.assert_ends(self.stop(SAVE_OPTIONS="--nothing"), USAGE, "--nothing")

    def test_usual_kernel_where_it_exists(self):
        kernels = f"touch {self.scratch}/k && mount --bind {self.scratch} /mnt"
        result = self.stop(kernels, KEXEC_KERNEL=None, KEXEC_INITRD=None)
        usual = pathlib.Path("/vmlinuz").exists()
        if usual:
            self.assertEqual(result.status, INTACT, result)
            self.assertIn("[/vmlinuz]", self.loads()[0])
        else:
            self.assert_ends(result, DAMAGED, "they will not arrive")
            self.assertEqual(self.loads(), [])

    def test_none_is_to_be_loaded(self):
        self.assert_ends(self.stop(KEXEC_KERNEL=""), DAMAGED, "they will not arrive")
        self.assertEqual(self.loads(), [])

    def test_what_was_loaded_before_is_loaded_again(self):
        before = "$pv kexec --append=own /own /its"
        self.assert_ends(self.stop(before, KEXEC_KERNEL=None, KEXEC_INITRD=None), INTACT)
        own = "[-l][/own][--initrd=/its]"
        self.assertEqual(self.loads(), [f"{own}[--command-line={LINE} own]",
                                        f"[-s]{own}[--command-line={LINE} own {PRAM}]"])

    def test_what_was_loaded_with_the_chain_stays(self):
        before = "$pv save $src && $pv kexec /own"
        self.assert_ends(self.stop(before, KEXEC_KERNEL=None), INTACT)
        self.assertEqual(len(self.loads()), 1)

    def test_a_kernel_that_cannot_be_loaded(self):
        self.assert_ends(self.stop("export FAILS=-l"), FAILED, "they will not arrive")

    def test_restores(self):
        self.lay([chain.File("one", b"1" * 5000)])
        self.assert_ends(self.start(f"{LINE} {PRAM}"), INTACT, "restored 1 file")
        self.assertEqual(self.restored(), {"one": b"1" * 5000})
        self.assertEqual(self.head(), bytes(chain.PAGE))

    def test_the_line_is_read_as_the_kernel_reads_it(self):
        """Quotes within a word, which systemd reads in another way; and what is behind -- is init's."""
        self.lay([chain.File("one", b"1")])
        self.assert_ends(self.start(f'{LINE} x="a {PRAM}" y'), INTACT, "no chain")
        self.assert_ends(self.start(f"{LINE} -- {PRAM}"), INTACT, "no chain")
        self.assertIsNone(self.restored())
        self.assert_ends(self.start(f'{LINE} x="a\' b" "{PRAM}"'), INTACT, "restored 1 file")

    def test_nothing_to_restore(self):
        self.assert_ends(self.start(LINE), INTACT, "no chain")
        self.assert_ends(self.start(f"{LINE} {PRAM}"), INTACT, "the range is empty")
        self.assert_ends(self.start(f"{LINE} {PRAM}", f"mkdir -p {FOLDER} && echo empty >{FOLDER}/status"), INTACT,
                         "the range is empty")
        self.assert_ends(self.start(f"{LINE} {PRAM} elfcorehdr=1"), INTACT, "crash kernel")
        self.assertIsNone(self.restored())

    def test_a_damaged_chain_stays(self):
        self.lay(flip=True)
        before = self.head()
        self.assert_ends(self.start(f"{LINE} {PRAM}"), DAMAGED, "the chain stays")
        self.assertEqual(self.head(), before)

    def test_wrong_usage(self):
        for words in ("", "restart", "start stop", "start --force"):
            self.assert_ends(self.machine(f"$pv service {words}"), USAGE)


class Scripts(unittest.TestCase):
    """The shell scripts, with programs in their PATH that note how they are called."""

    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="pram-verify-test-"))
        self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)
        self.calls = self.scratch / "calls"
        self.program("pram-verify", 'for w; do printf "[%s]" "$w"; done >>"$CALLS"; echo >>"$CALLS"\n'
                                    'exit "${STATUS:-0}"')

    def program(self, name, text):
        path = self.scratch / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def run_script(self, *words, status=0, **variables):
        self.calls.write_text("")
        done = subprocess.run(
            ["sh", *words], env={"PATH": f"{self.scratch}:/usr/bin:/bin", "CALLS": str(self.calls), **variables},
            stdin=subprocess.DEVNULL, capture_output=True, timeout=10)
        self.assertEqual(done.returncode, status, done)
        self.went_on = b"went on" in done.stdout
        return self.calls.read_text().splitlines()

    def test_the_short_name(self):
        script = str(ROOT / "kexec/pram-verify-kexec")
        self.assertEqual(self.run_script(script, "--cmdline", 'x="a  b"', "/k k", status=4, STATUS="4"),
                         ['[kexec][--cmdline][x="a  b"][/k k]'])

    def snippet(self, script="kexec-load", action="stop", settings="LOAD_KEXEC=true KERNEL_IMAGE=/k INITRD=/i",
                **variables):
        """What Debian's scripts do: source the settings, then the snippet, and go on."""
        path = self.scratch / script
        path.write_text(f". {self.scratch}/settings\n. {ROOT}/kexec/pram-verify\necho went on\n")
        (self.scratch / "settings").write_text("\n".join(settings.split(" ")) + "\n")
        words = [action] if action else []
        return self.run_script(str(path), *words, **variables)

    def test_debian_12(self):
        self.program("systemctl", "echo 1 reboot.target start waiting")
        self.program("runlevel", "echo N 6")
        self.assertEqual(self.snippet(), ["[kexec][--if-chain][/k][/i]"])
        self.assertEqual(self.snippet(settings="LOAD_KEXEC=true KERNEL_IMAGE=/k APPEND=own"),
                         ["[kexec][--if-chain][--cmdline][own][/k]"])
        self.assertEqual(self.snippet(settings="LOAD_KEXEC=true KERNEL_IMAGE=/k APPEND=own USE_GRUB_CONFIG=true"),
                         ["[kexec][--if-chain][/k]"])
        for settings in ("LOAD_KEXEC=false KERNEL_IMAGE=/k", "KERNEL_IMAGE=/k"):
            self.assertEqual(self.snippet(settings=settings), [])
        self.assertEqual(self.snippet(action="start"), [])
        self.assertEqual(self.snippet(script="kexec"), [])
        # The shutdown goes on, whatever becomes of the chain.
        self.snippet(STATUS="4")
        self.assertTrue(self.went_on)
        self.program("systemctl", "echo No jobs listed.")
        self.program("runlevel", "echo N 0")
        self.assertEqual(self.snippet(), [])

    def test_debian_13(self):
        settings = "KERNEL_IMAGE=/k INITRD=/i APPEND="
        call = {"script": "kexec-load-kernel", "action": None, "settings": settings}
        self.assertEqual(self.snippet(**call), ["[kexec][--if-chain][/k][/i]"])
        self.assertTrue(self.went_on)
        # Whoever calls it can still help a chain that cannot be handed on.
        for status in (4, 8):
            self.snippet(**call, status=status, STATUS=str(status))
            self.assertFalse(self.went_on)
        self.assertEqual(self.snippet(**{**call, "settings": settings + "x USE_GRUB_CONFIG=true"}),
                         ["[kexec][--if-chain][/k][/i]"])

    def test_debian_takes_the_name(self):
        """run-parts passes over names with a dot."""
        command = ["run-parts", "--list", str(ROOT / "kexec")]
        listed = subprocess.run(command, capture_output=True, text=True, check=True)
        self.assertIn(f"{ROOT}/kexec/pram-verify\n", listed.stdout)

    def test_no_unit_holds_shell(self):
        units = list((ROOT / "systemd").glob("*.service"))
        self.assertEqual([unit.name for unit in units], ["pram-verify.service"])
        for unit in units:
            for line in unit.read_text().splitlines():
                if line.startswith(("Exec", "Condition", "Assert")):
                    self.assertRegex(line, r"^Exec(Start=-?|Stop=)pram-verify service (start|stop)$", unit)
                self.assertFalse(line.endswith("\\"), unit)


if __name__ == "__main__":
    unittest.main()
