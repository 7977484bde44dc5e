"""What the engine's library says of a database that is away is one line each; of anything else nothing is lost."""

import logging
from types import SimpleNamespace

import pytest
import structlog

from node.errors import LedgerUnusable
from node.jobs.engine import prepare_engine
from node.jobs.library_log import LIBRARY, take_over_log
from node.rehearsal.running import free_ports


def test_a_database_that_is_away_gives_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    (port,) = free_ports(1)
    with structlog.testing.capture_logs() as lines, pytest.raises(LedgerUnusable):
        prepare_engine(f"postgresql+psycopg://nobody@127.0.0.1:{port}/none")

    told = [one for one in lines if one["log_level"] != "debug"]
    assert told
    assert all(one["event"] == "engine-says" and "\n" not in one["why"] and "exc_info" not in one for one in told)
    assert any("Connection refused" in one["why"] for one in told)
    assert "Traceback" not in "".join(capfd.readouterr())


def test_an_error_that_is_not_the_databases_keeps_its_traceback() -> None:
    take_over_log()
    with structlog.testing.capture_logs() as lines:
        try:
            int("no number")
        except ValueError:
            logging.getLogger(LIBRARY).exception("Exception encountered in background workflow:")

    (told,) = lines
    assert told["why"].startswith("Exception encountered in background workflow: ValueError: invalid literal")
    assert told["exc_info"][0] is ValueError


def test_a_traceback_within_the_words_is_told_by_its_last_line() -> None:
    words = "Exception polling: Traceback (most recent call last):\n  File x\npsycopg.Error: gone\n[SQL: y]\n"
    take_over_log()
    with structlog.testing.capture_logs() as lines:
        logging.getLogger(LIBRARY).warning(words)

    assert lines[0]["why"] == "Exception polling: Traceback (most recent call last): psycopg.Error: gone"


def test_what_is_said_again_and_again_is_told_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is away for a weekend does not fill the disk with words about it."""
    at = {"s": 1000.0}
    monkeypatch.setattr("node.jobs.library_log.time", SimpleNamespace(monotonic=lambda: at["s"]))
    take_over_log()
    said = logging.getLogger(LIBRARY).warning
    with structlog.testing.capture_logs() as lines:
        for seconds in (0, 1, 59, 61):
            at["s"] = 1000.0 + seconds
            for words in ("Connection refused", "starting up") if seconds == 1 else ("starting up",):
                said(words)

    told = [one["why"] for one in lines if one["log_level"] != "debug"]
    assert told == ["starting up", "Connection refused", "starting up", "starting up"]
