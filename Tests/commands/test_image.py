"""`image`: what is in initrds of every kind, whether the helper in them will run, and putting it in."""

import functools
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

import initrds
from initrds import archive, executable, packed, record, TRAILER
from support import CommandTest, DAMAGED, FAILED, PROGRAM, ROOT, TIMEOUT, USAGE

MIB = 1 << 20


@functools.cache
def image_validator():
    import jsonschema

    schema = json.loads((ROOT / "Documentation/image.schema.json").read_text())
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


@functools.cache
def is_static():
    return b"ld-linux" not in PROGRAM.read_bytes()[:4096]


def tool(*command, content=None):
    done = subprocess.run(command, input=content, capture_output=True, env={**os.environ, "TZ": "UTC", "LC_ALL": "C"})
    if done.returncode:
        raise AssertionError(f"{command}: {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


class ImageTest(CommandTest):
    def run_program(self, *words, **options):
        """Unpacking takes a second of processor time, which can be many where others use the processors too."""
        return super().run_program(*words, timeout=6 * TIMEOUT, **options)

    def write(self, content, name="image.img"):
        path = self.scratch / name
        path.write_bytes(content)
        return path

    def copy(self, name):
        path = self.scratch / f"{name}.img"
        shutil.copy(initrds.image(name), path)
        return path

    def image_json(self, *words):
        result = self.run_program("image", *map(str, words), "--json")
        report = json.loads(result.out)
        errors = [f"{'/'.join(map(str, error.path))}: {error.message[:300]}"
                  for error in image_validator().iter_errors(report)]
        self.assertEqual(errors, [], report)
        return result, report

    def listed(self, path, *options):
        result = self.run_program("image", "list", *options, str(path))
        self.assertEqual((result.status, result.err), (0, b""), result)
        return result.out.decode().splitlines()

    def check(self, path, *options):
        """The exit status, and the lines as {subject: [verdict]}."""
        result, report = self.image_json("check", *options, path)
        self.assertEqual(report["exit"], result.status)
        plain = self.run_program("image", "check", *options, str(path))
        self.assertEqual(plain.status, result.status)
        verdicts = {}
        for line in report["lines"]:
            verdicts.setdefault(line["subject"], []).append(line["verdict"])
            self.assertEqual("remedy" in line, line["verdict"] != "good" or "remedy" in line, line)
            self.assertIn(f"{line['verdict']}: {line['subject']}: {line['text']}\n".encode(), plain.out)
            if line["verdict"] in ("bad", "unknown"):
                self.assertIn(line["remedy"].encode(), plain.out)
        return result.status, verdicts

    def assert_well(self, path, *options):
        status, verdicts = self.check(path, *options)
        self.assertEqual(status, 0, verdicts)
        self.assertEqual(verdicts["helper"], ["good"])
        self.assertEqual(verdicts["program"], ["good"])

    def append(self, path, *options, **more):
        result = self.run_program("image", "append", *options, str(path), **more)
        self.assertEqual(result.status, 0, result)
        return result.err.decode()


class Listing(ImageTest):
    def test_images_by_mkinitramfs_list_as_lsinitramfs_cpio_and_bsdtar_do(self):
        for form in initrds.PACKED:
            with self.subTest(form):
                lines = self.listed(initrds.image(form))
                self.assertGreater(len(lines), 300)
                self.assertEqual(lines, (initrds.folder(form) / f"{form}.list").read_text().splitlines())
                content = initrds.unpacked(initrds.image(form).read_bytes(), form)
                self.assertEqual(lines, tool("cpio", "-t", "--quiet", content=content).decode().splitlines())
                self.assertEqual(lines, tool("bsdtar", "-tf", "-", content=content).decode().splitlines())
                plain = self.write(content)
                self.assertEqual(self.listed(plain), lines)
                self.assertEqual(self.listed(plain, "-l"), self.listed(initrds.image(form), "--long"))

    def test_images_by_dracut_list_as_lsinitrd_does(self):
        for name in ("dracut-shell", "dracut-systemd", "with-dracut-shell", "with-dracut-systemd"):
            with self.subTest(name):
                theirs = {}
                pattern = re.compile(r"^([-dlcbps]\S{9}) +(\d+) +\S+ +\S+ +([\d, ]+) \w{3} [ \d]\d [ \d:]{5} (.+)$")
                for line in (initrds.folder(name) / f"{name}.long").read_text().splitlines():
                    if match := pattern.match(line):
                        mode, links, size, path = match.groups()
                        theirs[path] = (mode, int(links), size.replace(" ", ""))
                ours = {}
                for line in self.listed(initrds.image(name), "-l"):
                    mode, links, _, _, rest = line.split(None, 4)
                    match = re.match(r"(\d+,? *\d*) (\d{4}-\d\d-\d\d \d\d:\d\d) (.+)$", rest)
                    self.assertIsNotNone(match, line)
                    ours[match[3]] = (mode, int(links), match[1].replace(" ", ""))
                self.assertGreater(len(ours), 150)
                self.assertEqual(ours, theirs)

    def test_the_long_form_has_what_cpio_and_the_json_have(self):
        name = "dracut-systemd"
        content = initrds.unpacked(initrds.image(name).read_bytes(), "zstd")
        theirs = tool("cpio", "-tvn", "--quiet", content=content).decode().splitlines()
        ours = self.listed(initrds.image(name), "-l")
        self.assertEqual(len(ours), len(theirs))
        _, report = self.image_json("list", initrds.image(name))
        files = report["segments"][0]["files"]
        self.assertEqual(len(files), len(ours))
        for line, their, file in zip(ours, theirs, files):
            # Up to the time, which cpio writes in other words.
            self.assertEqual(line.split()[:4], their.split()[:4])
            end = file["path"] + (f" -> {file['target']}" if "target" in file else "")
            self.assertTrue(line.endswith(" " + end), (line, file))
            self.assertTrue(their.endswith(" " + end), (their, file))
            self.assertIn(time.strftime("%Y-%m-%d %H:%M", time.gmtime(file["mtime"])), line)

    def test_microcode_first_and_several_segments(self):
        early = archive(record("kernel", mode=0o40755), record("kernel/x86", mode=0o40755),
                        record("kernel/x86/microcode", mode=0o40755),
                        record("kernel/x86/microcode/GenuineIntel.bin", b"x" * 2048))
        second = archive(record("second", b"2"))
        content = early.ljust(-(-len(early) // 512) * 512, b"\0") + initrds.image("zstd").read_bytes()
        content += b"\0" * (-len(content) % 4) + second
        path = self.write(content)
        lines = self.listed(path)
        main = self.listed(initrds.image("zstd"))
        self.assertEqual(lines, ["kernel", "kernel/x86", "kernel/x86/microcode",
                                 "kernel/x86/microcode/GenuineIntel.bin", *main, "second"])
        segments = self.listed(path, "--segments")[1:]
        self.assertEqual(["none", "zstd", "none"], [line.split()[2] for line in segments])
        self.assertTrue(segments[0].endswith("early"))
        self.assertEqual([int(line.split()[4]) for line in segments], [4, len(main), 1])

    def test_what_is_not_unpacked_is_named(self):
        content = archive(record("one", b"1"))
        for form in ("bzip2", "lz4-frame"):
            with self.subTest(form):
                path = self.write(packed(content, form))
                self.assertIn(f" {form} ", self.listed(path, "--segments")[1])
                self.assertIn("not-unpacked", self.listed(path, "--segments")[1])
                self.assertEqual(self.check(path)[0] & FAILED, FAILED)

    def test_devices_links_and_names_with_every_byte(self):
        path = self.write(archive(
            record("dev/console", mode=0o20600, device=(5, 1)), record("li\x1bnk", b"to\n", 0o120777),
            record("so cket", mode=0o140777), record("fifo", mode=0o10600)))
        lines = self.listed(path, "-l")
        self.assertRegex(lines[0], r"^crw------- +1 +0 +0 +5, 1 1970-01-01 00:00 dev/console$")
        self.assertRegex(lines[1], r"^lrwxrwxrwx .* li\\x1bnk -> to\\x0a$")
        _, report = self.image_json("list", path)
        self.assertEqual([file["type"] for file in report["segments"][0]["files"]],
                         ["character-device", "symlink", "socket", "fifo"])


class Checking(ImageTest):
    def test_images_without_the_helper_are_told_so(self):
        for flavour, name in initrds.KINDS.items():
            with self.subTest(flavour):
                status, verdicts = self.check(initrds.image(name))
                self.assertEqual(status, DAMAGED)
                self.assertEqual(verdicts["helper"], ["bad"])
                self.assertEqual(self.image_json("check", initrds.image(name))[1]["flavour"], flavour)

    def test_where_sbin_is_a_link_to_bin(self):
        helper = record("usr/bin/pram-verify", PROGRAM.read_bytes(), 0o100755)
        for before, verdict in (((record("usr/sbin", b"bin", 0o120777),), "good"),
                                ((record("sbin", b"usr/bin", 0o120777),), "good"),
                                ((record("usr/sbin", b"lib", 0o120777),), "bad"),
                                ((record("usr/sbin", mode=0o040755),), "bad"), ((), "bad")):
            path = self.write(archive(*before, helper))
            lines = self.image_json("check", path)[1]["lines"]
            self.assertEqual([line["verdict"] for line in lines if line["subject"] == "helper"], [verdict], before)

    def test_images_made_with_the_hooks_are_well(self):
        config = self.write(b"# Linux\nCONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_ZSTD=y\nCONFIG_RD_XZ=y\nCONFIG_RD_GZIP=y\n",
                            "config")
        for name in ("initramfs-tools", "dracut-shell", "dracut-systemd"):
            with self.subTest(name):
                self.assert_well(initrds.image(f"with-{name}"), f"--config={config}", "--cmdline=quiet")

    def test_a_kernel_that_cannot_unpack_it(self):
        config = self.write(b"# Linux\nCONFIG_BLK_DEV_INITRD=y\n# CONFIG_RD_ZSTD is not set\n", "config")
        status, verdicts = self.check(initrds.image("with-initramfs-tools"), f"--config={config}")
        self.assertEqual((status, verdicts["decompressor"]), (DAMAGED, ["bad"]))

    def test_drivers_are_wanted_where_the_line_reserves_pmem(self):
        path = initrds.image("with-initramfs-tools")
        status, verdicts = self.check(path, "--cmdline=memmap=64M!4G")
        self.assertEqual((status & DAMAGED, verdicts["drivers"]), (DAMAGED, ["bad"]))
        for line in ("memmap=64M$4G", "x=memmap=64M!4G", "-- memmap=64M!4G", "memmap=64M!4G,exactmap"):
            self.assertNotIn("drivers", self.check(path, f"--cmdline={line}")[1], line)

    def test_a_script_that_is_not_executable_or_not_in_order(self):
        content = initrds.unpacked(initrds.image("with-initramfs-tools").read_bytes(), "zstd")
        script = self.run_program("image", "extract", str(initrds.image("with-initramfs-tools")),
                                  "scripts/init-top/pram-verify").out
        content = content.rstrip(b"\0") + b"\0" * 4
        content += b"\0" * (-len(content) % 4)
        for name, extra, subject in (
                ("mode", record("scripts/init-top/pram-verify", script, 0o100644), "script"),
                ("order", record("scripts/init-top/ORDER", b"/scripts/init-top/udev \"$@\"\n"), "order")):
            with self.subTest(name):
                status, verdicts = self.check(self.write(content + archive(extra)))
                self.assertEqual((status, verdicts[subject]), (DAMAGED, ["bad"]))

    def test_another_program_of_the_same_name(self):
        path = self.copy("with-initramfs-tools")
        other = bytearray(PROGRAM.read_bytes())
        other[len(other) // 2] ^= 1
        content = path.read_bytes()
        more = archive(record("usr/sbin/pram-verify", bytes(other), 0o100755))
        status, verdicts = self.check(self.write(content + b"\0" * (-len(content) % 4) + more))
        self.assertEqual((status & DAMAGED, verdicts["program"]), (DAMAGED, ["bad"]))
        # Of another architecture.
        other[18:20] = (183).to_bytes(2, "little")
        more = archive(record("usr/sbin/pram-verify", bytes(other), 0o100755))
        status, verdicts = self.check(self.write(content + b"\0" * (-len(content) % 4) + more))
        self.assertEqual(verdicts["architecture"], ["bad"])


    def test_where_nothing_could_be_read_the_json_says_why(self):
        for path, cause, *more in (("/no/such/file", "system-call"), ("/dev/null", "image"), (self.write(b""), "image"),
                                   (initrds.image("zstd"), "system-call", "--config=/no/such/file")):
            for command in ("list", "check"):
                if more and command == "list":
                    continue
                with self.subTest(path=str(path), command=command):
                    result, report = self.image_json(command, *more, path)
                    self.assertEqual((result.status, report["exit"], report["command"]), (FAILED, FAILED, command))
                    self.assertEqual((report["failure"]["cause"], report["image"]), (cause, str(path)))
                    self.assertIn(report["failure"]["message"].encode(), result.err)
        # One object and no second one where the image ends early, and none for a wrong call.
        result, report = self.image_json("list", self.write(initrds.image("xz").read_bytes()[:-100]))
        self.assertEqual((result.status, report["failure"]["cause"]), (FAILED, "image"))
        self.assertIn(b"cut short", result.err)
        self.assertEqual(result.err.count(b"cut short in"), 0)
        result = self.run_program("image", "list", "--json")
        self.assertEqual((result.status, result.out), (USAGE, b""))


class OfMkinitcpio(ImageTest):
    """Images in the layout of mkinitcpio's documentation and code, which Debian has not: what its init looks at."""

    CONFIG = b'EARLYHOOKS="udev"\nHOOKS="udev"\nLATEHOOKS=""\nCLEANUPHOOKS="udev"\nEMERGENCYHOOKS=""\n'

    def tree(self):
        folder, link = 0o40755, 0o120777
        return [record("bin", b"usr/bin", link), record("sbin", b"usr/bin", link), record("lib", b"usr/lib", link),
                record("usr", mode=folder), record("usr/bin", mode=folder), record("usr/lib", mode=folder),
                record("usr/sbin", b"bin", link), record("usr/bin/busybox", PROGRAM.read_bytes()[:64], 0o100755),
                record("usr/bin/sh", b"busybox", link), record("usr/bin/cat", b"busybox", link),
                record("hooks", mode=folder), record("hooks/udev", b"run_earlyhook() {\n}\n", 0o100755)]

    def busybox(self, config=CONFIG):
        return archive(*self.tree(), record("init_functions", b"#!/usr/bin/ash\n"), record("config", config),
                       record("init", b"#!/usr/bin/ash\n", 0o100755))

    def test_with_busybox_it_is_told_extended_and_then_well(self):
        for form in ("zstd", "gzip", "xz", "lz4", "none"):
            with self.subTest(form):
                path = self.write(packed(self.busybox(), form))
                status, verdicts = self.check(path)
                self.assertEqual((status, verdicts["helper"], verdicts["hook"], verdicts["order"]),
                                 (DAMAGED, ["bad"], ["bad"], ["bad"]))
                self.assertIn("appended for mkinitcpio", self.append(path))
                self.assert_well(path)
                config = self.run_program("image", "extract", str(path), "config").out
                self.assertEqual(config, self.CONFIG.replace(b'EARLYHOOKS="', b'EARLYHOOKS="pram-verify ', 1))
                hook = self.run_program("image", "extract", str(path), "hooks/pram-verify").out
                self.assertEqual(hook, (ROOT / "mkinitcpio/hooks/pram-verify").read_bytes())
                self.assertTrue(any(line.endswith(" usr/bin/pram-verify") for line in self.listed(path, "-l")))
                before = path.read_bytes()
                self.assertIn("it is there already", self.append(path))
                self.assertEqual(path.read_bytes(), before)

    def test_with_systemd_it_is_told_extended_and_then_well(self):
        path = self.write(archive(*self.tree(), record("usr/lib/systemd", mode=0o40755),
                                  record("usr/lib/systemd/systemd", mode=0o100755),
                                  record("init_functions"), record("config", self.CONFIG),
                                  record("init", b"usr/lib/systemd/systemd", 0o120777)))
        self.assertEqual(self.image_json("check", path)[1]["flavour"], "systemd")
        self.assertIn("appended for systemd", self.append(path))
        self.assert_well(path)

    def test_what_the_install_hook_puts_in_is_left_alone(self):
        rules = (ROOT / "initramfs-hooks/98-pram-verify.rules").read_bytes()
        with_hook = archive(*self.tree(), record("init_functions"), record("init", mode=0o100755),
                            record("config", b'EARLYHOOKS="pram-verify udev"\nHOOKS="udev"\n'),
                            record("hooks/pram-verify", (ROOT / "mkinitcpio/hooks/pram-verify").read_bytes(), 0o100755),
                            record("usr/lib/udev", mode=0o40755), record("usr/lib/udev/rules.d", mode=0o40755),
                            record("usr/lib/udev/rules.d/98-pram-verify.rules", rules),
                            record("usr/bin/pram-verify", PROGRAM.read_bytes(), 0o100755))
        path = self.write(with_hook)
        self.assert_well(path)
        self.assertIn("it is there already", self.append(path))
        self.assertEqual(path.read_bytes(), with_hook)

    def test_a_list_of_hooks_that_nobody_knows_is_refused(self):
        for config in (b"EARLYHOOKS=udev\n", b'HOOKS="udev"\n', b'EARLYHOOKS="$(reboot)"\n', b""):
            image = self.busybox(config)
            path = self.write(image)
            result = self.run_program("image", "append", str(path))
            self.assertEqual(result.status, FAILED, result)
            self.assertIn(b"mkinitcpio.conf", result.err)
            self.assertEqual(path.read_bytes(), image)
        # There is no archive of its own for it.
        out = self.scratch / "out"
        result = self.run_program("image", "make", "--flavour=mkinitcpio", str(out))
        self.assertEqual((result.status, out.exists()), (USAGE, False))


class Appending(ImageTest):
    def test_each_kind_is_told_extended_and_then_well(self):
        for flavour, name in [*initrds.KINDS.items(), *(("initramfs-tools", form) for form in initrds.PACKED)]:
            with self.subTest(name):
                path = self.copy(name)
                before = path.read_bytes()
                self.assertIn(f"appended for {flavour}", self.append(path))
                after = path.read_bytes()
                self.assertEqual(after[:len(before)], before)
                self.assert_well(path)
                # What was there still is, and all of it is an archive to others too.
                ours = self.listed(path)
                self.assertEqual(ours[:len(self.listed(initrds.image(name)))], self.listed(initrds.image(name)))
                segment = after[len(before):].lstrip(b"\0")
                theirs = tool("cpio", "-t", "--quiet", content=segment).decode().splitlines()
                self.assertEqual(ours[-len(theirs):], theirs)
                self.assertIn("usr/sbin/pram-verify", theirs)
                # A second run changes nothing.
                stat = path.stat()
                self.assertIn("it is there already", self.append(path))
                self.assertEqual((path.stat().st_mtime_ns, path.stat().st_ino), (stat.st_mtime_ns, stat.st_ino))

    def test_images_with_the_hooks_are_left_alone(self):
        for name in ("initramfs-tools", "dracut-shell", "dracut-systemd"):
            with self.subTest(name):
                path = self.copy(f"with-{name}")
                before = path.read_bytes()
                self.assertIn("it is there already", self.append(path))
                self.assertEqual(path.read_bytes(), before)

    def test_what_lies_in_directories_of_other_archives_is_extracted_too(self):
        made, tree = self.scratch / "made.cpio", self.scratch / "tree"
        for flavour in ("initramfs-tools", "systemd", "dracut-shell"):
            with self.subTest(flavour):
                shutil.rmtree(tree, ignore_errors=True)
                made.unlink(missing_ok=True)
                for words in (("make", f"--flavour={flavour}", str(made)), ("extract", "-d", str(tree), str(made))):
                    result = self.run_program("image", *words)
                    self.assertEqual(result.status, 0, result)
                self.assertEqual((tree / "usr/sbin/pram-verify").read_bytes(), PROGRAM.read_bytes())
                self.assertEqual((tree / "usr/sbin").stat().st_mode & 0o7777, 0o755)

    def test_bytes_are_the_same_everywhere(self):
        made = set()
        for folder, options in (("one", {}), ("a/much/deeper/place", {"umask": 0o077, "env": {"TZ": "Asia/Tokyo"}})):
            path = self.scratch / folder / "image"
            path.parent.mkdir(parents=True)
            shutil.copy(initrds.image("zstd"), path)
            self.append(path, cwd=path.parent, **options)
            made.add(path.read_bytes())
        self.assertEqual(len(made), 1)
        self.assertEqual({line.split()[5] for line in self.listed(path, "-l")[-5:]}, {"1970-01-01"})
        dated = self.copy("zstd")
        self.append(dated, env={"SOURCE_DATE_EPOCH": "1700000000"})
        self.assertEqual({line.split()[5] for line in self.listed(dated, "-l")[-5:]}, {"2023-11-14"})
        for wrong in ("yesterday", "-1", "4294967296", "1.5"):
            result = self.run_program("image", "append", str(dated), env={"SOURCE_DATE_EPOCH": wrong})
            self.assertEqual(result.status, USAGE, result)

    def test_mode_owner_and_a_link_to_the_image_stay(self):
        path = self.copy("zstd")
        os.chown(path, 1234, 4321)
        os.chmod(path, 0o640)
        link = self.scratch / "initrd.img"
        link.symlink_to(path.name)
        self.append(link)
        self.assertTrue(link.is_symlink())
        stat = path.stat()
        self.assertEqual((stat.st_mode & 0o7777, stat.st_uid, stat.st_gid), (0o640, 1234, 4321))
        self.assertGreater(stat.st_size, initrds.image("zstd").stat().st_size)
        self.assertEqual(sorted(os.listdir(self.scratch)), ["initrd.img", "zstd.img"])

    def test_another_place_leaves_the_image_alone(self):
        path = self.copy("zstd")
        before = path.read_bytes()
        out = self.scratch / "out"
        self.append(path, "-o", str(out))
        self.assertEqual(path.read_bytes(), before)
        self.assert_well(out)
        # Also where there is nothing to add.
        again = self.scratch / "again"
        self.append(out, f"--output={again}")
        self.assertEqual(again.read_bytes(), out.read_bytes())

    def test_an_older_helper_gives_way(self):
        path = self.copy("zstd")
        self.append(path)
        new = path.read_bytes()
        old = bytearray(new)
        place = new.rindex(b"pram-verify-marker:0.")
        old[place + len(b"pram-verify-marker:0.")] ^= 1
        path.write_bytes(old)
        self.assertEqual(self.check(path)[0], DAMAGED)
        self.assertIn("replaced", self.append(path))
        self.assertEqual(path.read_bytes(), new)

    def test_whatever_moment_it_is_killed_at_the_image_is_whole(self):
        path = self.copy("zstd")
        old = path.read_bytes()
        self.append(path)
        new = path.read_bytes()
        ends = set()
        dice = random.Random(5)
        for _ in range(40):
            path.write_bytes(old)
            process = subprocess.Popen([PROGRAM, "image", "append", path], stderr=subprocess.DEVNULL)
            time.sleep(dice.random() * 0.12)
            process.send_signal(signal.SIGKILL)
            process.wait()
            content = path.read_bytes()
            self.assertIn(content, (old, new))
            ends.add(content == new)
        self.assertIn(False, ends)
        self.append(path)
        self.assertEqual(path.read_bytes(), new)

    def test_what_is_not_understood_is_refused(self):
        content = archive(record("init", b"#!/bin/sh\n", 0o100755))
        for name, image, said in (
                ("unknown start", content, b"--flavour="),
                ("bzip2", packed(content, "bzip2"), b"bzip2"),
                ("cut short", initrds.image("xz").read_bytes()[:-100], b"cut short"),
                ("garbage behind", initrds.image("zstd").read_bytes() + b"garbage!", b"")):
            with self.subTest(name):
                path = self.write(image)
                result = self.run_program("image", "append", str(path))
                self.assertEqual(result.status, FAILED, result)
                self.assertIn(said, result.err)
                self.assertEqual(path.read_bytes(), image)
        path = self.write(content)
        self.append(path, "--flavour=systemd")
        self.assertIn("usr/lib/systemd/system/pram-verify-boot.service", self.listed(path))

    def test_nobody_elses_image_is_written(self):
        path = self.copy("zstd")
        before = path.read_bytes()
        os.chmod(self.scratch, 0o755)
        os.chmod(path, 0o644)
        as_nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        program = self.scratch / "program"
        shutil.copy(PROGRAM, program)
        for words, status in ((("list",), 0), (("check",), DAMAGED), (("append",), FAILED)):
            result = self.run_program("image", *words, str(path), prefix=as_nobody, program=program)
            self.assertEqual(result.status, status, result)
        self.assertEqual(path.read_bytes(), before)


class Making(ImageTest):
    def test_an_archive_behind_the_image_is_as_good(self):
        for flavour, name in initrds.KINDS.items():
            for compress in ((), ("--compress=gzip",)):
                with self.subTest(flavour=flavour, compress=compress):
                    out = self.scratch / "made"
                    result = self.run_program("image", "make", f"--flavour={flavour}", *compress, str(out))
                    self.assertEqual((result.status, result.out, result.err), (0, b"", b""))
                    self.assertEqual(self.listed(out, "--segments")[1].split()[2], "gzip" if compress else "none")
                    before = initrds.image(name).read_bytes()
                    path = self.write(before + b"\0" * (-len(before) % 4) + out.read_bytes())
                    self.assert_well(path)
                    made = out.read_bytes()
                    self.run_program("image", "make", f"--flavour={flavour}", *compress, str(out), cwd="/")
                    self.assertEqual(out.read_bytes(), made)
                    self.assertEqual(self.listed(out),
                                     tool("bsdtar", "-tf", str(out)).decode().splitlines())

    def test_append_does_not_write_to_standard_output(self):
        path = self.write(initrds.image("zstd").read_bytes())
        done = subprocess.run([PROGRAM, "image", "append", "-o", "-", path], capture_output=True, cwd=self.scratch)
        self.assertEqual((done.returncode, done.stdout), (USAGE, b""), done)
        self.assertIn(b"image make -", done.stderr)
        self.assertFalse((self.scratch / "-").exists())

    def test_a_dash_is_standard_output(self):
        for compress in ((), ("--compress=gzip",)):
            out = self.scratch / "made"
            call = ["image", "make", "--flavour=systemd", *compress]
            self.run_program(*call, str(out))
            done = subprocess.run([PROGRAM, *call, "-"], capture_output=True, cwd=self.scratch)
            self.assertEqual((done.returncode, done.stdout), (0, out.read_bytes()))
            self.assertEqual(os.listdir(self.scratch), ["made"])

    def test_wrong_calls(self):
        out = str(self.scratch / "out")
        for words in (["make", out], ["make", "--flavour=none", out], ["make", "--flavour=systemd"],
                      ["make", "--flavour=systemd", "--compress=xz", out], ["list"], ["list", "a", "b"], ["extract", "a"],
                      ["list", "-l", "--json", "a"], ["extract", "--devices", "a", "b"], ["append", "--flavour=x", "a"],
                      ["list", "--unpack-limit=x", "a"], [], ["lost"]):
            with self.subTest(words):
                self.assertEqual(self.run_program("image", *words).status, USAGE)
        self.assertEqual(os.listdir(self.scratch), [])


class Extracting(ImageTest):
    def test_everything_is_as_cpio_unpacks_it(self):
        for name, form in (("zstd", "zstd"), ("dracut-shell", "gzip")):
            with self.subTest(name):
                ours, theirs = self.scratch / f"ours-{name}", self.scratch / f"theirs-{name}"
                theirs.mkdir()
                content = initrds.unpacked(initrds.image(name).read_bytes(), form)
                subprocess.run(["cpio", "-idm", "--quiet", "--no-absolute-filenames"], input=content, cwd=theirs,
                               check=True, stderr=subprocess.DEVNULL)
                result = self.run_program("image", "extract", "-d", str(ours), "--devices",
                                          str(initrds.image(name)))
                self.assertEqual(result.status, 0, result)
                # The same names, modes, owners, sizes and links, and the same bytes.
                find = ["find", ".", "-mindepth", "1", "-printf", "%P %y %m %U %G %n %l\\n"]
                both = [sorted(subprocess.run(find, cwd=place, capture_output=True, check=True).stdout.splitlines())
                        for place in (ours, theirs)]
                self.assertEqual(*both)
                self.assertEqual(tool("diff", "-r", "--no-dereference", str(ours), str(theirs)), b"")

    def test_one_file(self):
        content = initrds.unpacked(initrds.image("gzip").read_bytes(), "gzip")
        subprocess.run(["cpio", "-idm", "--quiet", "init", "scripts/init-top/*"], input=content, cwd=self.scratch,
                       check=True)
        for path in ("init", "./init", "scripts/init-top/ORDER"):
            done = subprocess.run([PROGRAM, "image", "extract", initrds.image("gzip"), path], capture_output=True)
            self.assertEqual((done.returncode, done.stdout), (0, (self.scratch / path).read_bytes()), path)
        for path in ("none", "scripts", "bin"):
            result = self.run_program("image", "extract", str(initrds.image("gzip")), path)
            self.assertEqual((result.status, result.out), (FAILED, b""), path)

    def test_links_on_the_way_are_followed(self):
        path = self.write(archive(
            record("usr/lib/foo", b"foo"), record("lib", b"usr/lib", 0o120777), record("usr/lib64", b"lib", 0o120777),
            record("abs", b"/usr/lib64", 0o120777), record("deep/up", b"../usr/../../lib", 0o120777),
            record("round", b"round", 0o120777), record("late", b"none", 0o120777), record("late", mode=0o40755),
            record("late/foo", b"late"), record("usr/lib/link", b"foo", 0o120777)))
        for name, content in (("usr/lib/foo", b"foo"), ("lib/foo", b"foo"), ("/usr/lib64/foo", b"foo"),
                              ("abs/foo", b"foo"), ("deep/up/foo", b"foo"), ("late/foo", b"late")):
            result = self.run_program("image", "extract", str(path), name)
            self.assertEqual((result.status, result.out), (0, content), (name, result))
        for name, words in (("lib/none", b"lead to usr/lib/none,"), ("round/foo", b"symbolic links lead to"),
                            ("none/foo", b"no such path in the image"), ("lib/link", b"a symbolic link to foo")):
            result = self.run_program("image", "extract", str(path), name)
            self.assertEqual((result.status, result.out), (FAILED, b""), (name, result))
            self.assertIn(words, result.err, name)

    def extracted(self, path, *names):
        """What is below a directory once all is unpacked, which single paths must agree with; links are not listed."""
        folder = self.scratch / "unpacked"
        shutil.rmtree(folder, ignore_errors=True)
        result = self.run_program("image", "extract", "-d", str(folder), str(path))
        self.assertEqual(result.status & ~DAMAGED, 0, result)
        files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*")
                 if file.is_file() and not file.is_symlink()}
        for name, content in [*files.items(), *((name, (folder / name).read_bytes()) for name in names)]:
            one = self.run_program("image", "extract", str(path), name)
            self.assertEqual((one.status, one.out), (0, content), name)
        return files

    def test_links_lead_later_records_of_the_image(self):
        start = record("usr/lib", mode=0o40755) + record("lib", b"usr/lib", 0o120777)
        for content, files in (
                (archive(start, record("usr/lib/x", b"OLD"), record("lib/x", b"NEW")), {"usr/lib/x": b"NEW"}),
                (archive(start, record("lib/x", b"OLD"), record("usr/lib/x", b"NEW")), {"usr/lib/x": b"NEW"}),
                (archive(start, record("usr/lib/x", b"OLD")) + archive(record("lib/x", b"NEW")), {"usr/lib/x": b"NEW"}),
                (archive(start, record("lib/x", b"OLD")) + archive(record("usr/lib/x", b"NEW")), {"usr/lib/x": b"NEW"})):
            path = self.write(content)
            self.assertEqual(self.extracted(path, "lib/x"), files)
        # A directory takes the place of the link: what was reached through it stays where it is.
        path = self.write(archive(start, record("lib/x", b"1"), record("lib", mode=0o40755), record("lib/y", b"2")))
        self.assertEqual(self.extracted(path), {"usr/lib/x": b"1", "lib/y": b"2"})
        # One with something in it does not give way to a file.
        path = self.write(archive(record("d", mode=0o40755), record("d/x", b"1"), record("d", b"FILE")))
        self.assertEqual(self.extracted(path), {"d/x": b"1"})
        self.assertIn(b"it is a directory", self.run_program("image", "extract", str(path), "d").err)

    def test_names_of_one_file_have_what_was_written_last(self):
        def name(name, data, links=2):
            return record(name, data, links=links, inode=3, mode=0o100444)

        for records, files in (
                ((name("a", b"AAAA"), name("b", b"B")), {"a": b"B", "b": b"B"}),
                ((name("a", b""), name("a", b"zz", 1), name("b", b"DD")), {"a": b"DD", "b": b"DD"}),
                ((name("a", b"AA"), name("b", b""), name("a", b"new", 1)), {"a": b"new", "b": b"new"}),
                ((name("a", b"AA"), name("b", b""), record("b", mode=0o40755), name("a", b"C", 1)), {"a": b"C"}),
                ((name("a", b"AA"), TRAILER, name("b", b"B")), {"a": b"AA", "b": b"B"}),
                ((name("a", b""), name("b", b"B"), record("d", mode=0o40755), record("d/x", b"X"), record("e/y", b"Y")),
                 {"a": b"B", "b": b"B", "d/x": b"X", "e/y": b"Y"})):
            self.assertEqual(self.extracted(self.write(archive(*records))), files)

    def test_wrong_sums_are_not_handed_out(self):
        path = self.write(archive(record("good", b"1"), record("a", b"hello", magic=b"070702", check=1)))
        for words in (["list", str(path)], ["list", "-l", str(path)], ["list", "--json", str(path)],
                      ["extract", str(path), "a"], ["extract", "-d", str(self.scratch / "new"), str(path)]):
            result = self.run_program("image", *words)
            self.assertEqual(result.status, FAILED, words)
            self.assertIn(b"do not fit the checksum", result.err)
            self.assertNotIn(b"hello", result.out)

    def test_segments_that_are_not_looked_into_are_not_left_out(self):
        early = archive(record("kernel/x86/microcode/x", b"1"))
        rest = archive(record("init", b"2"))
        for form, remedy in (("bzip2", "bzip2 -dc"), ("lz4-frame", "lz4 -dc")):
            path = self.write(early + packed(rest, form))
            folder = self.scratch / form
            for words in (["list", str(path)], ["list", "-l", str(path)], ["list", "--json", str(path)],
                          ["extract", str(path), "init"], ["extract", str(path), "kernel/x86/microcode/x"],
                          ["extract", "-d", str(folder), str(path)]):
                result = self.run_program("image", *words)
                self.assertEqual(result.status, FAILED, words)
                self.assertIn(f"the {form} data are not unpacked here".encode(), result.err)
                self.assertIn(f"tail -c +{len(early) + 1} IMAGE | {remedy}".encode(), result.err)
                self.assertIn(b"in segment 1", result.err)
            self.assertEqual((folder / "kernel/x86/microcode/x").read_bytes(), b"1")
            self.assertEqual(self.image_json("list", path)[1]["segments"][1]["looked_into"], False)

    def test_nothing_lands_outside(self):
        outside = self.scratch / "outside"
        outside.mkdir()
        goal = f"{outside}/written"
        hostile = archive(
            record("../up", b"1"), record("a/../../up", b"1"), record(goal, b"1"),
            record("link", str(outside).encode(), 0o120777), record("link/through", b"1"),
            record("back", b"..", 0o120777), record("back/up", b"1"),
            record("file", str(outside / "file").encode(), 0o120777), record("file", b"1"),
            record("good", b"good"), record("dev/null", mode=0o20666, device=(1, 3)))
        path = self.write(hostile)
        folder = self.scratch / "folder"
        result = self.run_program("image", "extract", "--directory", str(folder), str(path))
        self.assertEqual(result.status & ~DAMAGED, 0, result)
        self.assertIn(b".. in its path", result.err)
        self.assertEqual(os.listdir(outside), [])
        self.assertFalse((self.scratch / "up").exists())
        self.assertEqual((folder / "good").read_bytes(), b"good")
        self.assertFalse((folder / "dev/null").exists())
        for name in ("../up", "a/../../up", "a/../good"):
            one = self.run_program("image", "extract", str(path), name)
            self.assertEqual((one.status, one.out), (FAILED, b""), one)
            self.assertIn(b".. in its path", one.err)
        # A directory that is not empty is no place for it.
        self.assertEqual(self.run_program("image", "extract", "-d", str(folder), str(path)).status, FAILED)

    def test_what_is_cut_short_is_named(self):
        whole = archive(record("good", b"good"), record("large", b"1" * 100_000))
        path = self.write(whole[:whole.index(b"1" * 100) + 5000])
        folder = self.scratch / "folder"
        result = self.run_program("image", "extract", "-d", str(folder), str(path))
        self.assertEqual(result.status, FAILED, result)
        self.assertIn(b"large: it is not complete", result.err)
        self.assertNotIn(b"good: ", result.err)

    def test_devices_are_roots_alone(self):
        path = self.write(archive(record("null", mode=0o20666, device=(1, 3))))
        folder = self.scratch / "folder"
        result = self.run_program("image", "extract", "--devices", "-d", str(folder), str(path))
        self.assertEqual(result.status, 0, result)
        self.assertEqual(os.stat(folder / "null").st_rdev, os.makedev(1, 3))
        os.chmod(self.scratch, 0o777)
        program = self.scratch / "program"
        shutil.copy(PROGRAM, program)
        result = self.run_program("image", "extract", "--devices", "-d", str(self.scratch / "new"), str(path),
                                  prefix=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
                                  program=program)
        self.assertEqual(result.status, FAILED, result)


class Replaced(ImageTest):
    """What later records make of the helper, wherever links lead them."""

    def test_the_helper_is_looked_at_behind_links(self):
        base = archive(
            record("usr", mode=0o40755), record("usr/sbin", mode=0o40755), record("usr/bin", mode=0o40755),
            record("sbin", b"usr/sbin", 0o120777), record("bin", b"usr/bin", 0o120777),
            record("bin/sh", b"#!", 0o100755), record("bin/cat", PROGRAM.read_bytes()[:64], 0o100755),
            record("scripts", mode=0o40755), record("scripts/init-top", mode=0o40755), record("scripts/functions"),
            record("scripts/init-top/ORDER", b'/scripts/init-top/udev "$@"\n'))
        path = self.write(base)
        self.assertEqual(self.run_program("image", "append", str(path)).status, 0)
        self.assertEqual(self.check(path)[0], 0)
        good = path.read_bytes()
        good += b"\0" * (-len(good) % 4)
        for late in (record("sbin/pram-verify", b"garbage", 0o100755), record("sbin/pram-verify", b"/none", 0o120777)):
            path.write_bytes(good + archive(late))
            status, verdicts = self.check(path)
            self.assertEqual((status, verdicts["helper"]), (DAMAGED, ["bad"]))
            result = self.run_program("image", "append", str(path))
            self.assertEqual(result.status, 0, result)
            self.assertNotIn(b"already", result.out + result.err)
            self.assertEqual(self.check(path)[0], 0)
        # A directory in place of the link hides nothing; what lies elsewhere is not what the hooks call.
        path.write_bytes(good + archive(record("sbin", mode=0o40755), record("sbin/pram-verify", b"garbage", 0o100755)))
        self.assertEqual(self.check(path)[0], 0)


class Hostile(ImageTest):
    """A clear answer within two seconds of processor time and 64 MiB, whatever the image says."""

    def hostile(self, path, *words):
        """All commands that only read. The status is a failure with a message, but for what a list can take."""
        statuses = {}
        memory = 64 * MIB if is_static() else 1024 * MIB
        for words in (["list"], ["list", "-l"], ["list", "--segments"], ["list", "--json"], ["check"],
                      ["check", "--json"], ["append", "-o", str(self.scratch / "out")], ["extract"]):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = words + [str(path)] + (["no/such/path"] if words == ["extract"] else [])
            result = self.run_program("image", *command, prefix=("prlimit", f"--as={memory}"))
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            if is_static():
                # A million records make 150 MB of JSON or 80 MB of lines, which is no error.
                self.assertLess(spent, 4 if words[0] == "list" and result.status == 0 else 2, words)
            if result.status & FAILED and "check" not in words:
                self.assertTrue(result.err.startswith(b"pram-verify: "), result)
            self.assertNotIn(b"Cannot allocate", result.err)
            if words[-1] == "--json":
                report = json.loads(result.out)
                self.assertEqual(list(image_validator().iter_errors(report)), [])
                if "list" in words:
                    self.assertEqual(report["failure"] is not None, bool(result.status & FAILED), words)
            statuses[" ".join(words)] = result.status
        return statuses

    def assert_refused(self, path):
        statuses = self.hostile(path)
        self.assertEqual({name for name, status in statuses.items() if not status & FAILED}, set())

    def test_what_is_no_image(self):
        os.mkfifo(self.scratch / "fifo")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.scratch / "socket"))
            for path in (self.write(b"", "empty"), self.write(b"#!/bin/sh\n", "script"), self.write(b"MZ", "MZ"),
                         self.write(b"0707", "begun"), self.scratch,
                         "/dev/null", "/dev/zero", self.scratch / "fifo", self.scratch / "socket", "/no/such/file"):
                with self.subTest(str(path)):
                    self.assert_refused(path)

    def test_sizes_up_to_the_largest(self):
        for field in ("size", "name_size"):
            for value in (4097, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF):
                for form in ("none", "zstd", "gzip"):
                    with self.subTest(field=field, value=value, form=form):
                        content = record("first", b"1") + record("name", b"data", **{field: value}) + TRAILER
                        self.assert_refused(self.write(packed(content, form)))
        self.assert_refused(self.write(record("name", name_size=0) + TRAILER))

    def test_garbage_in_every_field(self):
        good = archive(record("first", b"1"), record("second", b"2"))
        for place in range(6, 110):
            content = bytearray(good)
            content[place] = ord("g")
            path = self.write(bytes(content))
            result = self.run_program("image", "list", str(path))
            self.assertEqual(result.status, FAILED, place)

    def test_names(self):
        path = self.write(record(b"na\0me\0") + record(b"../../etc/passwd", b"x") + record(b"/abs", b"y") + TRAILER)
        self.assertEqual(self.listed(path), ["na", "../../etc/passwd", "/abs"])

    def test_trailers(self):
        one = record("one", b"1")
        self.assertEqual(self.listed(self.write(one)), ["one"])
        self.assertEqual(self.listed(self.write(one + TRAILER + record("two") + TRAILER)), ["one", "two"])
        self.assertEqual(self.listed(self.write(one + TRAILER + b"\0" * 1000 + record("two"))), ["one", "two"])

    def test_hard_links_have_their_data_on_the_last(self):
        path = self.write(archive(record("a", links=3, inode=7), record("b", links=3, inode=7),
                                  record("c", b"data", links=3, inode=7)))
        for name in "abc":
            self.assertEqual(self.run_program("image", "extract", str(path), name).out, b"data")
        folder = self.scratch / "folder"
        self.assertEqual(self.run_program("image", "extract", "-d", str(folder), str(path)).status, 0)
        self.assertEqual(len({(folder / name).stat().st_ino for name in "abc"}), 1)
        self.assertEqual((folder / "a").read_bytes(), b"data")

    def test_truncated_streams(self):
        content = archive(*(record(f"file {number}", os.urandom(3000)) for number in range(50)))
        for form in ("none", *initrds.PACKED):
            whole = packed(content, form)
            for share in (0.1, 0.5, 0.99):
                with self.subTest(form=form, share=share):
                    self.assert_refused(self.write(whole[:int(len(whole) * share)]))

    def test_bombs_meet_the_limit_which_is_named(self):
        size = 1 << 30
        head = record("zeros", size=size)
        for form in ("zstd", "gzip", "xz"):
            with self.subTest(form):
                path = self.scratch / f"bomb-{form}"
                tools = {"zstd": "zstd -qc", "gzip": "gzip -1c", "xz": "xz -0 -c"}[form]
                script = f"{{ cat; head -c {size} /dev/zero; }} | {tools} >{path}"
                subprocess.run(["sh", "-c", script], input=head, check=True)
                self.assert_refused(path)
                result = self.run_program("image", "list", str(path))
                self.assertIn(b"limit", result.err)
                # Where somebody says so, less.
                result = self.run_program("image", "list", "--unpack-limit=1M", str(path))
                self.assertEqual((result.status, result.out), (FAILED, b"zeros\n"))

    def test_a_million_tiny_records(self):
        content = archive(*(record("%07d" % number) for number in range(1_000_000)))
        path = self.write(packed(content, "zstd"))
        statuses = self.hostile(path)
        self.assertEqual(statuses["list"], 0)
        self.assertEqual(len(self.listed(path)), 1_000_000)

    def test_executables_with_sections_outside_of_the_file(self):
        good = executable({".linux": b"k" * 100, ".initrd": archive(record("one"))})
        self.assertEqual(self.listed(self.write(good)), ["one"])
        self.assert_refused(self.write(good[:-1]))
        for place in range(0x3C, 0x40 + 24 + 240 + 80, 1):
            content = bytearray(good)
            content[place] ^= 0xFF
            result = self.run_program("image", "list", "--segments", str(self.write(bytes(content))))
            self.assertIn(result.status, (0, FAILED), place)


class UnifiedKernelImages(ImageTest):
    def test_sections_are_listed_and_the_initrd_looked_into(self):
        early = archive(record("kernel/x86/microcode/AuthenticAMD.bin", b"x"))
        path = self.write(executable({
            ".linux": b"kernel", ".uname": b"6.1.0-test", ".cmdline": b"quiet memmap=64M!4G\0", ".ucode": early,
            ".initrd": initrds.image("with-initramfs-tools").read_bytes()}))
        self.assertEqual(self.listed(path), ["kernel/x86/microcode/AuthenticAMD.bin",
                                             *self.listed(initrds.image("with-initramfs-tools"))])
        segments = "\n".join(self.listed(path, "--segments"))
        for name in (".linux", ".uname", ".cmdline", ".ucode", ".initrd"):
            self.assertIn(f"section  {name}\n", segments)
        _, report = self.image_json("list", path)
        self.assertEqual((report["kind"], report["signed"]), ("uki", False))
        # Its own line counts, unless another is given.
        self.assertEqual(self.check(path)[1]["drivers"], ["bad"])
        self.assertNotIn("drivers", self.check(path, "--cmdline=quiet")[1])

    def test_nothing_is_appended_and_the_way_out_is_named(self):
        for certificates, said in ((b"", b"ukify"), (b"signature", b"signed")):
            content = executable({".linux": b"k", ".initrd": initrds.image("zstd").read_bytes()}, certificates)
            path = self.write(content)
            result = self.run_program("image", "append", str(path))
            self.assertEqual(result.status, FAILED)
            self.assertIn(said, result.err)
            self.assertIn(b"image make", result.err)
            self.assertEqual(path.read_bytes(), content)

    def test_one_that_binutils_have_put_together_on_the_stub_of_systemd(self):
        stub = pathlib.Path("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")
        self.assertTrue(stub.is_file(), "apt-get install systemd-boot-efi")
        line = self.write(b"quiet", "line")
        out = self.scratch / "linux.efi"
        tool("objcopy", "--add-section", f".cmdline={line}", "--change-section-vma", ".cmdline=0x30000",
             "--add-section", f".initrd={initrds.image('with-dracut-systemd')}", "--change-section-vma",
             ".initrd=0x3000000", str(stub), str(out))
        self.assertEqual(self.listed(out), self.listed(initrds.image("with-dracut-systemd")))
        self.assert_well(out)
