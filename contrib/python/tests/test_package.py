# SPDX-License-Identifier: GPL-2.0-or-later
"""What pip is told, and that the version has one home."""

import os
import runpy
import shutil
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

import vncauthproxy
from support import BUILD, Folder, needs_daemon

PROJECT = Path(__file__).resolve().parents[1]


class PackageTest(unittest.TestCase):
    def version_of(self, folder):
        """What a program sees that imports the package from there."""
        command = (sys.executable, "-c", "import vncauthproxy; print(vncauthproxy.__version__)")
        environment = dict(os.environ, PYTHONPATH=str(folder), PYTHONDONTWRITEBYTECODE="1")
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True)
        return done.stdout.decode().strip()

    @needs_daemon
    def test_version(self):
        """That of the daemon; setuptools itself need not be here."""
        daemon = subprocess.run((str(BUILD / "vncauthproxy"), "--version"), stdout=subprocess.PIPE, check=True)
        setuptools = mock.Mock()
        with mock.patch.dict(sys.modules, {"setuptools": setuptools}):
            runpy.run_path(str(PROJECT / "setup.py"))
        (call,) = setuptools.setup.call_args_list
        self.assertEqual(list(call[1]), ["version"])
        self.assertEqual(daemon.stdout.decode().split()[-1], call[1]["version"])
        self.assertEqual(self.version_of(PROJECT), call[1]["version"])

    def test_version_of_an_installed_copy(self):
        """What the installer wrote down beside it."""
        folder = Folder()
        self.addCleanup(folder.close)
        shutil.copytree(PROJECT / "vncauthproxy", folder.path / "vncauthproxy")
        (folder.path / "vncauthproxy.egg-info").write_text(
            "Metadata-Version: 2.1\nName: vncauthproxy\nVersion: 7.8.9\n"
        )
        self.assertEqual(self.version_of(folder.path), "7.8.9")

    def test_no_other_attribute(self):
        with self.assertRaisesRegex(AttributeError, "'vncauthproxy'.*'nonsense'"):
            vncauthproxy.nonsense

    def test_marked_as_typed(self):
        self.assertTrue((PROJECT / "vncauthproxy" / "py.typed").exists())


if __name__ == "__main__":
    unittest.main()
