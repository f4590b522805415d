"""The scenes of the fault tests: what lies where before a command is run, and what may be said and left afterwards."""

import ctypes
import json
import os
import pathlib
import shutil
import subprocess

import chain

PAGE = chain.PAGE
FILES = {b"bytes": bytes(range(251)) * 60, b"empty": b"", b"small": b"hello\n", b"zeros and one": bytes(9000) + b"1"}
OTHERS = {b"old": b"the old chain" * 700, b"older": b"x"}
# What `save` adds to the files of a directory.
OUR_OWN = (b".pram-manifest.mtree", b".pram-parity")
PROGRAM = pathlib.Path(os.environ.get("PRAM_VERIFY", pathlib.Path(__file__).resolve().parents[2] / "build/pram-verify"))
# The made-up machine: a range of 512 KiB at 1 MiB that its command line reserves, with the chain at its first page.
START, SIZE, MEMORY = 1 << 20, 512 << 10, 4 << 20
HEAD = START // PAGE
LINE = f"root=/dev/vda1 ro memmap={SIZE >> 10}K$0x{START:x} quiet"
IOMEM = f"""00000000-00000fff : Reserved
00001000-000fffff : System RAM
{START:08x}-{START + SIZE - 1:08x} : Reserved
{START + SIZE:08x}-{MEMORY - 1:08x} : System RAM
"""
FIRMWARE = [(0, 0xfff, "Reserved"), (0x1000, MEMORY - 1, "System RAM")]


class Stage:
    """Directories in memory, and below the system's own paths the files of a machine that is made up. To be set up in
    a mount namespace of one's own."""

    def __init__(self, base):
        self.base = base
        mount("tmpfs", base, "-o", "size=64M")
        self.logs, self.machine, self.place = base / "logs", base / "machine", base / "place"
        for path in (self.logs, self.machine, self.place):
            path.mkdir()
        self.line, self.memory, self.kernel_log = (self.machine / n for n in ("cmdline", "mem", "kmsg"))
        self.line.write_text(LINE + "\n")
        (self.machine / "iomem").write_text(IOMEM)
        self.memory.touch()
        self.kernel_log.touch()
        bind(self.line, "/proc/cmdline")
        bind(self.machine / "iomem", "/proc/iomem")
        devices = self.machine / "dev"
        devices.mkdir()
        mount("tmpfs", devices)
        for name in ("null", "zero", "urandom", "random"):
            (devices / name).touch()
            bind(f"/dev/{name}", devices / name)
        (devices / "shm").mkdir()
        os.symlink("/proc/self/fd", devices / "fd")
        for name, source in (("mem", self.memory), ("kmsg", self.kernel_log)):
            (devices / name).touch()
            bind(source, devices / name)
        subprocess.run(["mount", "--move", str(devices), "/dev"], check=True)
        mount("tmpfs", "/sys")
        for number, (first, last, kind) in enumerate(FIRMWARE):
            entry = pathlib.Path(f"/sys/firmware/memmap/{number}")
            entry.mkdir(parents=True)
            for name, text in (("start", f"{first:#x}"), ("end", f"{last:#x}"), ("type", kind)):
                (entry / name).write_text(text + "\n")
        for name in ("kernel", "block", "module"):
            pathlib.Path("/sys", name).mkdir(exist_ok=True)
        mount("tmpfs", "/run", "-o", "size=4M")

    def clear(self):
        for path in (*self.place.iterdir(), *pathlib.Path("/run").iterdir()):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        self.kernel_log.write_bytes(b"")

    def leave(self):
        """The mounts go with the namespace; what is left is an empty directory."""
        ctypes.CDLL(None).umount2(str(self.base).encode(), 2)
        os.rmdir(self.base)


def mount(kind, place, *words):
    subprocess.run(["mount", "-t", kind, *words, "none", str(place)], check=True)


def bind(source, place):
    subprocess.run(["mount", "--bind", str(source), str(place)], check=True)


def laid_out(files, head, flip=None):
    """{pfn: page} of a chain; with a bit of the first DATA page of the file `flip` changed."""
    memory, first = chain.write_chain([chain.File(name, data) for name, data in files.items()],
                                      iter(range(head, 1 << 30)), per_link=5)
    assert first == head
    if flip is not None:
        page = next(p for p, content in memory.items() if content == files[flip][:PAGE].ljust(PAGE, b"\0"))
        memory[page] = bytes([memory[page][0] ^ 1]) + memory[page][1:]
    return memory


