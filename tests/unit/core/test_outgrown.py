"""A model worker is renewed for what its models keep, and for no more than that."""

import pytest

from node.core.outgrown import outgrown


@pytest.mark.parametrize(
    ("settled_mb", "held_mb", "declared_mb", "files", "words"),
    [
        (600, 4300, 500, 30, "holds 4300 MB, 3700 MB more than once it had settled, and the card says memory_mb = 500"),
        (600, 1625, 500, 30, "1025 MB more"),
        (600, 1624, 500, 30, ""),  # a gigabyte is always allowed
        (600, 4300, 4000, 30, ""),  # what the card declares is, too
        (4300, 600, 500, 30, ""),  # a model was closed
        (600, 600, 500, 512, ""),
        (600, 600, 500, 513, "has 513 files open and may have 1024"),
    ],
)
def test_what_is_outgrown(settled_mb: int, held_mb: int, declared_mb: int, files: int, words: str) -> None:
    why = outgrown(settled_mb=settled_mb, held_mb=held_mb, declared_mb=declared_mb, files=files, files_limit=1024)

    assert words in why
    assert bool(why) == bool(words)
