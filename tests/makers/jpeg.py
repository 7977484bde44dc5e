"""JPEG Lossless of one component, which no library here compresses: first-order prediction, and codes of one length."""

import struct

import numpy as np

CODE_BITS = 5
CATEGORIES = 17
"""Of differences: how many bits one has, 0 to 16; each is named by five bits."""


def jpeg_lossless(stored: np.ndarray, bits: int) -> bytes:
    """The codestream (ISO 10918-1 annex H) of values without sign, (rows, columns), of so many bits."""
    rows, columns = stored.shape
    lengths = bytes(CATEGORIES if length == CODE_BITS else 0 for length in range(1, 17))
    return b"".join(
        (
            b"\xff\xd8",
            b"\xff\xc3" + struct.pack(">HBHHB3B", 11, bits, rows, columns, 1, 1, 0x11, 0),
            b"\xff\xc4" + struct.pack(">HB", 19 + CATEGORIES, 0) + lengths + bytes(range(CATEGORIES)),
            b"\xff\xda" + struct.pack(">HB2B3B", 8, 1, 1, 0, 1, 0, 0),
            _entropy_coded(stored.astype(np.int64), bits),
            b"\xff\xd9",
        )
    )


def _entropy_coded(stored: np.ndarray, bits: int) -> bytes:
    """Differences to the pixel on the left; in the first column to the one above, at the start to half the range."""
    predicted = np.empty_like(stored)
    predicted[:, 1:], predicted[1:, 0], predicted[0, 0] = stored[:, :-1], stored[:-1, 0], 1 << (bits - 1)
    differences = (stored - predicted + 0x7FFF) % 0x10000 - 0x7FFF
    coded = "".join(_coded(int(one)) for one in differences.ravel())
    coded += "1" * (-len(coded) % 8)
    return int(coded, 2).to_bytes(len(coded) // 8, "big").replace(b"\xff", b"\xff\0")


def _coded(difference: int) -> str:
    """The category, then the difference in so many bits, below 0 less 1 (ISO 10918-1 F.1.2.1); none of 0 and 32768."""
    size = abs(difference).bit_length()
    value = difference if difference >= 0 else difference + (1 << size) - 1
    return f"{size:0{CODE_BITS}b}" + (f"{value:0{size}b}" if 0 < size < CATEGORIES - 1 else "")