def put(path, memory, size):
    with open(path, "wb") as file:
        for page, content in memory.items():
            os.pwrite(file.fileno(), content, page * PAGE)
        file.truncate(size)


def found(path, head):
    """What a chain in an image holds: its files, "none" where the head page is clear or missing, "broken" where a page
    or link does not fit, or a link leads nowhere."""
    try:
        data = pathlib.Path(path).read_bytes()
    except FileNotFoundError:
        return "none"

    def page(number):
        return data[number * PAGE:(number + 1) * PAGE]

    first = page(head)
    if not any(first):
        return "none"
    links = []
    while head:
        content = page(head)
        if len(content) < PAGE or head in links or not chain.Link(head, content).fits():
            return "broken"
        links.append(head)
        head = chain.Link(head, content).next
    try:
        files = chain.read_files(page, links[0])
        return {name: data for name, data in files.items() if name not in OUR_OWN}
    except (ValueError, IndexError, TypeError):
        return "broken"


class Scene:
    """A command, what lies there before, how it ends when nothing goes wrong, and a judge."""

    status = 0
    # Whether the command reads what another program writes.
    reads_pipes = False
    # Variables for the command, besides those of whoever runs the tests.
    environment = {}

    def __init__(self, stage, name):
        self.stage, self.name = stage, name
        self.place = stage.place

    def prepare(self):
        self.stage.clear()
        self.stage.line.write_text(LINE + "\n")
        self.stage.memory.write_bytes(b"")
        os.truncate(self.stage.memory, MEMORY)
        self.set_up()

    def set_up(self):
        pass

    def command(self, program):
        return [str(program), *map(str, self.words())]

    def judge(self, status, out, err):
        return [text for text in self.complaints(status, out.decode(errors="replace"), err.decode(errors="replace"))
                if text]

    # What many have in common

    @property
    def image(self):
        return self.place / "image"

    def stored(self, files, path=None, head=1, flip=None, size=1 << 18):
        memory = laid_out(files, head, flip)
        if path is None:
            put(self.image, memory, size)
        else:
            with open(path, "r+b") as file:
                for page, content in memory.items():
                    os.pwrite(file.fileno(), content, page * PAGE)

    def source(self, files=FILES):
        folder = self.place / "source"
        folder.mkdir()
        for name, data in files.items():
            with open(os.path.join(os.fsencode(folder), name), "wb") as file:
                file.write(data)
        return folder

    def taken_out(self, status, wanted, complete):
        """What came out into a directory: only whole files, all of them where that is claimed."""
        folder = self.place / "out"
        made = {}
        for name in (os.listdir(os.fsencode(folder)) if folder.exists() else []):
            with open(os.path.join(os.fsencode(folder), name), "rb") as file:
                made[name] = file.read()
        for name, data in made.items():
            if name.startswith(b".pram-verify-"):
                # The one call that removes it may be the one that fails.
                continue
            if wanted.get(name) != data:
                yield f"{name!r} came out wrong, {len(data)} bytes"
        missing = set(wanted) - set(made)
        if complete and missing:
            yield f"missing: {missing}"
        self.came_out = not missing


def untrue(out, err, *words):
    """Words that would be false reports, in what is printed."""
    for word in words:
        if f"verdict: {word}" in out or f'"verdict": "{word}"' in out:
            yield f"a false report: {word}"


class Look(Scene):
    """check and list, of an intact chain."""

    def __init__(self, stage, name, *words, live=False, packed=False, threads=None):
        super().__init__(stage, name)
        self.given, self.live, self.packed, self.threads = words, live, packed, threads

    def set_up(self):
        if self.live:
            self.stage.line.write_text(f"{LINE} pram={HEAD:x}\n")
            self.stored(FILES, self.stage.memory, HEAD)
        else:
            self.stored(FILES)
            if self.packed:
                subprocess.run(["gzip", "-n", self.image], check=True)
                os.rename(f"{self.image}.gz", self.image)

    def words(self):
        where = [] if self.live else ["--memory", self.image, "--pfn", "1"]
        return [*self.given, *where, "--threads", self.threads or 1]

    def complaints(self, status, out, err):
        # A read that fails, or a file that has become shorter, is no damage, and no chain that is not there.
        yield from untrue(out, err, "damaged", "absent")
        if status == 0:
            if "--json" in self.given:
                try:
                    report = json.loads(out)
                    if report["verdict"] != "intact" or len(report["files"]) != len(FILES) or report["exit"] != 0:
                        yield "a report that is not that of this chain"
                except ValueError:
                    yield "success, and no whole report"
            elif self.given[0] == "list":
                for name in FILES:
                    if name.decode() not in out:
                        yield f"success, and {name} is not listed"
            elif "verdict: intact" not in out or "4 intact" not in out:
                yield "success, and not called intact"


