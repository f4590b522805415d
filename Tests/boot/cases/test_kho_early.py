"""The head before the chain: save --kho --early takes its page, the next kernel is loaded with that, and what is saved
afterwards, up to the kexec, arrives."""

from cases.support import *
from cases.test_kho import FIRST, OTHER, KhoCase, free, sums


class EarlyCase(KhoCase):
    @classmethod
    def take_head(cls):
        cls.machine.must("pram-verify boot")
        cls.early = run(cls.machine, "save", "--kho", "--early")
        cls.head = int(cls.early.output.removeprefix("pram=") or "0", 16)

    @classmethod
    def save_later(cls, folder="/tmp/tree"):
        """Loads the next kernel, and saves after that."""
        cls.loaded_kernel = cls.load_next(cls.kernel)
        cls.later = run(cls.machine, "save", "--kho", folder)
        cls.machine.must(f"rm -rf {folder}")


class HeadFirst(EarlyCase):
    """Loaded, saved, kexec'ed; handed on once more, and loaded there."""

    kexecs = 2

    @classmethod
    def setUpClass(cls):
        machine = cls.boot()
        cls.fill(32)
        cls.take_head()
        cls.status = run(machine, "status")
        cls.twice = run(machine, "save", "--kho", "--early")
        cls.save_later()
        cls.held = run(machine, "status")
        machine.kexec()
        machine.must("pram-verify boot")
        cls.boot_status = machine.must("cat /run/pram-verify/status")
        cls.checked = in_guest(machine)
        cls.walked = machine.run(f"kcore-walk {cls.head:x}")
        cls.handed_on = cls.load_next(cls.kernel)
        machine.kexec()
        cls.third = in_guest(machine)
        machine.must("dd if=/dev/zero of=/run/neighbour bs=1M count=380 2>/dev/null; rm /run/neighbour")
        cls.before = free(machine)
        cls.loaded = run(machine, "load", "--erase", "/tmp/out")
        cls.loaded_sums = sums(machine, "/tmp/out")
        machine.must("rm -rf /tmp/out")
        cls.after = free(machine)

    def test_the_head_is_held_before_there_is_a_chain(self):
        self.assert_run(self.early, 0, errors="is held by process")
        self.assertGreater(self.head, 0)
        self.assertIn("has the head of a chain that is not saved yet", self.status.output)
        self.assert_run(self.twice, 0, self.early.output, None)

    def test_the_next_kernel_is_loaded_before_there_is_a_chain(self):
        self.assert_run(self.loaded_kernel, 0)
        self.assertIn("what is saved with save --kho until then", self.loaded_kernel.errors)

    def test_what_is_saved_then_has_this_head(self):
        self.assert_run(self.later, 0, self.early.output, None)
        self.assertNotIn("load it once more", self.later.errors)
        self.assertNotIn("not saved yet", self.held.output)

    def test_it_arrives(self):
        self.assertEqual(self.boot_status, "intact")
        self.assert_verdict(self.checked, "intact")
        self.assertEqual(self.checked.json["hand_over"]["state"], "held")
        self.assertEqual(self.walked.status, 0, self.walked)

    def test_it_is_handed_on_and_loaded_and_the_memory_given_back(self):
        self.assertEqual(self.handed_on.status, 0, self.handed_on)
        self.assert_verdict(self.third, "intact")
        self.assert_run(self.loaded, 0)
        self.assertEqual(self.loaded_sums, self.sums)
        self.assertGreater(self.after - self.before, 25 << 10)


class HeadFirst71(HeadFirst):
    """The same by the other kernel, whose hand-over has another form."""

    kernel = OTHER


class HeadFirstLocked(EarlyCase):
    """The next kernel may not be read: load takes both files out of the session."""

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.fill(32)
        cls.take_head()

    def test_it_is_loaded_from_both_files(self):
        machine = self.machine
        line = run(machine, "cmdline", "--kernel", f"/boot/{FIRST}", "--append", "lockdown=confidentiality")
        self.assert_run(line, 0)
        self.assertIn(f"pram={self.head:x}", line.output.split())
        machine.must(f"kexec -s -l /boot/{FIRST} --initrd=/boot/initrd --command-line='{line.output.strip()}'")
        self.assert_run(run(machine, "save", "--kho", "/tmp/tree"), 0, self.early.output, None)
        machine.kexec()
        machine.must("pram-verify boot")
        loaded = run(machine, "load", "/tmp/out")
        self.assert_run(loaded, 0)
        self.assertEqual(sums(machine, "/tmp/out"), self.sums)
        machine.must("rm -r /tmp/out")
        erased = run(machine, "load", "--erase", "/tmp/out")
        self.assert_run(erased, 0)
        self.assertEqual(sums(machine, "/tmp/out"), self.sums)
        self.assertRegex(erased.output, "memory is given back")


class HeadWithoutChain(EarlyCase):
    """Nothing is saved until the kexec: the next kernel finds an empty head, and nothing that is lost."""

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.take_head()
        cls.loaded_kernel = cls.load_next(cls.kernel)

    def test_nothing_is_called_lost(self):
        machine = self.machine
        machine.kexec()
        machine.must("pram-verify boot")
        self.assertEqual(machine.must("cat /run/pram-verify/status"), "empty")
        machine.must("mkdir -p /tmp/tree && echo snow >/tmp/tree/small")
        self.assert_run(run(machine, "save", "--kho", "/tmp/tree"), 0)


class HeadGivenUp(EarlyCase):
    """A save that fails half-way takes the head with it: that is said, and the next one has another."""

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.fill(2)
        cls.take_head()
        cls.loaded_kernel = cls.load_next(cls.kernel)

    def test_it_is_said_and_the_next_one_is_another(self):
        machine = self.machine
        failed = machine.run("head -c 3000000 /dev/urandom | pram-verify save --kho --stdin stream --size 1M")
        self.assert_run(failed, 8, "", "head that was taken early is given up")
        self.assertNotIn("held:", run(machine, "status").output)
        refused = run(machine, "cmdline", "--check-loaded", "--kernel", f"/boot/{FIRST}")
        self.assertEqual(refused.status & 4, 4, refused)
        saved = run(machine, "save", "--kho", "/tmp/tree")
        self.assert_run(saved, 0, None, "load it once more")


class HeadHolderGone(EarlyCase):
    """Who holds the head is killed: nothing is handed on."""

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.take_head()

    def test_it_is_noticed(self):
        machine = self.machine
        holder = int(re.search("held by process ([0-9]+)", self.early.errors).group(1))
        machine.must(f"kill -9 {holder}; sleep 1")
        status = run(machine, "status")
        self.assertEqual(status.status, 4, status)
        self.assertIn("held:    no", status.output)
        refused = self.load_next(FIRST)
        self.assertEqual(refused.status & 4, 4, refused)
        machine.must("mkdir -p /tmp/tree && echo snow >/tmp/tree/small")
        self.assert_run(run(machine, "save", "--kho", "/tmp/tree"), 0)
