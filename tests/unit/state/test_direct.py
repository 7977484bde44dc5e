"""Direct writes: the file holds what was appended, whatever its size, and whatever the file system can."""

import fcntl
import os
import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.state.direct import BLOCK_BYTES, BUFFER_BYTES, DirectWriter


@contextmanager
def empty(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def append(file: int, content: bytes, step: int) -> None:
    writer = DirectWriter(file)
    try:
        for start in range(0, len(content), step):
            writer.write(memoryview(content)[start : start + step])
        writer.finish()
    finally:
        writer.close()


def is_direct(file: int) -> bool:
    return bool(fcntl.fcntl(file, fcntl.F_GETFL) & os.O_DIRECT)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """What a disk does that is about to be full: it takes a part, and then says why it takes no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    "size",
    [0, 1, BLOCK_BYTES, BUFFER_BYTES - 1, BUFFER_BYTES, BUFFER_BYTES + 1, 2 * BUFFER_BYTES + BLOCK_BYTES, 700_001],
)
@pytest.mark.parametrize("step", [1 << 17, 100_003, 3 * BUFFER_BYTES])
def test_the_file_holds_what_was_appended(tmp_path: Path, size: int, step: int) -> None:
    content = random.Random(size).randbytes(size)
    with empty(tmp_path / "a") as file:
        append(file, content, step)

        assert not is_direct(file)
    assert (tmp_path / "a").read_bytes() == content


def test_a_large_file_is_written_directly(tmp_path: Path) -> None:
    with empty(tmp_path / "a") as file:
        writer = DirectWriter(file)
        writer.write(bytes(BUFFER_BYTES - 1))
        small = is_direct(file)
        writer.write(b"1")
        large = is_direct(file)
        writer.finish()
        writer.close()

    assert (small, large) == (False, True)


def test_where_a_direct_write_is_not_taken_an_ordinary_one_is(tmp_path: Path) -> None:
    """Appending to a file that ends within a block: no file system takes that directly."""
    content = random.Random(1).randbytes(3 * BUFFER_BYTES + 5)
    (tmp_path / "a").write_bytes(b"0123456789")
    with empty(tmp_path / "a") as file:
        os.lseek(file, 0, os.SEEK_END)
        append(file, content, 1 << 17)

        assert not is_direct(file)
    assert (tmp_path / "a").read_bytes() == b"0123456789" + content


@pytest.mark.parametrize("size", [BUFFER_BYTES + 3 * BLOCK_BYTES, BUFFER_BYTES + 1000])
def test_a_disk_that_takes_a_part_is_asked_for_the_rest_and_says_why(tmp_path: Path, size: int) -> None:
    content = random.Random(2).randbytes(3 * BUFFER_BYTES)
    with empty(tmp_path / "a") as file, largest_file(size), pytest.raises(OSError, match="File too large"):
        append(file, content, 1 << 17)

    assert (tmp_path / "a").read_bytes() == content[:size]


def test_writers_share_no_buffer(tmp_path: Path) -> None:
    contents = [random.Random(number).randbytes(2 * BUFFER_BYTES + number) for number in range(4)]
    with empty(tmp_path / "0") as a, empty(tmp_path / "1") as b, empty(tmp_path / "2") as c, empty(tmp_path / "3") as d:
        writers = [DirectWriter(file) for file in (a, b, c, d)]
        for start in range(0, 2 * BUFFER_BYTES + 4, 10_000):
            for writer, content in zip(writers, contents, strict=True):
                writer.write(content[start : start + 10_000])
        for writer in writers:
            writer.finish()
            writer.close()

    assert [(tmp_path / str(number)).read_bytes() for number in range(4)] == contents