class Draw(Scene):
    """map, of an intact chain: the SVG that was there, or the new one, whole."""

    OLD = "<svg>the old one</svg>\n"

    def set_up(self):
        self.stored(FILES)
        (self.place / "map.svg").write_text(self.OLD)

    def words(self):
        return ["map", "--memory", self.image, "--pfn", "1", "--threads", 1, "--svg", self.place / "map.svg"]

    def complaints(self, status, out, err):
        yield from untrue(out, err, "damaged", "absent")
        text = (self.place / "map.svg").read_text()
        is_new = text.startswith("<svg xmlns") and text.endswith("</svg>\n") and "The chain in memory" in text
        if text != self.OLD and not is_new and "as far as it can be told" not in text:
            yield "the SVG is neither the old one nor a new one"
        if status == 0 and not (is_new and "chain in memory is intact" in text and "verdict: intact" in out):
            yield "success, and no picture of an intact chain"


class TakeOut(Scene):
    """extract and load: what is called restored is there, whole; what lies there under a file's name is that file."""

    def __init__(self, stage, name, *words, live=False, flip=None):
        super().__init__(stage, name)
        self.given, self.live, self.flip = words, live, flip
        self.wanted = {n: d for n, d in FILES.items() if n != flip}
        self.status = 4 if flip else 0

    @property
    def where(self):
        return (self.stage.memory, HEAD) if self.live else (self.image, 1)

    def set_up(self):
        if self.live:
            self.stage.line.write_text(f"{LINE} pram={HEAD:x}\n")
            self.stored(FILES, self.stage.memory, HEAD, self.flip)
        else:
            self.stored(FILES, flip=self.flip)
        self.before = self.where[0].read_bytes()

    def words(self):
        where = [] if self.live else ["--memory", self.image, "--pfn", "1"]
        return [*self.given, *where, "--threads", "1", self.place / "out"]

    def complaints(self, status, out, err):
        path, head = self.where
        if self.flip and status == 0:
            yield "success, and a file is damaged"
        yield from untrue(out, err, "absent", *([] if self.flip else ["damaged"]))
        yield from self.taken_out(status, self.wanted, complete=status == 0)
        left = found(path, head)
        if "--erase" not in self.given or self.flip:
            if path.read_bytes() != self.before:
                yield "memory was changed"
        elif left == "none":
            if not self.came_out:
                yield "the chain was erased, and not every file is there"
        elif path.read_bytes() != self.before:
            yield f"the chain is neither there nor erased: {str(left)[:60]}"
        elif status == 0:
            yield "success, and the chain is still there"


class Save(Scene):
    def __init__(self, stage, name, *words, live=False, over=False):
        super().__init__(stage, name)
        self.given, self.live, self.over = words, live, over

    @property
    def where(self):
        return (self.stage.memory, HEAD) if self.live else (self.image, 1)

    def set_up(self):
        self.folder = self.source()
        if self.over:
            if self.live:
                self.stored(OTHERS, self.stage.memory, HEAD)
            else:
                self.stored(OTHERS)

    def words(self):
        where = [] if self.live else ["--memory", self.image]
        return ["save", *self.given, *where, "--threads", "1", self.folder]

    def complaints(self, status, out, err):
        path, head = self.where
        left = found(path, head)
        if status == 0:
            if left != FILES:
                yield f"success, and what was saved is {str(left)[:80]}"
            if "--json" not in self.given and out != f"pram={head:x}\n":
                yield f"success, and it prints {out!r}"
        else:
            if "pram=" in out and left != FILES:
                yield "a head is printed, and there is no such chain"
            if left == "broken":
                yield "what is left has a head and is no chain"
            if left == OTHERS and not self.over or left not in ("none", FILES, OTHERS):
                yield f"what is left is {str(left)[:80]}"


