"""A leap of the clock is known whether the node ran or not."""

from datetime import timedelta
from pathlib import Path

import structlog

from node.core.clock_step import LONG_AGO
from node.service.steady import NAME, SteadyFile
from tests.makers.ledger import START

YEAR = timedelta(days=365)


def test_a_leap_while_the_node_was_off_is_told_once_and_not_forgotten(tmp_path: Path) -> None:
    first = SteadyFile(tmp_path).look(START)
    with structlog.testing.capture_logs() as logs:
        second = SteadyFile(tmp_path).look(START + YEAR)
        third = SteadyFile(tmp_path).look(START + YEAR + timedelta(hours=1))

    assert first == LONG_AGO
    assert second == third == START + YEAR
    assert [one["event"] for one in logs] == ["clock-leapt"]


def test_a_file_that_says_nothing_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("{}")

    assert SteadyFile(tmp_path).look(START) == LONG_AGO
    assert SteadyFile(tmp_path).look(START + YEAR) == START + YEAR


def test_a_disk_that_cannot_be_written_costs_nothing_while_the_node_runs(tmp_path: Path) -> None:
    file = SteadyFile(tmp_path / "gone")
    file.look(START)

    assert file.look(START + YEAR) == START + YEAR
