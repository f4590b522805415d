"""Completion of calls, in the shells themselves: keys are typed into them, and their line is read."""

import os
import pty
import re
import select
import signal
import subprocess
import time

from support import PROGRAM, ROOT, CommandTest

# udev's names of partitions: one with a blank, and one that a shell must not run.
LABELS = ["scratch", r"swap\x20space", r"$(touch\x20pwned)"]
SHOW = "\x07"


class Shell:
    """A shell at a terminal. Its prompt is never looked at: a key shows its line between marks."""

    def __init__(self, command, folder, setup):
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            os.chdir(folder)
            environment = {"PATH": f"{folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder), "TERM": "dumb",
                           "LC_ALL": "C.UTF-8", "COLUMNS": "4000", "LINES": "50"}
            os.execvpe(command[0], command, environment)
        subprocess.run(["stty", "cols", "4000"], stdin=self.terminal, check=True)
        self.send(setup + "\n")
        self.said("ready")

    def send(self, text):
        os.write(self.terminal, text.encode())

    def said(self, what=r"[^>]*"):
        """What stands between the next marks."""
        text, end = "", time.monotonic() + 20
        while time.monotonic() < end:
            if select.select([self.terminal], [], [], 0.5)[0]:
                text += os.read(self.terminal, 65536).decode(errors="replace")
            found = re.search(rf"<<({what})>>", text)
            if found:
                return found[1]
        raise AssertionError(f"no answer: {text[-500:]!r}")

    def line(self, keys):
        """The line once the keys were typed. The line is left empty."""
        self.send(keys)
        time.sleep(0.4)
        self.send(SHOW)
        line = self.said()
        self.send("\x15")
        return line

    def end(self):
        os.kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)
        os.close(self.terminal)


class CompletionTest(CommandTest):
    def setUp(self):
        super().setUp()
        (self.scratch / "bin").mkdir()
        (self.scratch / "bin/pram-verify").symlink_to(PROGRAM)
        (self.scratch / "memory.img").write_bytes(b"")
        (self.scratch / "folder").mkdir()

    def file(self, shell, name):
        result = self.run_program_raw(shell)
        path = self.scratch / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(result)
        return path

    def run_program_raw(self, shell):
        """Tabs stand between the fields, so not every byte is printable."""
        done = subprocess.run([PROGRAM, "complete", shell], capture_output=True, timeout=20)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout

    def apart(self, *command):
        """In a mount namespace whose disks have labels."""
        devices = self.scratch / "devices"
        devices.mkdir()
        steps = ["mount --make-rprivate /", f"mount -t tmpfs none {devices}", f"mkdir {devices}/pts {devices}/shm",
                 f"mount --rbind /dev/pts {devices}/pts",
                 f"for name in null zero urandom random tty ptmx; do touch {devices}/$name; "
                 f"mount --bind /dev/$name {devices}/$name; done", f"ln -s /proc/self/fd {devices}/fd",
                 f"mkdir -p {devices}/disk/by-partlabel", f"cd {devices}/disk/by-partlabel",
                 *[f"ln -s ../../pmem{number} '{name}'" for number, name in enumerate(LABELS)],
                 f"cd {self.scratch}", f"mount -n --move {devices} /dev"]
        return ["unshare", "-m", "sh", "-c", " && ".join(steps) + ' && exec "$@"', "sh", *command]

    def assert_nothing_ran(self):
        self.assertFalse((self.scratch / "pwned").exists())