class Erase(Scene):
    def __init__(self, stage, name, live=False):
        super().__init__(stage, name)
        self.live = live

    where = Save.where

    def set_up(self):
        self.stored(FILES, *([self.stage.memory, HEAD] if self.live else []))

    def words(self):
        return ["erase", *([] if self.live else ["--memory", self.image])]

    def complaints(self, status, out, err):
        left = found(*self.where)
        if status == 0 and left != "none":
            yield f"success, and the head is still there: {str(left)[:60]}"
        if left not in ("none", FILES):
            yield f"what is left is neither nothing nor the chain: {str(left)[:60]}"


class Drop(Scene):
    """drop and quarantine: one damaged file goes or is marked, the others stay."""

    def __init__(self, stage, name, *words, live=False):
        super().__init__(stage, name)
        self.given, self.live = words, live
        self.status = 4 if "--dry-run" in words else 1

    where = Save.where

    def set_up(self):
        if self.live:
            self.stage.line.write_text(f"{LINE} pram={HEAD:x}\n")
        self.stored(FILES, *([self.stage.memory, HEAD] if self.live else []), flip=b"bytes")
        self.before = self.where[0].read_bytes()
        self.place_of_head = self.where[1]

    def words(self):
        return [*self.given, *([] if self.live else ["--memory", self.image]), "--threads", "1"]

    def complaints(self, status, out, err):
        path, head = self.where
        data = path.read_bytes()
        left = found(path, head)
        kept = {n: d for n, d in FILES.items() if n != b"bytes"}
        if status == 0:
            yield "status 0 over a damaged chain"
        if status == 1:
            if not isinstance(left, dict):
                yield f"called corrected, and what is left is {str(left)[:60]}"
            elif {n: left.get(n) for n in kept} != kept:
                yield "called corrected, and a sound file is gone"
            elif b"bytes" in left and "--keep-holes" not in self.given:
                yield "called corrected, and the damaged file has its name"
        elif isinstance(left, dict):
            # The new chain may be there where only the last look at it failed; never half of one.
            if {n: left.get(n) for n in kept} != kept:
                yield "a sound file is gone"
        elif self.changed_pages(data, head):
            yield f"pages of the old chain were changed, and the new one is not there: {self.changed_pages(data, head)}"

    def changed_pages(self, data, head):
        """Pages that the old chain uses, and that are not as they were."""
        used = laid_out(FILES, head, b"bytes")
        return [f"{p:#x}" for p in used if data[p * PAGE:(p + 1) * PAGE] != self.before[p * PAGE:(p + 1) * PAGE]]


class Repair(Scene):
    """A lost page comes back, or nothing that was good has changed."""

    status = 1

    def set_up(self):
        subprocess.run([PROGRAM, "save", "--memory", self.image, "--size", "1M", self.source()], check=True,
                       stdout=subprocess.DEVNULL)
        self.whole = self.image.read_bytes()
        self.victim = self.whole.index(FILES[b"bytes"][:PAGE])
        with open(self.image, "r+b") as file:
            os.pwrite(file.fileno(), bytes(PAGE), self.victim)

    def words(self):
        return ["repair", "--memory", self.image, "--threads", "1"]

    def complaints(self, status, out, err):
        data = self.image.read_bytes()
        lost = range(self.victim, self.victim + PAGE)
        if [at for at in range(len(self.whole)) if data[at] != self.whole[at] and at not in lost]:
            yield "a page that was good has changed"
        if status == 1 and data != self.whole:
            yield "called repaired, and it is not"
        if status == 0:
            yield "status 0 over a damaged chain"


class Append(Scene):
    """The image as it was, or the whole new one."""

    def set_up(self):
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-O", self.image], input=b"init\n", check=True,
                       cwd=self.source({b"init": b"#!/bin/sh\n"}))
        self.old = self.image.read_bytes()

    def words(self):
        return ["image", "append", "--flavour=systemd", self.image]

    def complaints(self, status, out, err):
        data = self.image.read_bytes()
        is_new = data.startswith(self.old) and data.endswith(b"\0") and PROGRAM.read_bytes() in data
        if status == 0 and not is_new:
            yield "success, and the helper is not in the image"
        if data != self.old and not is_new:
            yield "the image is neither the old one nor a new one"


