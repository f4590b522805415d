"""What all command tests share: running the program, reading its report, laying chains out in image files."""

import contextlib
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import chain

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("PRAM_VERIFY", ROOT / "build/pram-verify")).absolute()
FIXTURES = ROOT / "Tests/fixtures"
SCHEMA = ROOT / "Documentation/report.schema.json"

# No run of the program may take longer, whatever it is given.
TIMEOUT = 10

# Command -> the Debian package it comes from.
TOOLS = {
    "gzip": "gzip", "xz": "xz-utils", "zstd": "zstd", "setpriv": "util-linux", "unshare": "util-linux",
    "prlimit": "util-linux", "chroot": "coreutils", "mount": "mount", "strace": "strace",
    "mkinitramfs": "initramfs-tools-core", "dracut": "dracut-core", "busybox": "busybox", "cpio": "cpio",
    "bsdtar": "libarchive-tools", "lz4": "lz4", "bzip2": "bzip2", "objcopy": "binutils", "udevadm": "udev",
    "mandoc": "mandoc", "zsh": "zsh", "fish": "fish", "kernel-install": "systemd",
}

INTACT, DAMAGED, FAILED, USAGE = 0, 4, 8, 16


def missing_tools():
    """A line for each thing that these tests cannot do without and that is not there."""
    lines = [f"{name} is missing: apt-get install {package}"
             for name, package in TOOLS.items() if not shutil.which(name)]
    if not PROGRAM.is_file():
        lines.append(f"{PROGRAM} is missing: make static")
    try:
        import jsonschema  # noqa: F401
    except ImportError:
        lines.append("the jsonschema module is missing: apt-get install python3-jsonschema")
    if os.geteuid() != 0:
        lines.append("chroot, mount and changing the user need root: run these tests as root")
    return lines


class Result:
    """How one run of the program ended."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __repr__(self):
        return f"exit {self.status}\n  out: {self.out[:1500]!r}\n  err: {self.err[:600]!r}"


@functools.cache
def validator():
    """The validator of the report's published schema. Fails when the schema is not there or is no schema."""
    import jsonschema

    schema = json.loads(SCHEMA.read_text())
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


class CommandTest(unittest.TestCase):
    """A test with a scratch directory of its own."""

    maxDiff = 2000

    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="pram-verify-test-"))
        self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)

    # Running the program

    def run_program(self, *words, prefix=(), program=PROGRAM, timeout=TIMEOUT, **options):
        """Runs the program. A signal, an exit status of 128 and above or a run without an end fail the test."""
        command = [*map(str, prefix), str(program), *words]
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        try:
            done = subprocess.run(command, timeout=timeout, **options)
        except subprocess.TimeoutExpired:
            self.fail(f"no answer in {timeout} s: {command}")
        result = Result(done.returncode, done.stdout or b"", done.stderr or b"")
        self.assertIn(result.status, range(0, 128), f"{command} died: {result!r}")
        self.assertEqual(result.status & ~(1 | DAMAGED | FAILED | USAGE), 0, f"undocumented status: {result!r}")
        self.assert_printable(result)
        return result

    def assert_printable(self, result):
        """Nothing raw from memory, images or the call reaches a terminal."""
        for name, text in (("standard output", result.out), ("standard error", result.err)):
            raw = re.search(rb"[^\x20-\x7e\n]", text)
            self.assertIsNone(raw, f"raw byte {raw and raw[0]!r} on {name}: {result!r}")

    def run_json(self, *words, **options):
        """Runs the program with --json. The report must be valid, and agree with itself and with the exit status.

        Returns the result with the report in `.report`.
        """
        result = self.run_program(*words, "--json", **options)
        try:
            result.report = json.loads(result.out)
        except ValueError as error:
            self.fail(f"not JSON: {error}: {result!r}")
        self.assert_valid(result.report, result)
        return result

    def assert_valid(self, report, result):
        errors = sorted(f"{'/'.join(map(str, e.path))}: {e.message[:300]}" for e in validator().iter_errors(report))
        self.assertEqual(errors, [], f"the report does not follow its schema: {result!r}")
        self.assertEqual(report["exit"], result.status, "the report gives another exit status")
        counts, links, files = report["counts"], report["links"], report["files"]
        self.assertEqual(counts["links"], len(links))
        self.assertEqual(counts["links_proved"], sum(link["proved"] for link in links))
        self.assertEqual(counts["entries"], sum(link["entries"] for link in links))
        self.assertEqual(counts["files"], len(files))
        self.assertEqual(counts["files_intact"], sum(file["status"] == "intact" for file in files))
        severities = {finding["severity"] for finding in report["findings"]}
        if "failure" in report:
            self.assertEqual((report["verdict"], result.status), ("indeterminate", FAILED))
        elif "damage" in severities:
            self.assertEqual(report["verdict"], "damaged", result)
        elif "doubt" in severities:
            self.assertEqual(report["verdict"], "indeterminate", result)
        else:
            self.assertIn(report["verdict"], ("intact", "absent"), result)
        if report["verdict"] == "intact":
            self.assertTrue(all(file["status"] in ("intact", "quarantined") for file in files), files)
            self.assertTrue(all(link["proved"] for link in links), links)
        if report["verdict"] in ("damaged", "indeterminate"):
            self.assertNotEqual(result.status, 0)
        # A file that is not intact has a reason in the findings, or what lists it is not proved.
        if any(file["status"] not in ("intact", "quarantined") for file in files):
            self.assertTrue(severities & {"damage", "doubt"}, report["findings"])

    # Images

    def image(self, memory, name="memory.img", pages=None):
        """Writes {pfn: page} to a sparse image file of `pages` pages (as many as needed by default)."""
        path = self.scratch / name
        with open(path, "wb") as file:
            for pfn, page in memory.items():
                assert len(page) == chain.PAGE
                os.pwrite(file.fileno(), page, pfn * chain.PAGE)
            file.truncate((max(memory) + 1 if pages is None else pages) * chain.PAGE)
        return str(path)

    def chain_image(self, files, name="memory.img", start=16, **options):
        """An image that holds a chain of `files` on adjacent pages. Returns its path and the head as --pfn takes it."""
        memory, head = chain.write_chain(files, iter(range(start, 1 << 40)), **options)
        return self.image(memory, name), f"{head:x}"


def statuses(report):
    """{name in hex: status}"""
    return {file["name_hex"]: file["status"] for file in report["files"]}


def kinds(report):
    """The kinds of findings, in order."""
    return [finding["kind"] for finding in report["findings"]]


def grave(report):
    """(kind, pfn) of the findings that are no notes."""
    return [(f["kind"], f["pfn"]) for f in report["findings"] if f["severity"] != "note"]


@contextlib.contextmanager
def mounted_tmpfs(path, size):
    """A small file system of its own at `path`, which becomes full after `size` bytes."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], check=True, timeout=TIMEOUT)
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True, timeout=TIMEOUT)


def sample_files():
    """A handful of small files of every plain shape."""
    return [
        chain.File("one", b"1"),
        chain.File("empty"),
        chain.File("page", bytes(range(256)) * 16, mode=0o100600),
        chain.File("page and one", b"\x5a" * 4097, mode=0o100755),
        chain.File("holes", size=40960 + 3, pages={0: b"first", 10: b"la\0"}),
    ]
