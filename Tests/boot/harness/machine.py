"""A QEMU machine: boots a kernel with an initramfs that runs the agent, and is driven from here.

    with Machine("name", kernel.image, initrd, append="quiet", memory="512M") as machine:
        machine.wait_ready()
        print(machine.run("uname -a").output)

The first serial port is the console and goes to the log; the second one carries the agent's line protocol; QMP is on a
socket. Console, commands, results and QMP calls of one machine all end in build/boot/logs/NAME.log. Every step has a
deadline. Only the QEMU started here is ever ended.
"""

import atexit
import base64
import ctypes
import json
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import BUILD, provision

LOGS = BUILD / "logs"

# Seconds that a boot and a command may take. They are there for what hangs: a machine that others use as well can be
# slower by far than one alone.
BOOT_DEADLINE, COMMAND_DEADLINE = 1800, 600

# The agent's shell reads byte by byte and the guest's tty holds 64 KiB: small enough for both.
UPLOAD_CHUNK = 16 * 1024


class MachineError(Exception):
    """The machine did not do what was asked in time, or is gone. Carries the end of its log."""


class Result:
    """What a command in the guest did: exit status, standard output, standard error."""

    def __init__(self, command, status, output, errors):
        self.command, self.status = command, status
        self.output_bytes, self.error_bytes = output, errors

    @property
    def output(self):
        return self.output_bytes.decode("utf-8", "surrogateescape")

    @property
    def errors(self):
        return self.error_bytes.decode("utf-8", "surrogateescape")

    def __str__(self):
        return f"$ {self.command}\n{self.output}{self.errors}[exit {self.status}]"


class _Lines:
    """Lines from a socket, with a deadline."""

    def __init__(self, connection):
        self.connection, self.buffer = connection, b""

    def read(self, deadline):
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.connection.settimeout(left)
            received = self.connection.recv(65536)
            if not received:
                raise EOFError
            self.buffer += received
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r")


