"""Which supervisors may share a home."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from node.errors import AlreadyRunning, NotPossible
from node.service.locks import claim, claimed
from node.service.supervisor import ROLES

OWNER, WORKERS = ("receiver", "service"), ("worker", "model")


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (ROLES, ROLES, "another node is running in"),
        (ROLES, ("service",), "another node is running in"),
        (OWNER, ("receiver",), "another node is running in"),
        (ROLES, ("worker",), "workers of another node run in"),
        (WORKERS, WORKERS, "workers of another node run in"),
    ],
)
def test_what_a_host_may_not_run_twice(tmp_path: Path, first: tuple, second: tuple, told: str) -> None:
    with claim(tmp_path, first), pytest.raises(AlreadyRunning, match=told), claim(tmp_path, second):
        pass


def test_hosts_share_a_home_each_with_workers_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as held:
        folders = [held.enter_context(claim(tmp_path, OWNER))]
        for name in ("a", "b"):
            monkeypatch.setattr(socket, "gethostname", lambda name=name: name)
            folders.append(held.enter_context(claim(tmp_path, WORKERS)))

        assert claimed(tmp_path) == folders == [tmp_path / "run", tmp_path / "run" / "a", tmp_path / "run" / "b"]

    assert claimed(tmp_path) == []


def test_one_host_may_run_the_owner_and_the_workers_apart(tmp_path: Path) -> None:
    with claim(tmp_path, OWNER), claim(tmp_path, WORKERS):
        assert len(claimed(tmp_path)) == 2


def test_a_home_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")

    with (
        pytest.raises(NotPossible, match=r"/home cannot be used as state.home .*or set ISOCENTER_HOME"),
        claim(tmp_path / "home", ROLES),
    ):
        pass
