"""Whole trees: what `save` keeps of one, what comes back, and what a hostile or damaged manifest can do."""

import contextlib
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

import chain
from support import DAMAGED, FAILED, INTACT, PROGRAM, TIMEOUT, USAGE, CommandTest, kinds, mounted_tmpfs

CORRECTED = 1
MANIFEST = ".pram-manifest.mtree"
MIB = 1 << 20


@contextlib.contextmanager
def loop_mounted(scratch, kind, size=512 * MIB):
    """A directory on a file system of its own: tmpfs, ext4 or xfs."""
    place = scratch / f"mnt-{kind}"
    place.mkdir()
    if kind == "tmpfs":
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    else:
        image = scratch / f"{kind}.img"
        with open(image, "wb") as file:
            file.truncate(size)
        make = {"ext4": ["mkfs.ext4", "-q", "-F", "-I", "256", "-O", "ea_inode"], "xfs": ["mkfs.xfs", "-q", "-f"]}[kind]
        subprocess.run([*make, str(image)], check=True, timeout=60)
        command = ["mount", "-o", "loop", str(image), str(place)]
    subprocess.run(command, check=True, timeout=60)
    try:
        yield place
    finally:
        subprocess.run(["chattr", "-R", "-f", "-i", "-a", str(place)], timeout=60, stderr=subprocess.DEVNULL)
        subprocess.run(["umount", "-l", str(place)], check=True, timeout=60)


def plant(top, seed, root=True, flags=False, deep=0, attributes=True):
    """A seeded random tree with everything that a file system has."""
    dice = random.Random(seed)
    top = os.fsencode(top)

    def name():
        kind = dice.random()
        if kind < 0.5:
            return bytes(dice.choice(b"abcdefgh.-_ %~=#") for _ in range(dice.randint(1, 12))).strip(b" .") or b"x"
        if kind < 0.6:
            return b"n" * 255
        length = dice.randint(1, 200)
        text = bytes(byte for byte in dice.randbytes(length) if byte not in b"/\0") or b"y"
        return b"z" if text in (b".", b"..") else text

    files, later, locked = [], [], []

    def decorate(path, kind):
        if root:
            owner, group = dice.choice([0, 1, 1000, 2**32 - 2]), dice.choice([0, 100, 4_000_000])
            os.chown(path, owner, group, follow_symlinks=False)
        if kind != "l":
            mode = dice.choice([0o644, 0o600, 0o755, 0o4755, 0o1777, 0o2750, 0o000 if root else 0o400])
            os.chmod(path, mode | (0 if root else 0o600 | (0o100 if kind == "d" else 0)))
        if attributes and kind in "fd" and dice.random() < 0.4:
            os.setxattr(path, b"user.\xffname", dice.randbytes(dice.choice([0, 1, 100])))
        if root and attributes and kind in "fd" and dice.random() < 0.2:
            subprocess.run([b"setfacl", b"-m", b"u:1234:r,g:99:rw", b"--", path], check=True)
        seconds = dice.choice([-(2**31) + 1, -5, 0, 1_700_000_000, 2**32, 2**33])
        os.utime(path, ns=(seconds * 10**9 + 7, seconds * 10**9 + dice.randint(0, 999_999_999)), follow_symlinks=False)

    def fill(place, depth):
        for _ in range(dice.randint(1, 8)):
            path = place + b"/" + name()
            if os.path.lexists(path):
                continue
            kind = dice.choice("ffffdddlph" + ("c" if root else ""))
            if kind == "d" and depth < 5:
                os.mkdir(path)
                fill(path, depth + 1)
            elif kind == "l":
                os.symlink(dice.choice([b"/etc/passwd", b"..", b"../../outside", b"t" * 1000]), path)
            elif kind == "p":
                os.mkfifo(path)
            elif kind == "c":
                os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
            elif kind == "h":
                if files:
                    os.link(dice.choice(files), path, follow_symlinks=False)
                continue
            else:
                kind = "f"
                with open(path, "wb") as file:
                    file.write(dice.randbytes(dice.choice([0, 1, 4095, 4096, 4097, 30000])))
                    if dice.random() < 0.2:
                        file.truncate(dice.choice([10**6, 10**7]))
                files.append(path)
            later.append((path, kind))

    os.makedirs(top, exist_ok=True)
    for _ in range(3):
        fill(top, 0)
    with open(top + b"/locked", "wb") as file:
        file.write(b"locked")
    later.append((top + b"/locked", "f"))
    for path, kind in sorted(later, key=lambda item: item[1] == "d"):
        decorate(path, kind)
    for path, kind in [item for item in later if item[1] == "d"]:
        decorate(path, kind)  # from the top on: a chmod does not change the parent's time
    if flags:
        os.mkdir(top + b"/frozen")
        with open(top + b"/frozen/file", "wb") as file:
            file.write(b"frozen")
        subprocess.run([b"chattr", b"+i", b"--", top + b"/frozen/file", top + b"/frozen", top + b"/locked"], check=True)


class TreeTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.path = str(self.scratch / "image")
        # Where `save` begins in a small image; those of 16 MiB and more begin at page 0x100.
        self.pfn = "1"

    def slowly(self, *words, **options):
        """For trees that take longer than other tests."""
        return self.run_program(*words, timeout=300, **options)

    def save(self, source, *words, size="8M", **options):
        """Without parity unless `words` ask for it: what is damaged here stays damaged."""
        self.pfn = "1" if size in ("1M", "8M") else "100"
        parity = () if "--parity" in words else ("--parity", "0")
        result = self.slowly("save", str(source), "--memory", self.path, "--size", size, *parity, *words, **options)
        self.assertEqual((result.status, result.out), (INTACT, f"pram={self.pfn}\n".encode()), result)
        return result

    def extract(self, target, *words, **options):
        return self.slowly("extract", "--memory", self.path, "--pfn", self.pfn, str(target), *words, **options)

    def differences(self, one, other):
        done = subprocess.run(
            ["rsync", "-aHAX", "--devices", "--specials", "--checksum", "--dry-run", "--itemize-changes", "--delete",
             f"{one}/", f"{other}/"], capture_output=True, timeout=300)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout

    def assert_same_tree(self, one, other):
        self.assertEqual(self.differences(one, other), b"")

    # The manifest within an image

    def manifest(self):
        """The pages of the manifest: [(link page, entry offset, pfn)], its text."""
        with open(self.path, "rb") as image:
            data = image.read()

        def page(pfn):
            return data[pfn * 4096:(pfn + 1) * 4096]
        size, places, found = 0, [], False
        for link in chain.walk(page, 1):
            for number, entry in enumerate(link.entries):
                if entry.type == chain.META:
                    length, _, count = chain.FILE_IMAGE.unpack_from(page(entry.pfn))
                    found = page(entry.pfn)[16:16 + count] == MANIFEST.encode()
                    size = length if found else size
                elif found:
                    places.append((link.pfn, number, entry.pfn))
        text = b"".join(page(pfn) for _, _, pfn in places)[:size]
        return places, text

    def rewrite(self, text):
        """Puts another text, of at most as many pages, into the place of the manifest, all checksums made anew."""
        places, _ = self.manifest()
        with open(self.path, "r+b") as image:
            fd = image.fileno()
            for at, (link, number, pfn) in enumerate(places):
                content = text[at * 4096:(at + 1) * 4096].ljust(4096, b"\n")
                os.pwrite(fd, content, pfn * 4096)
                os.pwrite(fd, chain.crc32c(content).to_bytes(4, "little"), link * 4096 + 24 + 24 * number + 4)
            for link in {link for link, _, _ in places}:
                os.pwrite(fd, chain.sealed(os.pread(fd, 4096, link * 4096)), link * 4096)

    def damage(self, pfn, offset=100):
        with open(self.path, "r+b") as image:
            byte = os.pread(image.fileno(), 1, pfn * 4096 + offset)[0]
            os.pwrite(image.fileno(), bytes([byte ^ 1]), pfn * 4096 + offset)


class Trees(TreeTest):
    def round_trip(self, kind, seed, root=True, **planting):
        with loop_mounted(self.scratch, kind) as place:
            source, target = place / "source", place / "target"
            plant(source, seed, flags=kind != "tmpfs", **planting)
            self.save(source, "--strict", "--parity", "5", size="64M")
            extracted = self.extract(target, "--preserve-mode", "--devices")
            self.assertEqual(extracted.status, INTACT, extracted)
            self.assert_same_tree(source, target)
            loaded = self.slowly("load", str(place / "loaded"), "--memory", self.path, "--preserve-mode", "--devices")
            self.assertEqual(loaded.status, INTACT, loaded)
            self.assert_same_tree(source, place / "loaded")

    def test_a_random_tree_comes_back_on_tmpfs(self):
        for seed in range(3):
            with self.subTest(seed=seed):
                self.setUp()
                self.round_trip("tmpfs", seed, attributes=False)

    def test_a_random_tree_comes_back_on_ext4(self):
        for seed in range(3, 6):
            with self.subTest(seed=seed):
                self.setUp()
                self.round_trip("ext4", seed)

    def test_a_random_tree_comes_back_on_xfs(self):
        for seed in range(6, 9):
            with self.subTest(seed=seed):
                self.setUp()
                self.round_trip("xfs", seed)

    def test_an_ordinary_user_gets_back_all_that_is_hers(self):
        os.chmod(self.scratch, 0o755)
        home = self.scratch / "home"
        home.mkdir()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.chown(home, 1000, 1000)
                os.setgroups([])
                os.setgid(1000)
                os.setuid(1000)
                plant(home / "source", 11, root=False)
                status = 0
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        user = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"]
        self.path = str(home / "image")
        self.save(home / "source", "--strict", size="64M", prefix=user)
        extracted = self.extract(home / "target", "--preserve-mode", prefix=user)
        self.assertEqual(extracted.status, INTACT, extracted)
        self.assert_same_tree(home / "source", home / "target")

    def test_a_large_attribute_and_a_thousand_links(self):
        with loop_mounted(self.scratch, "xfs") as place:
            source = place / "source"
            source.mkdir()
            (source / "file").write_bytes(b"content")
            os.setxattr(source / "file", "user.large", os.urandom(65536))
            for number in range(1200):
                os.link(source / "file", source / f"name{number}")
            self.save(source, "--strict", size="64M")
            self.assertEqual(self.extract(place / "target").status, INTACT)
            self.assert_same_tree(source, place / "target")
            self.assertEqual((place / "target/file").stat().st_nlink, 1201)

    def test_holes_of_four_tebibytes_stay_holes(self):
        with loop_mounted(self.scratch, "xfs") as place:
            source = place / "source"
            source.mkdir()
            with open(source / "sparse", "wb") as file:
                file.truncate(1 << 42)
                os.pwrite(file.fileno(), b"middle", 1 << 41)
            self.save(source)
            self.assertEqual(self.extract(place / "target").status, INTACT)
            restored = (place / "target/sparse").stat()
            self.assertEqual(restored.st_size, 1 << 42)
            self.assertLess(restored.st_blocks * 512, MIB)
            with open(place / "target/sparse", "rb") as file:
                self.assertEqual(os.pread(file.fileno(), 6, 1 << 41), b"middle")

    def test_paths_longer_than_the_kernel_takes(self):
        source = self.scratch / "source"
        source.mkdir()
        here = os.open(source, os.O_RDONLY)
        for depth in range(40):
            os.mkdir("d" * 200, dir_fd=here)
            below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        with open(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here), "wb") as file:
            file.write(b"deep")
        os.close(here)
        self.save(source, "--strict")
        self.assertEqual(self.extract(self.scratch / "target").status, INTACT)
        text = subprocess.run(["tar", "-C", str(self.scratch / "target"), "-cf", "-", "."], capture_output=True).stdout
        self.assertIn(b"deep", text)
        listed = self.run_program("list", "--memory", self.path, "--pfn", self.pfn)
        self.assertIn(b"/".join([b"d" * 200] * 40) + b"/file\n", listed.out)

    def test_a_hundred_thousand_files(self):
        with loop_mounted(self.scratch, "tmpfs", 2048 * MIB) as place:
            source = place / "source"
            for directory in range(100):
                (source / f"d{directory}").mkdir(parents=True)
                for number in range(1000):
                    with open(source / f"d{directory}/f{number}", "wb") as file:
                        file.write(b"%d\n" % number)
            self.path = str(place / "image")
            self.save(source, "--strict", size="900M")
            extracted = self.extract(place / "target")
            self.assertEqual(extracted.status, INTACT, extracted)
            self.assertIn(b"extracted: 100000 files\n", extracted.out)
            self.assert_same_tree(source, place / "target")