def end_with_parent():
    """In a child: have the kernel end it when the harness dies without being able to."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


_open = set()


def close_all():
    """Ends all machines of this process that are still there."""
    for machine in list(_open):
        machine.close()


atexit.register(close_all)


class Machine:
    """One QEMU process.

    kernel, initrd  files on the host; with neither the machine has nothing to boot (use it with paused=True)
    append          the kernel command line, after the console's settings
    memory          as QEMU's -m takes it
    loads           [(physical address, bytes or host file)] to lie in memory before the kernel starts
    drives          raw disk images, attached as virtio block devices in this order; what is written to them is gone
                    when the machine ends
    devices         further -device arguments
    paused          do not start the processor: memory is as `loads` made it
    firmware        (code, variables) of a firmware that boots from the drives, where there is no kernel to begin with
    """

    def __init__(self, name, kernel=None, initrd=None, append="", memory="512M", loads=(), drives=(), devices=(),
                 paused=False, firmware=None):
        self.name = name
        self.process = None
        self.boot_id = None  # changes with each kernel, so a kexec that did not happen is noticed
        self.release = None
        self._serial = self._qmp = None
        self._command_number = 0
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log_path = LOGS / f"{name}.log"
        self.log_path.write_bytes(b"")
        # Appended to by QEMU and by this program alike: neither may write over what the other wrote.
        self._log = open(self.log_path, "ab", buffering=0)
        self._scratch = tempfile.TemporaryDirectory(prefix="boot-")
        _open.add(self)
        self.scratch = pathlib.Path(self._scratch.name)

        provision.tools("qemu-system-x86_64")
        # One processor: multi-threaded TCG is not reliable with more. Without erms and fsrm kernels do not clear and
        # copy pages byte by byte, which is what TCG makes of that: kexec_file_load is three times as fast. A panic
        # reboots at once and -no-reboot turns that into the end of QEMU, so a dead guest is noticed without waiting for
        # a deadline.
        self.arguments = [
            provision.tool_path("qemu-system-x86_64"), "-accel", "tcg", "-smp", "1", "-cpu", "max,-erms,-fsrm",
            "-m", memory, "-nodefaults", "-display", "none", "-no-reboot",
            "-chardev", f"file,id=console,path={self.log_path},append=on", "-serial", "chardev:console",
            "-chardev", f"socket,id=agent,path={self.scratch}/agent", "-serial", "chardev:agent",
            "-chardev", f"socket,id=qmp,path={self.scratch}/qmp", "-mon", "chardev=qmp,mode=control",
        ]
        if kernel:
            self.arguments += ["-kernel", str(kernel), "-append", f"console=ttyS0 panic=-1 {append}".rstrip()]
        if initrd:
            self.arguments += ["-initrd", str(initrd)]
        for number, (address, content) in enumerate(loads):
            if isinstance(content, bytes):
                content_path = self.scratch / f"load-{number}"
                content_path.write_bytes(content)
                content = content_path
            self.arguments += ["-device", f"loader,file={content},addr={address:#x},force-raw=on"]
        for number, image in enumerate(drives):
            self.arguments += ["-drive", f"file={image},format=raw,if=none,snapshot=on,id=drive{number}",
                               "-device", f"virtio-blk-pci,drive=drive{number}"]
        for device in devices:
            self.arguments += ["-device", device]
        if paused:
            self.arguments += ["-S"]
        if firmware:
            code, variables = firmware
            shutil.copy(variables, self.scratch / "variables")
            self.arguments += ["-drive", f"if=pflash,format=raw,readonly=on,file={code}",
                               "-drive", f"if=pflash,format=raw,file={self.scratch}/variables"]

    # Life

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    def start(self, deadline=30):
        """Starts QEMU and opens its sockets. The guest is not waited for: see wait_ready."""
        self.note("# " + " ".join(shlex.quote(argument) for argument in self.arguments))
        # The host listens and QEMU connects, so neither has to try again.
        listeners = []
        for name in ("agent", "qmp"):
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(str(self.scratch / name))
            listener.listen(1)
            listener.settimeout(1)
            listeners.append(listener)
        self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
                                        preexec_fn=end_with_parent)
        end = time.monotonic() + deadline
        connections = []
        for listener in listeners:
            with listener:
                while True:
                    try:
                        connections.append(listener.accept()[0])
                        break
                    except TimeoutError:
                        if self.process.poll() is not None or time.monotonic() > end:
                            self._fail("QEMU did not start")
        self._serial, self._qmp = _Lines(connections[0]), _Lines(connections[1])
        self._qmp_reply("greeting", time.monotonic() + deadline, lambda message: "QMP" in message)
        self.qmp("qmp_capabilities")
        return self

    def close(self):
        """Ends QEMU, if it still runs, and frees what belongs to it. The log stays. Twice does no harm."""
        _open.discard(self)
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        for lines in (self._serial, self._qmp):
            if lines is not None:
                lines.connection.close()
        self._log.close()
        self._scratch.cleanup()

    def note(self, text):
        """A line of the harness's own in the log."""
        self._log.write(text.encode("utf-8", "surrogateescape") + b"\n")

    @property
    def log(self):
        return self.log_path.read_text("utf-8", "replace")

    def _fail(self, reason):
        state = self.process.poll() if self.process else None
        gone = "" if state is None else f" (QEMU ended with status {state})"
        raise MachineError(f"{self.name}: {reason}{gone}; end of {self.log_path}:\n{self.log[-2000:]}")

    # The agent

    def wait_ready(self, deadline=BOOT_DEADLINE):
        """Waits for the agent's greeting: after power-on and after a reset."""
        begun = time.monotonic()
        end = begun + deadline
        while True:
            line = self._agent_line(end, "no greeting from the agent")
            # What an interrupted command left on the line is not part of the greeting.
            words = line.decode("ascii", "replace").split()
            if len(words) == 3 and words[0].endswith("READY"):
                self.boot_id, self.release = words[1:]
                self.note(f"# the agent is ready after {time.monotonic() - begun:.1f} s: Linux {self.release}")
                # A reset has allowed reboots for itself; a panic is to end the machine again.
                self.qmp("set-action", reboot="shutdown")
                return self

    def run(self, command, deadline=COMMAND_DEADLINE):
        """Runs a shell command in the guest and returns its Result, whatever its exit status."""
        number, end = self._send(command), time.monotonic() + deadline
        what = f"no result of {command[:200]!r}"
        parts = {"BEGIN": b"", "ERRORS": b""}
        part = None
        while True:
            line = self._agent_line(end, what)
            word, *rest = line.split(b" ")
            if word == b"BEGIN" and rest == [b"%d" % number]:
                part = "BEGIN"
            elif word == b"ERRORS" and part == "BEGIN":
                part = "ERRORS"
            elif word == b"END" and part == "ERRORS":
                result = Result(command, int(rest[1]), *(base64.b64decode(text) for text in parts.values()))
                self.note(f"{result.output}{result.errors}[exit {result.status}]")
                return result
            elif word == b"READY":
                self._fail(f"the machine started again during {command[:200]!r}")
            elif part:
                parts[part] += line

    def must(self, command, deadline=COMMAND_DEADLINE):
        """Runs a command that has to succeed and returns its standard output, without the last newline."""
        result = self.run(command, deadline)
        if result.status:
            raise MachineError(f"{self.name}: {result}")
        return result.output.removesuffix("\n")

    def put(self, path, data):
        """Writes a small file in the guest. Large ones belong into the initramfs."""
        quoted = shlex.quote(path)
        self.must(f": >{quoted}")
        for start in range(0, len(data), UPLOAD_CHUNK):
            text = base64.b64encode(data[start:start + UPLOAD_CHUNK]).decode()
            self.must(f"printf %s {text} | /harness/busybox base64 -d >>{quoted}")

    def get(self, path):
        """The contents of a small file in the guest."""
        result = self.run(f"cat {shlex.quote(path)}")
        if result.status:
            raise MachineError(f"{self.name}: {result}")
        return result.output_bytes

    def kexec(self, command="kexec -e", deadline=BOOT_DEADLINE):
        """Runs a command that starts another kernel and waits for the agent of that kernel.

        A command that comes back instead has failed.
        """
        number, before = self._send(command), self.boot_id
        begun = time.monotonic()
        end = begun + deadline
        while True:
            line = self._agent_line(end, f"no greeting after {command!r}").decode("ascii", "replace")
            if line.startswith(f"END {number} "):
                self._fail(f"{command!r} came back: {line}")
            words = line.split()
            if len(words) == 3 and words[0].endswith("READY") and words[1] != before:
                self.boot_id, self.release = words[1:]
                self.note(f"# the next kernel is ready after {time.monotonic() - begun:.1f} s: Linux {self.release}")
                return self

    def _send(self, command):
        self._command_number += 1
        self.note(f"$ {command if len(command) < 2000 else command[:2000] + '...'}")
        encoded = base64.b64encode(command.encode("utf-8", "surrogateescape"))
        line = b"%d %b\n" % (self._command_number, encoded)
        try:
            self._serial.connection.settimeout(30)
            self._serial.connection.sendall(line)
        except OSError as error:
            self._fail(f"cannot send {command[:200]!r}: {error}")
        return self._command_number

    def _agent_line(self, end, what):
        try:
            return self._serial.read(end)
        except TimeoutError:
            self._fail(f"{what} in time")
        except (EOFError, OSError):
            self._gone(what)

    def _gone(self, what):
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            pass
        self._fail(f"{what}: the machine is gone")

    # QMP

    def qmp(self, command, deadline=60, **arguments):
        """Runs a QMP command and returns what it returns."""
        message = {"execute": command}
        if arguments:
            message["arguments"] = {key.replace("_", "-"): value for key, value in arguments.items()}
        self.note(f"# qmp {json.dumps(message)}")
        try:
            self._qmp.connection.settimeout(deadline)
            self._qmp.connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._gone(f"qmp {command}")
        answer = self._qmp_reply(f"qmp {command}", time.monotonic() + deadline,
                                 lambda message: "return" in message or "error" in message)
        if "error" in answer:
            self._fail(f"qmp {command}: {answer['error'].get('desc')}")
        return answer["return"]

    def _qmp_reply(self, what, end, wanted):
        while True:
            try:
                message = json.loads(self._qmp.read(end))
            except TimeoutError:
                self._fail(f"{what}: no answer in time")
            except (EOFError, OSError):
                self._gone(what)
            # Events come in between: nobody asked for them.
            if wanted(message):
                return message

    def stop(self):
        """Halts the processor, so that memory stays as it is."""
        self.qmp("stop")

    def resume(self):
        self.qmp("cont")

    def reset(self):
        """Presses the reset button; wait_ready comes next. `loads` are put into memory anew."""
        self.qmp("set-action", reboot="reset")
        self.qmp("system_reset")

    def memory(self, address, size):
        """Bytes of physical memory, seen from outside the guest."""
        path = self.scratch / "memory"
        self.save_memory(path, address, size)
        data = path.read_bytes()
        path.unlink()
        return data

    def save_memory(self, path, address, size):
        """Physical memory as a raw file (pmemsave)."""
        self.qmp("pmemsave", val=address, size=size, filename=str(path))
        return path

    def write_memory(self, address, data):
        """Changes physical memory from outside, through QEMU's stub for gdb; the guest stands still meanwhile."""
        path = self.scratch / "gdb"
        path.unlink(missing_ok=True)
        self.qmp("human-monitor-command", command_line=f"gdbserver unix:{path},server=on,wait=off")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stub:
            stub.settimeout(30)
            stub.connect(str(path))
            for packet in ("Qqemu.PhyMemMode:1", f"M{address:x},{len(data):x}:{data.hex()}", "D"):
                stub.sendall(f"${packet}#{sum(packet.encode()) % 256:02x}".encode())
                answer = b""
                # That the guest stands still (T) is said unasked, before or after the answer to what was asked first.
                while not (packets := [found for found in re.findall(rb"\$([^#]*)#..", answer)
                                       if not found.startswith(b"T")]):
                    if not (more := stub.recv(4096)):
                        self._fail(f"gdb's stub went away after {answer!r}")
                    answer += more
                stub.sendall(b"+")
                if packets != [b"OK"]:
                    self._fail(f"gdb's stub answered {answer!r} to {packet}")
        self.qmp("human-monitor-command", command_line="gdbserver none")
        self.qmp("cont")

    def dump(self, path, format="elf", deadline=120):
        """The whole memory as QEMU dumps it: "elf" or "kdump-zlib" (in makedumpfile's flattened form)."""
        self.qmp("dump-guest-memory", deadline, paging=False, protocol=f"file:{path}", format=format)
        return path