class Cmdline(Scene):
    def __init__(self, stage, name, *words):
        super().__init__(stage, name)
        self.given = words

    def set_up(self):
        self.stage.line.write_text(f"{LINE} nokaslr\n")
        self.stored(FILES, self.stage.memory, HEAD)

    def words(self):
        return ["cmdline", *self.given]

    def complaints(self, status, out, err):
        line = f"{LINE} nokaslr"
        if "--kexec-options" in self.given:
            if status == 0 and out not in ("-s\n", "\n"):
                yield f"success, and it prints {out!r}"
            return
        if out not in (f"{line} pram={HEAD:x}\n", f"{line}\n", ""):
            # What could not be written to the end has to be told.
            if status == 0 or not f"{line} pram={HEAD:x}\n".startswith(out):
                yield f"it prints {out!r}"
        if status == 0 and out != f"{line} pram={HEAD:x}\n":
            yield f"success, and it prints {out!r}"


class Boot(Scene):
    """Ends with 0 whatever happens; what it leaves behind is true."""

    def __init__(self, stage, name, parameters="", flip=None, true=("intact",)):
        super().__init__(stage, name)
        self.parameters, self.flip = parameters, flip
        self.true = {*true, "indeterminate", "failed"}

    def set_up(self):
        self.stage.line.write_text(f"{LINE} pram={HEAD:x} pram_verify.timeout=3{self.parameters}\n")
        self.stored(FILES, self.stage.memory, HEAD, self.flip)
        self.before = self.stage.memory.read_bytes()

    def words(self):
        return ["boot"]

    def complaints(self, status, out, err):
        if status != 0 and status is not None and status > 0 and status < 127:
            yield f"boot ended with status {status}"
        word, action = (self.read(name) for name in ("status", "action"))
        if word is not None and word not in self.true:
            yield f"/run/pram-verify/status says {word!r}"
        if action not in (None, "continue"):
            yield f"/run/pram-verify/action says {action!r}"
        log = self.stage.kernel_log.read_bytes().decode(errors="replace")
        said = [line.split("pram-verify: ", 1)[1].split(":")[0] for line in (log + err).splitlines()
                if "pram-verify: " in line]
        for name in said:
            if name in ("intact", "corrected", "empty", "absent", "off", "damaged") and name not in self.true:
                yield f"the log says {name!r}"
        if word is None and not any(name in self.true for name in said) and status == 0 and not self.may_be_silent \
                and "out of memory" not in err:
            yield "neither the folder nor the log has an answer"
        left = found(self.stage.memory, HEAD)
        if word == "corrected" and not isinstance(left, dict):
            yield f"called corrected, and what is left is {str(left)[:60]}"
        if self.flip is None and self.stage.memory.read_bytes() != self.before:
            yield "memory was changed"

    @property
    def may_be_silent(self):
        """Where nothing can be written any more there is no way to say so."""
        return self.injection is not None and self.injection.call == "write" and self.injection.lasting

    def read(self, name):
        try:
            return pathlib.Path("/run/pram-verify", name).read_text().rstrip("\n")
        except FileNotFoundError:
            return None


# Programs that the commands call: they note it, and load or list as the real ones do. A write that fails fails them.
KEXEC = """#!/bin/sh
case " $* " in *" -u "*) echo 0 >/sys/kernel/kexec_loaded; exit ;; esac
printf '%s\\n' "$*" >"$PLACE/called" && echo 1 >/sys/kernel/kexec_loaded
"""
SYSTEMCTL = """#!/bin/sh
[ "$1" = list-jobs ] && printf '7 kexec.target start waiting\\n1 jobs listed.\\n'
"""


class Kernel(Scene):
    """What loads the next kernel: never one that is not told of the chain."""

    reads_pipes = True

    def programs(self):
        folder = self.place / "programs"
        folder.mkdir()
        for name, text in (("kexec", KEXEC), ("systemctl", SYSTEMCTL)):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        pathlib.Path("/sys/kernel/kexec_loaded").write_text("0\n")
        self.environment = {"PATH": f"{folder}:/usr/bin:/bin", "PLACE": str(self.place)}

    def loaded_line(self):
        """What the kernel that is loaded was given; None where none is."""
        if pathlib.Path("/sys/kernel/kexec_loaded").read_text() != "1\n":
            return None
        return (self.place / "called").read_text().rstrip("\n").split("--command-line=")[1]

    def complaints_of_line(self, status):
        line = self.loaded_line()
        wanted = f"{LINE} pram={HEAD:x}"
        if status == 0 and line is None:
            yield "success, and no kernel is loaded"
        if line is not None and line != wanted:
            yield f"a kernel is loaded with {line!r}"
        note = pathlib.Path("/run/pram-verify/loaded")
        if note.exists() and f"\nline {wanted}\n" not in note.read_text():
            yield f"what is noted of the loaded kernel is {note.read_text()!r}"