class Typed(CompletionTest):
    """What bash and zsh make of the keys."""

    def shell(self):
        raise NotImplementedError

    def check(self, shell):
        for keys, line in (
                ("pram-verify qua\t", "pram-verify quarantine "),
                ("pram-verify image app\t", "pram-verify image append "),
                ("pram-verify check --links\t", "pram-verify check --links-only "),
                ("pram-verify --links\t", "pram-verify --links-only "),
                ("pram-verify load --parity\t", "pram-verify load --parity"),  # not an option of load
                ("pram-verify save --pari\t", "pram-verify save --parity="),
                ("pram-verify check --memory=mem\t", "pram-verify check --memory=memory.img "),
                ("pram-verify check --memory mem\t", "pram-verify check --memory memory.img "),
                ("pram-verify check --memory=au\t", "pram-verify check --memory=auto "),
                ("pram-verify image list mem\t", "pram-verify image list memory.img "),
                ("pram-verify save fol\t", "pram-verify save folder/"),
                ("pram-verify save mem\t", "pram-verify save mem"),  # a file is no directory
                ("pram-verify image make --flavour=sys\t", "pram-verify image make --flavour=systemd "),
                ("pram-verify image append --flavour=in\t", "pram-verify image append --flavour=initramfs-tools "),
                ("pram-verify image append --flavour mk\t", "pram-verify image append --flavour mkinitcpio "),
                ("pram-verify image make --compress=\t", "pram-verify image make --compress=gzip "),
                ("pram-verify image make --flavour=mem\t", "pram-verify image make --flavour=mem"),  # no file
                ("pram-verify image list -l --seg\t", "pram-verify image list -l --segments "),
                ("pram-verify service sto\t", "pram-verify service stop "),
                ("pram-verify save --device=PARTL\t", "pram-verify save --device=PARTLABEL="),
                ("pram-verify save --device=PARTLABEL=scr\t", "pram-verify save --device=PARTLABEL=scratch "),
                ("pram-verify save --device PARTLABEL=scr\t", "pram-verify save --device PARTLABEL=scratch "),
                ("pram-verify save --device=PARTLABEL=swap\t", r"pram-verify save --device=PARTLABEL=swap\ space "),
                ("pram-verify save --device=PARTLABEL=\\$\t",
                 r"pram-verify save --device=PARTLABEL=\$\(touch\ pwned\) ")):
            with self.subTest(keys):
                self.assertEqual(shell.line(keys).rstrip(" ="), line.rstrip(" ="))
        self.assert_nothing_ran()


class Bash(Typed):
    def test_typed(self):
        path = self.file("bash", "pram-verify.bash")
        shell = Shell(self.apart("bash", "--norc", "--noprofile", "-i"), self.scratch,
                      f". /usr/share/bash-completion/bash_completion; . {path}; "
                      r"""bind 'set enable-bracketed-paste off'; bind -x '"\C-g": printf "<<%s>>" "$READLINE_LINE"'; """
                      r"""printf '<<%s>>' ready""")
        self.addCleanup(shell.end)
        self.check(shell)
        # All that there is.
        words = shell.line("pram-verify \x1b*").split()
        self.assertEqual(set(words[1:]), self.first_words())
        words = shell.line("pram-verify image \x1b*").split()
        self.assertEqual(set(words[2:]), {"list", "check", "append", "make", "extract"})

    def first_words(self):
        text = self.run_program("--help").out.decode()
        words = set(re.findall(r"^  ([a-z]+) ", text, re.MULTILINE))
        self.assertGreater(len(words), 10)
        return words

    def test_bash_completion_finds_it_where_it_is_installed(self):
        tree = self.scratch / "tree"
        subprocess.run(["make", "-s", "install", f"DESTDIR={tree}", "prefix=/usr", f"PROGRAM={PROGRAM}"], cwd=ROOT,
                       check=True, capture_output=True)
        installed = {str(path.relative_to(tree)) for path in tree.rglob("*pram-verify*") if path.is_file()}
        for name in ("usr/share/bash-completion/completions/pram-verify", "usr/share/zsh/site-functions/_pram-verify",
                     "usr/share/fish/vendor_completions.d/pram-verify.fish"):
            self.assertIn(name, installed)
        done = subprocess.run(
            ["bash", "--norc", "--noprofile", "-c", ". /usr/share/bash-completion/bash_completion; "
             "_completion_loader pram-verify; complete -p pram-verify"], capture_output=True, text=True, timeout=20,
            env={"PATH": "/usr/bin:/bin", "XDG_DATA_DIRS": f"{tree}/usr/share", "HOME": str(self.scratch)})
        self.assertEqual(done.stdout, "complete -F _pram_verify pram-verify\n", done)


