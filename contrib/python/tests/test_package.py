# SPDX-License-Identifier: GPL-2.0-or-later
"""What pip is told, and that the version has one home."""

import runpy
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

from support import BUILD

PROJECT = Path(__file__).resolve().parents[1]


class PackageTest(unittest.TestCase):
    def test_version(self):
        """That of the daemon; setuptools itself need not be here."""
        daemon = subprocess.run((str(BUILD / "vncauthproxy"), "--version"), stdout=subprocess.PIPE, check=True)
        setuptools = mock.Mock()
        with mock.patch.dict(sys.modules, {"setuptools": setuptools}):
            runpy.run_path(str(PROJECT / "setup.py"))
        (call,) = setuptools.setup.call_args_list
        self.assertEqual(list(call[1]), ["version"])
        self.assertEqual(daemon.stdout.decode().split()[-1], call[1]["version"])

    def test_marked_as_typed(self):
        self.assertTrue((PROJECT / "vncauthproxy" / "py.typed").exists())


if __name__ == "__main__":
    unittest.main()
