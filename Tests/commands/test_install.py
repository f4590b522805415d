"""`make install` and `make uninstall`: everything lies where the tools look for it, and names the others where they lie."""

import re
import subprocess

from support import ROOT, CommandTest


class Install(CommandTest):
    def make(self, target, *words):
        done = subprocess.run(["make", "-s", target, f"DESTDIR={self.tree}", *words], cwd=ROOT, capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done)

    def setUp(self):
        super().setUp()
        self.tree = self.scratch / "tree"

    def files(self):
        return {str(path.relative_to(self.tree)) for path in self.tree.rglob("*") if not path.is_dir()}

    def test_hooks_name_what_was_installed_whatever_the_prefix(self):
        for words, prefix in (((), "/usr/local"), (("prefix=/usr",), "/usr"), (("prefix=/opt/pv",), "/opt/pv")):
            with self.subTest(prefix):
                self.make("install", *words)
                for script in ("usr/share/initramfs-tools/hooks/pram-verify",
                               "usr/lib/dracut/modules.d/50pram-verify/module-setup.sh",
                               "usr/lib/initcpio/install/pram-verify"):
                    text = (self.tree / script).read_text()
                    named = dict(re.findall(r"\b(program|rules)=(\S+)", text))
                    self.assertEqual(named, {"program": f"{prefix}/sbin/pram-verify",
                                             "rules": f"{prefix}/share/pram-verify/98-pram-verify.rules"})
                    for path in named.values():
                        self.assertTrue((self.tree / path.lstrip("/")).is_file(), path)
                    self.assertEqual(bool((self.tree / script).stat().st_mode & 0o111), "initcpio" not in script)
                text = (self.tree / "usr/lib/kernel/install.d/58-pram-verify.install").read_text()
                self.assertIn(f"\nprogram={prefix}/sbin/pram-verify\n", text)

    def test_settings_stay_and_nothing_else_does(self):
        self.make("install")
        settings = self.tree / "etc/default/pram-verify"
        settings.write_text("SAVE_DIR=/srv\n")
        self.make("install")
        self.assertEqual(settings.read_text(), "SAVE_DIR=/srv\n")
        self.assertGreater(len(self.files()), 10)
        self.make("uninstall")
        self.assertEqual(self.files(), {"etc/default/pram-verify"})
        self.assertFalse((self.tree / "usr/local/share/pram-verify").exists())
