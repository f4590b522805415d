"""What the cases on Debian's releases have shown: Documentation/TESTED.md, written from nothing but runs."""

import datetime
import hashlib
import inspect
import json
import re
import subprocess

from . import BUILD, REPOSITORY, suites

RESULTS = BUILD / "suites" / "results"
DOCUMENT = REPOSITORY / "Documentation" / "TESTED.md"

HEAD = """\
# Tested on

What `make test-suites` has shown, written by it and by nobody else: each release with its own kernel, initramfs tools,
kexec-tools and systemd, as a virtual machine that goes through real shutdowns and real kexecs. A case that is not
named was not run. What each of them does is in Tests/boot/cases, under the same name. The number in parentheses is the
program's commit.
"""


def record(tests, passed, program):
    """Keeps how these cases ended. What was not run keeps the result it had."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.splitlines()
    for test in tests:
        suite = getattr(test, "suite", None)
        if suite is None:
            continue
        releases = [suite, *([test.to] if hasattr(test, "to") else [])]
        (RESULTS / f"{test.id()}.json").write_text(json.dumps({
            "kind": type(test).__name__, "case": test.id().rsplit(".", 1)[1].removeprefix("test_").replace("_", " "),
            "tool": test.tool, "passed": test.id() in passed, "program": (version or ["unknown"])[0],
            "source": _source(test), "date": datetime.date.today().isoformat(),
            "releases": [[repr(release), release.named_versions()] for release in releases],
        }))


def _source(test):
    """Changes when the case does."""
    return hashlib.sha256(inspect.getsource(getattr(type(test), test.id().rsplit(".", 1)[1])).encode()).hexdigest()[:16]


def write(tests):
    """Writes the document from what is kept of cases that are still what they were when they were run."""
    sources = {test.id(): _source(test) for test in tests}
    kept = [(path.stem, json.loads(path.read_text())) for path in sorted(RESULTS.glob("*.json"))]
    kept = [result for name, result in kept if result.get("source") == sources.get(name)]
    if not kept:
        return
    parts = [HEAD, _programs(kept)]
    for suite in suites.ALL:
        own = [result for result in kept if result["releases"][0][0] == repr(suite)]
        if own:
            notes = [f"{suite.note}\n"] if suite.note else []
            parts += [f"## {suite}\n", _versions(own[-1]["releases"][0][1]), *notes, _table(own)]
    DOCUMENT.write_text("\n".join(parts))


def _programs(kept):
    return "".join(f"- {program}\n" for program in sorted({result["program"] for result in kept}))


def _versions(versions):
    return "".join(f"- {name} {version}\n" for name, version in versions.items() if version != "none")


def _table(results):
    columns = list(dict.fromkeys([tool for tool in suites.TOOLS if any(r["tool"] == tool for r in results)]))
    rows = {}
    for result in results:
        case = result["case"]
        if len(result["releases"]) > 1:
            case += f" (to {result['releases'][1][0]}, {_kernel(result['releases'][1][1])})"
        rows.setdefault(case, {})[result["tool"]] = (
            f"{'passed' if result['passed'] else 'FAILED'}, {result['date']} ({_commit(result['program'])})")
    lines = [f"| case | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {case} | {' | '.join(found.get(tool, '') for tool in columns)} |"
              for case, found in sorted(rows.items())]
    return "".join(line + "\n" for line in lines)


def _commit(program):
    found = re.search(r"commit (\w{7})", program)
    return found.group(1) if found else program


def _kernel(versions):
    return f"kernel {versions['linux-image']}"