class Zsh(Typed):
    def test_typed(self):
        path = self.file("zsh", "functions/_pram-verify")
        shell = Shell(self.apart("zsh", "-f", "-i"), self.scratch,
                      f"fpath=({path.parent} $fpath); autoload -U compinit; compinit -u -D; unsetopt beep; "
                      "show() { print -rn -- \"<<$BUFFER>>\" }; zle -N show; bindkey '^G' show; bindkey '^U' kill-whole-line;"
                      " printf '<<%s>>' ready")
        self.addCleanup(shell.end)
        self.check(shell)


class Fish(CompletionTest):
    def complete(self, line):
        path = self.scratch / "pram-verify.fish"
        quoted = line.replace("\\", "\\\\").replace("'", "\\'")
        done = subprocess.run(
            self.apart_once("fish", "--no-config", "-c", f"source {path}; complete -C '{quoted}'"), cwd=self.scratch,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.scratch), "LC_ALL": "C.UTF-8", "TERM": "dumb"})
        self.assertEqual(done.stderr, "", done)
        return [row.split("\t")[0] for row in done.stdout.splitlines()]

    def apart_once(self, *command):
        if (self.scratch / "devices").exists():
            os.rmdir(self.scratch / "devices")
        return self.apart(*command)

    def test_completed(self):
        self.file("fish", "pram-verify.fish")
        for line, words in (
                ("pram-verify qua", ["quarantine"]),
                ("pram-verify image ", ["append", "check", "extract", "list", "make"]),
                ("pram-verify check --links", ["--links-only"]),
                ("pram-verify --links", ["--links-only"]),
                ("pram-verify save --pari", ["--parity="]),
                ("pram-verify check --memory=mem", ["--memory=memory.img"]),
                ("pram-verify check --memory mem", ["memory.img"]),
                ("pram-verify check --memory=au", ["--memory=auto"]),
                ("pram-verify image list mem", ["memory.img"]),
                ("pram-verify save fol", ["folder/"]),
                ("pram-verify save mem", []),
                ("pram-verify image make --flavour=sys", ["--flavour=systemd"]),
                ("pram-verify image list -l --seg", ["--segments"]),
                ("pram-verify service sto", ["stop"]),
                ("pram-verify save --device=PARTL", ["--device=PARTLABEL="]),
                ("pram-verify save --device=PARTLABEL=scr", ["--device=PARTLABEL=scratch"]),
                ("pram-verify save --device PARTLABEL=s", ["PARTLABEL=scratch", "PARTLABEL=swap space"]),
                ("pram-verify save --device=PARTLABEL=", [
                    "--device=PARTLABEL=$(touch pwned)", "--device=PARTLABEL=scratch", "--device=PARTLABEL=swap space"])):
            with self.subTest(line):
                self.assertEqual(sorted(self.complete(line)), words)
        # fish also takes what only contains what was typed.
        self.assertNotIn("--parity=", self.complete("pram-verify load --parity"))
        self.assert_nothing_ran()


class Printed(CompletionTest):
    def test_wrong_words_are_refused(self):
        for words in ([], ["sh"], ["bash", "zsh"], ["bash", "--json"]):
            self.assertEqual(self.run_program("complete", *words).status, 16)
        self.assertNotIn("complete", self.run_program("--help").out.decode())

    def test_every_option_is_in_the_table(self):
        for shell in ("bash", "zsh", "fish"):
            text = self.run_program_raw(shell).decode()
            self.assertNotIn("#TABLE#", text)
            named = set(re.findall(r"'o\t([a-z-]+)\t", text))
            help_text = "".join(self.run_program(*command.split(), "--help").out.decode()
                                for command in re.findall(r"'c\t([a-z ]+)\t", text))
            self.assertEqual(named - {"help", "version"}, set(re.findall(r"^  (?:-., )?--([a-z-]+)", help_text, re.M)))
        self.assertEqual(sorted(path.name for path in (ROOT / "completions").iterdir()),
                         ["pram-verify.bash", "pram-verify.fish", "pram-verify.zsh"])
