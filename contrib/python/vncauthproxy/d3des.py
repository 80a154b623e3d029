# SPDX-License-Identifier: GPL-2.0-or-later
"""What a VNC viewer answers to a challenge (RFC 6143 7.2.2): the two halves of it, encrypted with DES.

Written from the tables of FIPS 46-3, for test programs: simple and slow, and 56 bits protect nothing these days. Bits
are numbered as in the standard, 1 being the leftmost.
"""

from __future__ import annotations

from typing import List, Sequence, Union

__all__ = ["generate_response"]

_INITIAL = tuple(column - 8 * row for column in (58, 60, 62, 64, 57, 59, 61, 63) for row in range(8))
_FINAL = tuple(_INITIAL.index(bit) + 1 for bit in range(1, 65))
_EXPAND = tuple((4 * group + bit - 1) % 32 + 1 for group in range(8) for bit in range(6))
_MIX = (
    16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10,
    2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25,
)  # fmt: skip
_KEY_BITS = (
    57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
    63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
)  # fmt: skip
_ROUND_KEY_BITS = (
    14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
    41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
)  # fmt: skip
_ROTATIONS = (1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1)
# Four rows of sixteen, a hexadecimal digit each.
_BOXES = tuple(
    tuple(int(digit, 16) for digit in rows.replace(" ", ""))
    for rows in (
        "e4d12fb83a6c5907 0f74e2d1a6cb9538 41e8d62bfc973a50 fc8249175b3ea06d",
        "f18e6b34972dc05a 3d47f28ec01a69b5 0e7ba4d158c6932f d8a13f42b67c05e9",
        "a09e63f51dc7b428 d709346a285ecbf1 d6498f30b12c5ae7 1ad069874fe3b52c",
        "7de3069a1285bc4f d8b56f03472c1ae9 a690cb7df13e5284 3f06a1d8945bc72e",
        "2c417ab6853fd0e9 eb2c47d150fa3986 421bad78f9c5630e b8c71e2d6f09a453",
        "c1af92680d34e75b af427c9561de0b38 9ef528c3704a1db6 432c95fabe17608d",
        "4b2ef08d3c975a61 d0b7491ae35c2f86 14bdc37eaf680592 6bd814a7950fe23c",
        "d2846fb1a93e50c7 1fd8a374c56b0e92 7b419ce206adf358 21e74a8dfc90356b",
    )
)


def _permute(value: int, width: int, table: Sequence[int]) -> int:
    """The bits of a value of that width that the table names, in the table's order."""
    result = 0
    for bit in table:
        result = result << 1 | value >> (width - bit) & 1
    return result


def _round_keys(key: int) -> List[int]:
    bits = _permute(key, 64, _KEY_BITS)
    left, right = bits >> 28, bits & 0xFFFFFFF
    keys = []
    for count in _ROTATIONS:
        left, right = ((half << count | half >> (28 - count)) & 0xFFFFFFF for half in (left, right))
        keys.append(_permute(left << 28 | right, 56, _ROUND_KEY_BITS))
    return keys


def _scramble(half: int, round_key: int) -> int:
    bits = _permute(half, 32, _EXPAND) ^ round_key
    result = 0
    for index, box in enumerate(_BOXES):
        six = bits >> (42 - 6 * index) & 0x3F
        row, column = six >> 4 & 2 | six & 1, six >> 1 & 0xF
        result = result << 4 | box[16 * row + column]
    return _permute(result, 32, _MIX)


def _encrypt(key: bytes, block: bytes) -> bytes:
    """One block of 8 bytes with DES; the parity bits of the key are ignored."""
    bits = _permute(int.from_bytes(block, "big"), 64, _INITIAL)
    left, right = bits >> 32, bits & 0xFFFFFFFF
    for round_key in _round_keys(int.from_bytes(key, "big")):
        left, right = right, left ^ _scramble(right, round_key)
    return _permute(right << 32 | left, 64, _FINAL).to_bytes(8, "big")


def generate_response(passwd: Union[str, bytes], challenge: bytes) -> bytes:
    """The 16 bytes that prove knowledge of the password to whoever sent the 16 bytes of the challenge.

    Only the first 8 bytes of the password count, in UTF-8 when it is a str. A challenge of another length is a
    ValueError.
    """
    if len(challenge) != 16:
        raise ValueError("a challenge has 16 bytes, not %d" % len(challenge))
    text = passwd.encode("utf-8") if isinstance(passwd, str) else bytes(passwd)
    # VNC takes each byte of the key with its bits in reverse.
    key = bytes(int("{:08b}".format(byte)[::-1], 2) for byte in text[:8].ljust(8, b"\0"))
    return _encrypt(key, challenge[:8]) + _encrypt(key, challenge[8:])
