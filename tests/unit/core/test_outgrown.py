"""A model worker is renewed for what its models keep, and for no more than that."""

import pytest

from node.core.outgrown import crowded, outgrown


@pytest.mark.parametrize(
    ("settled_mb", "held_mb", "declared_mb", "words"),
    [
        (600, 4300, 500, "holds 4300 MB, 3700 MB more than once it had settled, and the card says memory_mb = 500"),
        (600, 1625, 500, "1025 MB more"),
        (600, 1624, 500, ""),  # a gigabyte is always allowed
        (600, 4300, 4000, ""),  # what the card declares is, too
        (4300, 600, 500, ""),  # a model was closed
    ],
)
def test_what_is_outgrown(settled_mb: int, held_mb: int, declared_mb: int, words: str) -> None:
    why = outgrown(settled_mb=settled_mb, held_mb=held_mb, declared_mb=declared_mb)

    assert words in why
    assert bool(why) == bool(words)


@pytest.mark.parametrize(("files", "words"), [(512, ""), (513, "its process has 513 files open and may have 1024")])
def test_half_of_the_files_are_for_the_work(files: int, words: str) -> None:
    assert crowded(files=files, files_limit=1024) == words
