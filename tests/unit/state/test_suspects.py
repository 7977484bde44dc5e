"""A file that takes the process down is read three times, not for ever."""

from pathlib import Path

import pytest

from node.errors import Unreadable
from node.state.suspects import STRIKES, Suspects

NEVER_LEFT: list[object] = []


def die_while_reading(home: Path, name: str) -> None:
    """What a killed process leaves: the block is entered and never left."""
    block = Suspects(home).reading(name)
    block.__enter__()
    NEVER_LEFT.append(block)


def test_a_file_that_ends_the_process_three_times_is_read_no_more(tmp_path: Path) -> None:
    for _ in range(STRIKES):
        die_while_reading(tmp_path, "bad")

    with pytest.raises(Unreadable, match="3 times"), Suspects(tmp_path).reading("bad"):
        pass


def test_one_unlucky_kill_costs_nothing(tmp_path: Path) -> None:
    die_while_reading(tmp_path, "good")

    with Suspects(tmp_path).reading("good"):
        pass


def test_reading_that_ends_in_an_error_is_no_strike(tmp_path: Path) -> None:
    for _ in range(STRIKES + 1):
        with pytest.raises(Unreadable), Suspects(tmp_path).reading("broken"):
            raise Unreadable("truncated")
