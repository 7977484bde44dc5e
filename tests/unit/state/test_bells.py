"""Bells between processes: heard by who works from a queue, harmless where nobody does."""

import os
from contextlib import closing
from pathlib import Path

from node.state.bells import Bells


def test_a_ring_is_heard_by_every_process_of_the_queue(tmp_path: Path) -> None:
    bells = Bells(tmp_path)
    with closing(bells.hang("cpu", "w0")) as first, closing(bells.hang("cpu", "w1")) as second:
        bells.ring("cpu")

        assert first.wait(1)
        assert second.wait(1)


def test_a_ring_is_not_heard_in_another_queue(tmp_path: Path) -> None:
    bells = Bells(tmp_path)
    with closing(bells.hang("model", "m0")) as other:
        bells.ring("cpu")

        assert not other.wait(0)


def test_rings_are_taken_as_one(tmp_path: Path) -> None:
    bells = Bells(tmp_path)
    with closing(bells.hang("cpu", "w0")) as bell:
        for _ in range(3):
            bells.ring("cpu")

        assert bell.wait(1)
        assert not bell.wait(0)


def test_nobody_waits_for_a_process_that_is_gone(tmp_path: Path) -> None:
    bells = Bells(tmp_path)
    bells.hang("cpu", "w0").close()

    bells.ring("cpu")


def test_nobody_waits_for_a_process_that_does_not_listen(tmp_path: Path) -> None:
    """A pipe is full after 64 KiB."""
    bells = Bells(tmp_path)
    with closing(bells.hang("cpu", "w0")):
        full = os.open(tmp_path / "run" / "bells" / "cpu+w0", os.O_WRONLY | os.O_NONBLOCK)
        os.write(full, bytes(1 << 16))
        os.close(full)

        bells.ring("cpu")