class LoadKernel(Kernel):
    """kexec, of an intact chain."""

    def set_up(self):
        self.programs()
        self.stored(FILES, self.stage.memory, HEAD)
        self.before = self.stage.memory.read_bytes()

    def words(self):
        return ["kexec", "--threads", "1", "/k", "/i"]

    def complaints(self, status, out, err):
        yield from self.complaints_of_line(status)
        if self.stage.memory.read_bytes() != self.before:
            yield "memory was changed"


class Stop(Kernel):
    """service stop, on the way to a kexec: what is saved is what the next kernel is told of."""

    def set_up(self):
        self.programs()
        self.environment |= {"SAVE_DIR": str(self.source()), "KEXEC_KERNEL": "/k", "KEXEC_INITRD": "/i"}
        self.stored(OTHERS, self.stage.memory, HEAD)

    def words(self):
        return ["service", "stop"]

    def complaints(self, status, out, err):
        left = found(self.stage.memory, HEAD)
        yield from self.complaints_of_line(status)
        if self.loaded_line() is not None and left != FILES:
            yield f"a kernel is loaded for a chain that is {str(left)[:60]}"
        if status == 0 and left != FILES:
            yield f"success, and what was saved is {str(left)[:60]}"
        if left not in ("none", FILES, OTHERS):
            yield f"what is left is {str(left)[:60]}"


class Start(TakeOut):
    """service start, after a kexec."""

    def set_up(self):
        super().set_up()
        self.environment = {"LOAD_DIR": str(self.place / "out")}

    def words(self):
        return ["service", "start"]


class Status(Scene):
    def __init__(self, stage, name, word, status, *words):
        super().__init__(stage, name)
        self.word, self.status, self.given = word, status, words

    def set_up(self):
        folder = pathlib.Path("/run/pram-verify")
        folder.mkdir()
        (folder / "status").write_text(f"{self.word}\n")
        (folder / "report.txt").write_text("verdict: as it was\n")
        (folder / "report.json").write_text('{"verdict": "as it was"}\n')

    def words(self):
        return ["status", *self.given]

    def complaints(self, status, out, err):
        if status not in (self.status, 8, self.status | 8) and status is not None and 0 <= status < 127:
            yield f"status {status} for {self.word}"
        if status == self.status and "as it was" not in out:
            yield f"the status of the word, and the report is not shown: {out!r}"


def all_scenes(stage):
    return [
        Look(stage, "check", "check"), Look(stage, "check-json", "check", "--json"),
        Look(stage, "check-packed", "check", packed=True), Look(stage, "check-threads", "check", threads=3),
        Look(stage, "check-live", "check", live=True), Look(stage, "list", "list"),
        Draw(stage, "map"),
        TakeOut(stage, "extract", "extract"), TakeOut(stage, "extract-force", "extract", "--force"),
        TakeOut(stage, "extract-damaged-chain", "extract", flip=b"bytes"),
        TakeOut(stage, "load", "load"), TakeOut(stage, "load-erase", "load", "--erase"),
        TakeOut(stage, "load-erase-live", "load", "--erase", live=True),
        TakeOut(stage, "load-erase-damaged-chain", "load", "--erase", flip=b"bytes"),
        Save(stage, "save", "--size", "256K"), Save(stage, "save-replace", "--replace", over=True),
        Save(stage, "save-live", live=True), Save(stage, "save-replace-live", "--replace", live=True, over=True),
        Erase(stage, "erase"), Erase(stage, "erase-live", live=True),
        Drop(stage, "drop", "drop"), Drop(stage, "drop-dry", "drop", "--dry-run"),
        Drop(stage, "drop-live", "drop", live=True), Drop(stage, "quarantine", "quarantine"),
        Drop(stage, "keep-holes", "drop", "--keep-holes"),
        Repair(stage, "repair"), Append(stage, "image-append"),
        Cmdline(stage, "cmdline"), Cmdline(stage, "cmdline-options", "--kexec-options"),
        LoadKernel(stage, "kexec"), Stop(stage, "service-stop"),
        Start(stage, "service-start", "--erase", live=True),
        Boot(stage, "boot"),
        Boot(stage, "boot-damaged", flip=b"bytes", true=("damaged",)),
        Boot(stage, "boot-drop", " pram_verify.policy=drop", flip=b"bytes", true=("damaged", "corrected")),
        Status(stage, "status", "intact", 0), Status(stage, "status-json", "damaged", 4, "--json"),
    ]
