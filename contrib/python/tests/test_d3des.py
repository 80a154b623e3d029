# SPDX-License-Identifier: GPL-2.0-or-later
"""DES by published vectors, and side by side with openssl."""

import random
import subprocess
import unittest

from vncauthproxy import d3des
from vncauthproxy.d3des import generate_response

COUNTING = bytes(range(16))


class ResponseTest(unittest.TestCase):
    def test_vectors(self):
        for password, challenge, response in (
            ("passwd", COUNTING, "e8399b58571e87ed8445c8716b6dd945"),
            ("password", COUNTING, "b866924125c8eebb9debc1db61c538e2"),
            ("password123", COUNTING, "b866924125c8eebb9debc1db61c538e2"),  # the first eight count
            ("", COUNTING, "491e890de9ace932838a49792f2213f3"),
            ("a", COUNTING, "449407fb6f71bd517aca76866568a4e2"),
            (b"\xff\x80abc", COUNTING, "768b4a3e452aaf6d43d3ef289dae3440"),
            ("COW-CAT", bytes.fromhex("00112233445566778899aabbccddeeff"), "afc78d58d623e1b4a556c86118cdf604"),
        ):
            with self.subTest(password=password):
                self.assertEqual(generate_response(password, challenge).hex(), response)

    def test_kinds_of_arguments(self):
        expected = generate_response("passwd", COUNTING)
        self.assertEqual(generate_response(b"passwd", COUNTING), expected)
        self.assertEqual(generate_response(bytearray(b"passwd\0\0"), bytearray(COUNTING)), expected)
        self.assertEqual(generate_response("\u00e4", COUNTING), generate_response(b"\xc3\xa4", COUNTING))

    def test_challenge_of_another_length(self):
        for length in (0, 8, 15, 17, 32):
            with self.subTest(length=length), self.assertRaisesRegex(ValueError, "16 bytes, not %d" % length):
                generate_response("passwd", bytes(length))

    def test_published_block(self):
        """The worked example that most textbooks have."""
        key, plain = bytes.fromhex("133457799bbcdff1"), bytes.fromhex("0123456789abcdef")
        self.assertEqual(d3des._encrypt(key, plain).hex(), "85e813540f0ab405")

    def test_as_openssl(self):
        """Three times with one key is once with it: openssl's default provider has no single DES any more."""
        source = random.Random(1)
        for _ in range(20):
            key, plain = source.randbytes(8), source.randbytes(16)
            command = ("openssl", "enc", "-e", "-des-ede3", "-nopad", "-K", (3 * key).hex())
            with self.subTest(key=key.hex(), plain=plain.hex()):
                done = subprocess.run(command, input=plain, stdout=subprocess.PIPE, check=True)
                ours = d3des._encrypt(key, plain[:8]) + d3des._encrypt(key, plain[8:])
                self.assertEqual(ours.hex(), done.stdout.hex())


if __name__ == "__main__":
    unittest.main()