class Choosing(TreeTest):
    def setUp(self):
        super().setUp()
        self.source = self.scratch / "source"
        (self.source / "sub/deeper").mkdir(parents=True)
        (self.source / "top").write_bytes(b"top")
        (self.source / "sub/inner").write_bytes(b"inner")
        (self.source / "sub/deeper/innermost").write_bytes(b"innermost")
        os.link(self.source / "top", self.source / "sub/linked")
        os.symlink("sub/inner", self.source / "link")

    def names(self, *words):
        report = self.run_json("check", "--memory", self.path, "--pfn", self.pfn).report
        return [file["name"] for file in report["files"]]

    def test_flat_is_what_a_kernel_would_write(self):
        self.save(self.source, "--flat")
        self.assertEqual(self.names(), ["top"])
        report = self.run_json("check", "--memory", self.path, "--pfn", self.pfn).report
        self.assertNotIn("manifest", report)
        self.assertNotIn("saved", report)

    def test_the_manifest_is_one_more_file_and_content_is_stored_once(self):
        self.save(self.source)
        self.assertEqual(self.names(), [MANIFEST, "sub%deeper%innermost", "sub%inner", "sub%linked"])
        text = self.run_program("check", "--memory", self.path, "--pfn", self.pfn).out
        self.assertIn(b"files:   3, 3 intact\n", text)
        self.assertIn(b"in the manifest, which is intact\n", text)

    def test_what_is_excluded_is_not_there(self):
        self.save(self.source, "--exclude", "deeper", "--exclude=sub/linked")
        self.extract(self.scratch / "target")
        found = sorted(str(path.relative_to(self.scratch / "target")) for path in (self.scratch / "target").rglob("*"))
        self.assertEqual(found, ["link", "sub", "sub/inner", "top"])

    def test_one_file_system(self):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(self.source / "sub/deeper")], check=True)
        try:
            (self.source / "sub/deeper/mounted").write_bytes(b"x")
            self.save(self.source, "--one-file-system")
        finally:
            subprocess.run(["umount", str(self.source / "sub/deeper")], check=True)
        self.assertFalse([name for name in self.names() if "deeper" in name])

    def test_sockets_are_left_out_and_named_and_strict_refuses(self):
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(self.source / "sock"))
        self.assertIn(b"sock is left out: it is a socket", self.save(self.source).err)
        refused = self.run_json("save", str(self.source), "--memory", self.path, "--replace", "--strict")
        self.assertEqual((refused.status, refused.report["failure"]["cause"]), (FAILED, "not-savable"), refused)
        # Nothing was written.
        self.assertEqual(self.run_program("check", "--memory", self.path, "--pfn", self.pfn).status, INTACT)

    def test_an_image_within_the_tree_is_refused(self):
        inside = self.source / "sub/image"
        for made in (False, True):
            if made:
                inside.write_bytes(bytes(1 << 20))
            refused = self.run_json("save", str(self.source), "--memory", str(inside), "--size", "1M")
            self.assertEqual((refused.status, refused.report["failure"]["cause"]), (FAILED, "not-savable"), refused)
            self.assertEqual(inside.exists(), made)
        self.assertEqual(inside.read_bytes(), bytes(1 << 20))

    def test_files_by_their_paths(self):
        self.save(self.source)
        target = self.scratch / "target"
        done = self.extract(target, "sub/deeper", "./top")
        self.assertEqual(done.status, INTACT, done)
        self.assertEqual((target / "sub/deeper/innermost").read_bytes(), b"innermost")
        self.assertEqual((target / "top").read_bytes(), b"top")
        self.assertFalse((target / "sub/inner").exists())
        missing = self.extract(self.scratch / "other", "nothing")
        self.assertEqual(missing.status, FAILED, missing)
        self.assertIn(b"nothing: the chain has no file of this name", missing.out)

    def test_list_shows_paths(self):
        self.save(self.source, "--parity", "5")
        lines = self.run_program("list", "--memory", self.path, "--pfn", self.pfn).out.decode().splitlines()
        self.assertTrue(any(line.startswith("l") and line.endswith("link -> sub/inner") for line in lines), lines)
        self.assertTrue(any(re.match(r"-rw-r--r-- 0:0 +5 \d{4}-\d\d-\d\dT.* intact +sub/inner$", line)
                            for line in lines), lines)
        # What protects the chain is no file of anybody's.
        self.assertEqual([line for line in lines if ".pram" in line], [])
        every = self.run_program("list", "--all", "--memory", self.path, "--pfn", self.pfn).out.decode().splitlines()
        self.assertEqual((every[:-1], every[-1].split()[-1]), (lines, ".pram-parity"))
        flat = self.run_program("list", "--flat", "--memory", self.path, "--pfn", self.pfn).out
        self.assertIn(b" sub%inner\n", flat)
        tree = self.run_json("list", "--memory", self.path, "--pfn", self.pfn).report["tree"]
        self.assertEqual({entry["path"] for entry in tree},
                         {".", "link", "sub", "sub/deeper", "sub/deeper/innermost", "sub/inner", "sub/linked", "top"})

    def test_suid_and_devices_only_when_asked_for(self):
        os.chmod(self.source / "top", 0o4755)
        os.mknod(self.source / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        self.save(self.source)
        plain = self.extract(self.scratch / "plain")
        self.assertEqual(plain.status, DAMAGED, plain)
        self.assertIn(b"null: it is a device node; --devices makes it", plain.out)
        self.assertEqual(stat.S_IMODE((self.scratch / "plain/top").stat().st_mode), 0o755)
        self.assertFalse((self.scratch / "plain/null").exists())
        asked = self.extract(self.scratch / "asked", "--devices", "--preserve-mode")
        self.assertEqual(asked.status, INTACT, asked)
        self.assertEqual(stat.S_IMODE((self.scratch / "asked/top").stat().st_mode), 0o4755)
        self.assertTrue(stat.S_ISCHR((self.scratch / "asked/null").stat().st_mode))

    def test_where_it_came_from(self):
        self.save(self.source)
        saved = self.run_json("check", "--memory", self.path, "--pfn", self.pfn).report["saved"]
        self.assertEqual(saved["kernel"], os.uname().release)
        self.assertEqual(saved["host"], os.uname().nodename)
        self.assertEqual(saved["boot_id"], open("/proc/sys/kernel/random/boot_id").read().strip())
        text = self.run_program("check", "--memory", self.path, "--pfn", self.pfn).out.decode()
        self.assertIn(f"by Linux {os.uname().release} on host {os.uname().nodename}\n", text)

    def test_bsdtar_restores_the_flat_files(self):
        self.save(self.source)
        flat = self.scratch / "flat"
        self.assertEqual(self.extract(flat, "--flat").status, INTACT)
        target = self.scratch / "target"
        target.mkdir()
        subprocess.run(f"cd {flat} && bsdtar --options hdrcharset=BINARY -cf - @{MANIFEST} | bsdtar -xpf - -C {target}",
                       shell=True, check=True, timeout=60)
        os.utime(target, ns=(self.source.stat().st_atime_ns, self.source.stat().st_mtime_ns))
        self.assert_same_tree(self.source, target)


class Streams(TreeTest):
    def ended(self, number, *words):
        """Ends a save by a signal while it waits for its stream."""
        reader, writer = os.pipe()
        command = [str(PROGRAM), "save", "--stdin", "dump", "--memory", self.path, *words]

        def heed():
            # Who runs the tests may ignore them: a shell does for what it puts into the background.
            for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(each, signal.SIG_DFL)
        with subprocess.Popen(command, stdin=reader, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              preexec_fn=heed) as process:
            os.close(reader)
            os.write(writer, bytes(65536))
            # The image is there, as large as it is to be, and the stream is being read.
            for _ in range(200):
                if os.path.exists(self.path) and os.stat(self.path).st_size == 3 << 20:
                    break
                time.sleep(0.05)
            else:
                self.fail("no image is made")
            process.send_signal(number)
            try:
                self.assertEqual((process.wait(TIMEOUT), process.stdout.read()), (-number, b""))
            finally:
                process.kill()
                os.close(writer)

    def test_a_signal_leaves_no_new_image(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self.ended(number, "--size", "3M")
            self.assertFalse(os.path.exists(self.path), number)

    def test_a_signal_leaves_an_image_as_large_as_it_was(self):
        with open(self.path, "wb") as image:
            image.write(bytes(100 << 10))
        self.ended(signal.SIGTERM, "--size", "3M")
        self.assertEqual(os.stat(self.path).st_size, 100 << 10)

    def test_a_stream_that_is_too_long_is_told_how_to_fit(self):
        refused = self.run_program("save", "--stdin", "dump", "--memory", self.path, "--size", "1M",
                                   stdin=self.pipe(bytes(3_000_000)))
        self.assertEqual(refused.status, FAILED, refused)
        self.assertIn(b"make the image larger with --size, or save less\n", refused.err)
        self.assertFalse(os.path.exists(self.path))

    def test_a_stream_alone(self):
        content = os.urandom(5_000_000)
        saved = self.run_program("save", "--stdin", "dump", "--memory", self.path, "--size", "8M",
                                 stdin=self.pipe(content))
        self.assertEqual((saved.status, saved.out), (INTACT, b"pram=1\n"), saved)
        for command in ("extract", "load"):
            with self.subTest(command=command):
                poured = subprocess.run(
                    [str(PROGRAM), command, "--memory", self.path, "--pfn", self.pfn, "--stdout", "dump"],
                    capture_output=True, timeout=60)
                self.assertEqual((poured.returncode, poured.stdout), (INTACT, content))

    def test_a_stream_beside_a_tree(self):
        source = self.scratch / "source"
        (source / "sub").mkdir(parents=True)
        (source / "sub/file").write_bytes(b"file")
        for size in (0, 1, 4096, 4097, 169 * 4096, 3_000_000):
            content = os.urandom(size)
            saved = self.run_program("save", str(source), "--stdin", "dump", "--replace", "--memory", self.path,
                                     "--size", "8M", stdin=self.pipe(content))
            self.assertEqual(saved.status, INTACT, (size, saved))
            with open(self.path, "rb") as image:
                data = image.read()
            files = chain.read_files(lambda pfn: data[pfn * 4096:(pfn + 1) * 4096], 1, strict=True)
            self.assertEqual(files[b"dump"], content)
            target = self.scratch / f"target{size}"
            self.assertEqual(self.extract(target).status, INTACT)
            self.assertEqual((target / "dump").read_bytes(), content)
            self.assertEqual((target / "sub/file").read_bytes(), b"file")

    def test_a_range_that_is_too_small_leaves_no_chain(self):
        source = self.scratch / "source"
        source.mkdir()
        (source / "old").write_bytes(b"old")
        self.save(source, size="1M")
        refused = self.run_json("save", "--stdin", "dump", "--replace", "--memory", self.path,
                                stdin=self.pipe(bytes(3_000_000)))
        self.assertEqual((refused.status, refused.report["failure"]["cause"]), (FAILED, "too-small"), refused)
        self.assertRegex(refused.report["failure"]["message"], r"and \d+ more bytes came")
        report = self.run_json("check", "--memory", self.path, "--pfn", self.pfn).report
        self.assertEqual(kinds(report), ["no-chain"])

    def test_the_old_chain_stays_where_the_name_is_taken(self):
        source = self.scratch / "source"
        source.mkdir()
        (source / "dump").write_bytes(b"old")
        self.save(source)
        before = open(self.path, "rb").read()
        refused = self.run_program("save", str(source), "--stdin", "dump", "--replace", "--memory", self.path,
                                   stdin=self.pipe(b"new"))
        self.assertEqual(refused.status, FAILED, refused)
        self.assertEqual(open(self.path, "rb").read(), before)
        for name in ("", "a/b", "..", MANIFEST):
            wrong = self.run_program("save", "--stdin", name, "--memory", self.path, stdin=self.pipe(b""))
            self.assertEqual(wrong.status, USAGE, wrong)

    def test_the_old_chain_stays_where_nothing_can_be_read(self):
        source = self.scratch / "source"
        source.mkdir()
        (source / "old").write_bytes(b"old")
        self.save(source)
        before = open(self.path, "rb").read()
        for closed in ("<&-", "<.", "0>>/dev/null"):
            with self.subTest(closed):
                refused = subprocess.run(
                    ["sh", "-c", f'exec "$@" {closed}', "sh", str(PROGRAM), "save", "--stdin", "new", "--replace",
                     "--memory", self.path], cwd=self.scratch, capture_output=True, timeout=60)
                self.assertEqual(refused.returncode, FAILED, refused)
                self.assertIn(b"standard input", refused.stderr)
                self.assertEqual(open(self.path, "rb").read(), before)
        reserved = self.run_program("save", "--stdin", ".pram-parity", "--replace", "--memory", self.path,
                                    stdin=self.pipe(b"new"))
        self.assertEqual(reserved.status, USAGE, reserved)

    def test_nothing_of_a_damaged_file_is_poured(self):
        source = self.scratch / "source"
        source.mkdir()
        (source / "file").write_bytes(os.urandom(10_000))
        self.save(source, "--flat")
        self.damage(3)
        for command in ("extract", "load"):
            poured = self.run_program(command, "--memory", self.path, "--pfn", self.pfn, "--stdout", "file")
            self.assertEqual((poured.status, poured.out), (DAMAGED, b""), poured)
            self.assertIn(b"file: it is damaged", poured.err)

    def test_what_is_not_there_is_no_empty_file(self):
        """Somebody's tar reads what comes."""
        source = self.scratch / "source"
        source.mkdir()
        (source / "file").write_bytes(b"x" * 10_000)
        self.save(source, "--flat")
        where = ["--memory", self.path]
        for command in ("extract", "load"):
            for words in (["--cmdline", "quiet"], ["--pfn", "0"]):
                poured = self.run_program(command, *where, *words, "--stdout", "file")
                self.assertEqual((poured.status, poured.out), (FAILED, b""), poured)
                self.assertIn(b"there is no chain, and so no file in one", poured.err)
            other = self.run_program(command, *where, "--pfn", self.pfn, "--stdout", "other")
            self.assertEqual((other.status, other.out), (FAILED, b""), other)
            self.assertIn(b"no file of this name", other.err)
            both = self.run_program(command, *where, "--pfn", self.pfn, "--stdout", "file", "--json")
            self.assertEqual((both.status, both.out), (USAGE, b""), both)
        self.damage(2)  # the META page
        for command in ("extract", "load"):
            poured = self.run_program(command, *where, "--pfn", self.pfn, "--stdout", "file")
            self.assertEqual(poured.out, b"", poured)
            self.assertIn(b"no file of this name can be read of the chain, which is damaged", poured.err)

    def pipe(self, content):
        file = tempfile.TemporaryFile(dir=self.scratch)
        file.write(content)
        file.seek(0)
        self.addCleanup(file.close)
        cat = subprocess.Popen(["cat"], stdin=file, stdout=subprocess.PIPE)
        self.addCleanup(cat.wait)
        self.addCleanup(cat.stdout.close)
        return cat.stdout


class OlderFiles(TreeTest):
    """`load` into a directory that holds older files writes all or nothing."""

    def setUp(self):
        super().setUp()
        source = self.scratch / "source"
        (source / "sub").mkdir(parents=True)
        for name in ("good", "sub/bad"):
            (source / name).write_bytes(os.urandom(3 * 4096))
        self.contents = {name: (source / name).read_bytes() for name in ("good", "sub/bad")}
        self.save(source)
        self.target = self.scratch / "target"
        (self.target / "sub").mkdir(parents=True)

    def damage_bad(self):
        with open(self.path, "rb") as image:
            place = image.read().index(self.contents["sub/bad"][:4096]) // 4096
        self.damage(place)

    def load(self, *words):
        return self.run_program("load", "--memory", self.path, *words, str(self.target))

    def older(self, *names):
        for name in names:
            (self.target / name).write_bytes(b"older")

    def read(self):
        return {str(path.relative_to(self.target)): path.read_bytes() for path in self.target.rglob("*")
                if path.is_file()}

    def test_nothing_is_mixed_with_older_copies_of_what_is_damaged(self):
        self.damage_bad()
        self.older("sub/bad")
        for words in ((), ("--force",)):
            refused = self.load(*words)
            self.assertEqual(refused.status, DAMAGED, refused)
            self.assertIn(b"--partial", refused.out)
            self.assertEqual(self.read(), {"sub/bad": b"older"})

    def test_partial_restores_what_is_intact(self):
        self.damage_bad()
        self.older("good", "sub/bad")
        self.assertEqual(self.load("--partial", "--force").status, DAMAGED)
        self.assertEqual(self.read(), {"good": self.contents["good"], "sub/bad": b"older"})

    def test_what_is_intact_comes_back_where_nothing_older_is(self):
        self.damage_bad()
        self.older("another")
        self.assertEqual(self.load().status, DAMAGED)
        self.assertEqual(self.read(), {"good": self.contents["good"], "another": b"older"})

    def test_what_cannot_give_way_stops_all_beforehand(self):
        shutil.rmtree(self.target)
        self.target.mkdir()
        for make, name in ((lambda: (self.target / "good").mkdir(), "good"),
                           (lambda: (self.target / "sub").write_bytes(b"older"), "sub"),
                           (lambda: (self.target / "sub").symlink_to("/"), "sub")):
            make()
            before = sorted(path.name for path in self.target.iterdir())
            refused = self.load("--force")
            self.assertNotEqual(refused.status, INTACT)
            self.assertIn(b"is of another kind", refused.out)
            self.assertEqual(sorted(path.name for path in self.target.iterdir()), before)
            path = self.target / name
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        self.assertEqual(self.load("--force").status, INTACT)

    def test_what_has_no_room_is_refused_beforehand(self):
        with mounted_tmpfs(self.target, "4k"):
            self.older("good")
            refused = self.load("--force")
            self.assertEqual(refused.status, FAILED, refused)
            self.assertIn(b"are free", refused.out)
            self.assertEqual(self.read(), {"good": b"older"})

    def test_the_file_that_is_in_the_way_is_named_by_its_path(self):
        """The others are not called what they are not, and no name of the chain's own is shown."""
        self.older("sub/bad")
        refused = self.load()
        self.assertEqual(refused.status, DAMAGED, refused)
        lines = [line for line in refused.out.decode().splitlines() if line.startswith("not extracted")]
        self.assertEqual(lines, [
            "not extracted: good: nothing is restored because of sub/bad",
            "not extracted: sub/bad: it exists; --force replaces what exists, --partial restores the others"])
        self.damage_bad()
        self.assertIn(b"not extracted: sub/bad: it exists, and not all of the chain is intact; --partial",
                      self.load("--force").out)

    def test_a_file_of_which_nothing_is_intact_goes_by_its_path(self):
        self.damage_bad()
        with open(self.path, "rb") as image:
            self.damage(image.read().index(self.contents["good"][:4096]) // 4096)
        self.assertIn(b"not extracted: sub/bad: it is damaged\n", self.load().out)

    def test_a_link_that_leads_nowhere_stops_all_beforehand(self):
        (self.target / "good").symlink_to("nowhere")
        refused = self.load()
        self.assertEqual(refused.status, DAMAGED, refused)
        self.assertIn(b"not extracted: good: it exists; --force", refused.out)
        self.assertEqual((self.read(), os.readlink(self.target / "good")), ({}, "nowhere"))
        self.assertEqual(self.load("--force").status, INTACT)
        self.assertEqual(self.read(), self.contents)

    def test_without_force_one_that_exists_stops_all(self):
        self.older("good")
        refused = self.load()
        self.assertEqual(refused.status, DAMAGED, refused)
        self.assertIn(b"--force", refused.out)
        self.assertEqual(self.read(), {"good": b"older"})
        self.assertEqual(self.load("--force").status, INTACT)
        self.assertEqual(self.read(), self.contents)


class Ended(TreeTest):
    """`load` that is ended on its way: nothing that is half of a file is left to be saved."""

    def setUp(self):
        super().setUp()
        self.source = self.scratch / "source"
        (self.source / "sub").mkdir(parents=True)
        (self.source / "large").write_bytes(os.urandom(6 * MIB))
        (self.source / "sub/small").write_bytes(b"small")
        self.save(self.source)
        self.target = self.scratch / "target"
        self.target.mkdir()

    def end(self, number, when):
        """Ends the process in a write of the file's content."""
        done = subprocess.run(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e",
             f"inject=pwritev,pwrite64:signal={number}:when={when}", PROGRAM, "load", "--force", "--memory", self.path,
             "--pfn", self.pfn, str(self.target)], capture_output=True, timeout=120, check=False)
        self.assertNotEqual(done.returncode, 0, done)

    def left(self):
        return [name for name in os.listdir(self.target) if name.startswith(".pram-verify-")]

    def test_a_signal_that_can_be_seen_coming_leaves_nothing(self):
        for number in ("SIGTERM", "SIGINT", "SIGHUP"):
            self.end(number, 2)
            self.assertEqual(os.listdir(self.target), [], number)

    def test_what_a_killed_one_has_left_is_not_saved_and_the_next_clears_it_away(self):
        self.end("SIGKILL", 2)
        [left] = self.left()
        self.assertTrue(os.listdir(self.target / left))
        (self.target / "other").write_bytes(b"other")
        image = self.scratch / "again"
        saved = self.slowly("save", str(self.target), "--memory", image, "--size", "16M")
        self.assertEqual(saved.status, INTACT, saved)
        self.assertIn(left.encode() + b" is left out", saved.err)
        self.assertNotIn(b"staging", self.run_program("list", "--memory", image).out)
        done = self.slowly("load", "--memory", self.path, "--pfn", self.pfn, str(self.target))
        self.assertEqual((done.status, self.left()), (INTACT, []), done)
        self.assertEqual((self.target / "large").read_bytes(), (self.source / "large").read_bytes())


class Damage(TreeTest):
    def setUp(self):
        super().setUp()
        self.source = self.scratch / "source"
        for directory in range(8):
            (self.source / f"dir{directory}").mkdir(parents=True)
            for number in range(40):
                (self.source / f"dir{directory}/file{number}").write_bytes(b"%d %d" % (directory, number))
        self.save(self.source)

    def test_a_damaged_manifest_page_costs_metadata_and_no_file(self):
        places, _ = self.manifest()
        self.assertGreater(len(places), 4)
        self.damage(places[3][2])
        done = self.extract(self.scratch / "target")
        self.assertEqual(done.status, DAMAGED, done)
        self.assertIn(b"without metadata: dir", done.out)
        back = {path.read_bytes() for path in (self.scratch / "target").rglob("*") if path.is_file()}
        self.assertEqual(back, {b"%d %d" % (a, b) for a in range(8) for b in range(40)})
        report = self.run_json("check", "--memory", self.path, "--pfn", self.pfn).report
        self.assertEqual(report["verdict"], "damaged")
        self.assertTrue({"manifest-line", "manifest-unnamed"} <= set(kinds(report)), kinds(report))

    def test_drop_mends_a_damaged_manifest(self):
        places, _ = self.manifest()
        self.damage(places[3][2])
        dropped = self.run_program("drop", "--memory", self.path)
        self.assertEqual(dropped.status, CORRECTED, dropped)
        self.assertIn(b"what can be read of it is kept", dropped.err)
        report = self.run_json("check", "--memory", self.path, "--pfn", self.pfn).report
        self.assertEqual((report["verdict"], set(kinds(report)) - {"zero-checksum"}), ("intact", {"manifest-unnamed"}))
        self.assertEqual(report["counts"]["files"], 321)

    def test_what_is_kept_marked_has_a_manifest_of_its_own(self):
        """A damaged head lists the manifest: the one that takes its place has its name, and it goes on under another."""
        with open(self.path, "rb") as image:
            whole = image.read()
        for words in (["drop", "--keep-holes"], ["quarantine", "--salvage"], ["quarantine"]):
            with self.subTest(words):
                with open(self.path, "wb") as image:
                    image.write(whole)
                with open(self.path, "r+b") as image:
                    os.pwrite(image.fileno(), b"X", int(self.pfn, 16) * 4096 + 8)
                done = self.run_json(*words, "--no-repair", "--memory", self.path)
                self.assertEqual(done.status, CORRECTED, done)
                report = self.run_json("check", "--memory", self.path, "--pfn", self.pfn).report
                self.assertEqual(report["verdict"], "intact")
                names = [file["name"] for file in report["files"] if "manifest" in file["name"]]
                self.assertEqual(sorted(names), [".pram-manifest.mtree", ".pram-manifest.mtree.damaged"])

    def test_drop_takes_the_entry_along_with_the_file(self):
        report = self.run_json("check", "--memory", self.path, "--pfn", self.pfn).report
        file = next(file for file in report["files"] if file["name"] == "dir3%file7")
        self.damage_file(file)
        dropped = self.run_json("drop", "--memory", self.path)
        self.assertEqual((dropped.status, dropped.report["written"]["atomic"]), (CORRECTED, True), dropped)
        report = self.run_json("check", "--memory", self.path, "--pfn", self.pfn).report
        self.assertEqual((report["verdict"], [kind for kind in kinds(report) if kind.startswith("manifest")]),
                         ("intact", []))
        self.assertNotIn(b"dir3/file7 ", self.manifest()[1])
        self.assertEqual(self.extract(self.scratch / "target").status, INTACT)
        (self.source / "dir3/file7").unlink()
        self.assertEqual(sorted(os.listdir(self.source / "dir3")), sorted(os.listdir(self.scratch / "target/dir3")))

    def test_quarantine_renames_what_the_entry_names(self):
        report = self.run_json("check", "--memory", self.path, "--pfn", self.pfn).report
        self.damage_file(next(file for file in report["files"] if file["name"] == "dir3%file7"))
        self.assertEqual(self.run_json("quarantine", "--memory", self.path).status, CORRECTED)
        self.assertIn(b"contents=dir3%file7.damaged\n", self.manifest()[1])
        report = self.run_json("check", "--memory", self.path, "--pfn", self.pfn).report
        self.assertEqual([kind for kind in kinds(report) if kind.startswith("manifest")], [])

    def damage_file(self, file):
        """Flips a bit in the first DATA page of a file."""
        with open(self.path, "rb") as image:
            data = image.read()
        links = chain.walk(lambda pfn: data[pfn * 4096:(pfn + 1) * 4096], 1)
        flat = [entry for link in links for entry in link.entries]
        at = sum(len(link.entries) for link in links[:file["link"]]) + file["entry"] + 1
        self.damage(flat[at].pfn, 0)


class Hostile(TreeTest):
    """Manifests that somebody has written who wants to reach out of the target."""

    def setUp(self):
        super().setUp()
        self.source = self.scratch / "source"
        (self.source / "sub").mkdir(parents=True)
        (self.source / "file").write_bytes(b"content")
        (self.source / "sub/file").write_bytes(b"other")
        for number in range(80):
            (self.source / f"sub/{'x' * 60}{number}").write_bytes(b"x")
        self.save(self.source)
        # What lies around the target.
        self.outside = self.scratch / "around"
        (self.outside / "precious").mkdir(parents=True)
        (self.outside / "precious/file").write_bytes(b"precious")
        self.target = self.outside / "target"

    def state(self):
        return sorted((str(path.relative_to(self.outside)), path.lstat().st_mode, path.lstat().st_mtime_ns,
                       path.lstat().st_uid, path.is_file() and path.read_bytes())
                      for path in self.outside.rglob("*")
                      if path != self.target and self.target not in path.parents)

    def restore(self, text, *words):
        self.rewrite(text)
        before = self.state()
        shutil.rmtree(self.target, ignore_errors=True)

        def limit():
            resource.setrlimit(resource.RLIMIT_DATA, (64 * MIB, 64 * MIB))
        done = self.slowly("extract", "--memory", self.path, "--pfn", self.pfn, str(self.target), "--devices",
                           "--preserve-mode", "--threads", "1", *words, preexec_fn=limit)
        self.assertEqual(self.state(), before, done)
        self.assertEqual([name for name in os.listdir(self.target) if "staging" in name], [])
        return done

    def test_paths_that_lead_out(self):
        for path in ("../precious/file", "/etc/pram-verify-test", "./../precious/new", "a/../../precious/file",
                     "sub//x"):
            with self.subTest(path=path):
                done = self.restore(b"#mtree\n./%s type=file mode=0644 contents=file\n" % path.encode())
                self.assertEqual(done.status, DAMAGED, done)
                self.assertFalse(os.path.exists("/etc/pram-verify-test"))

    def test_symbolic_links_that_the_manifest_makes(self):
        text = (b"#mtree\n. type=dir\n./out type=link link=../precious\n./out/file type=file contents=file\n"
                b"./out/new type=file contents=sub%%file\n./abs type=link link=%s\n./abs/file type=file contents=file\n"
                % str(self.outside / "precious").encode())
        done = self.restore(text, "--force")
        self.assertNotEqual(done.status, INTACT, done)
        self.assertTrue((self.target / "out").is_symlink())

    def test_symbolic_links_that_lie_in_the_target(self):
        self.rewrite(b"#mtree\n./planted/file type=file contents=file\n./planted type=dir mode=0777 uid=1\n")
        self.target.mkdir()
        os.symlink("../precious", self.target / "planted")
        before = self.state()
        done = self.extract(self.target, "--force")
        self.assertNotEqual(done.status, INTACT, done)
        self.assertEqual(self.state(), before)

    def test_a_manifest_that_contradicts_the_chain_is_a_finding(self):
        self.rewrite(b"#mtree\n# pram-verify: format=1\n./a type=file contents=nothing\n"
                     b"./b type=file size=9 contents=file\n")
        checked = self.run_json("check", "--memory", self.path, "--pfn", self.pfn)
        self.assertEqual((checked.status, checked.report["verdict"]), (DAMAGED, "indeterminate"), checked)
        self.assertEqual(kinds(checked.report).count("manifest-contents"), 2)
        self.assertIn("manifest-unnamed", kinds(checked.report))

    def names(self):
        return sorted(name for name in os.listdir(self.target))

    def test_content_goes_to_one_entry_only_unless_the_entries_are_links(self):
        done = self.restore(b"#mtree\n./p type=file contents=file nlink=1\n./q type=file contents=file nlink=1\n", "--json")
        told = {entry["name"]: entry["outcome"] for entry in json.loads(done.out)["extracted"]}
        self.assertEqual((done.status, told["p"], told["q"]), (DAMAGED | FAILED, "written", "failed"), done)
        self.assertNotIn("q", self.names())
        done = self.restore(b"#mtree\n./p type=file contents=file nlink=2\n./q type=file contents=file nlink=2\n", "--json")
        self.assertEqual((self.target / "p").stat().st_ino, (self.target / "q").stat().st_ino)

    def test_what_no_entry_tells_of_replaces_nothing_of_the_tree(self):
        for words in ([], ["--force"]):
            done = self.restore(b"#mtree\n./file type=file contents=sub%file\n", *words)
            self.assertEqual(done.status, DAMAGED, done)
            self.assertEqual((self.target / "file").read_bytes(), b"other")
            self.assertIn(b"--flat", done.err + done.out)

    def test_symbolic_links_of_one_group_that_differ(self):
        done = self.restore(b"#mtree\n#linked 7\n./l type=link link=a\n#linked 7\n./m type=link link=b\n"
                            b"#linked 7\n./n type=link link=a\n#linked 7\n./o type=fifo\n")
        self.assertEqual([os.readlink(self.target / name) for name in "lmn"], ["a", "b", "a"], done)
        self.assertEqual((self.target / "l").lstat().st_ino, (self.target / "n").lstat().st_ino)
        self.assertTrue((self.target / "o").is_fifo())

    def test_seeded_mutations(self):
        _, text = self.manifest()
        words = [b"..", b"/", b"./", b"type=link link=/etc", b"type=dir", b"type=char device=native,1,3",
                 b"contents=file", b"\\000", b"\\056\\056", b"/set type=link link=../precious", b"#xattr user.x=AAAA", b"nlink=2", b"\n",
                 b" ", b"#linked 1", b"mode=7777", b"uid=4294967295", b"size=99999999999999999999",
                 b"time=-1.5", b"flags=schg"]
        for seed in range(60):
            with self.subTest(seed=seed):
                dice = random.Random(seed)
                lines = text.split(b"\n")
                for _ in range(dice.randint(1, 30)):
                    at = dice.randrange(len(lines))
                    kind = dice.random()
                    if kind < 0.5:
                        line = lines[at].split(b" ")
                        line[dice.randrange(len(line))] = dice.choice(words)
                        lines[at] = b" ".join(line)
                    elif kind < 0.7:
                        lines.insert(at, dice.choice(words) + b" " + dice.choice(words))
                    elif kind < 0.85:
                        lines[at] = lines[dice.randrange(len(lines))]
                    else:
                        lines[at] = dice.randbytes(dice.randint(0, 50))
                self.restore(b"\n".join(lines)[:len(text)], *dice.choice([[], ["--force"], ["--damaged"]]))
                subprocess.run(["chattr", "-R", "-f", "-i", "-a", str(self.target)], stderr=subprocess.DEVNULL)
                self.run_json("check", "--memory", self.path, "--pfn", self.pfn)
                self.run_json("list", "--memory", self.path, "--pfn", self.pfn)
                self.run_program("list", "--memory", self.path, "--pfn", self.pfn)
