"""Looks that are begun from the window: what is shown while they last and afterwards, and that only one lasts."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.core.checkup import CheckUp, Subject
from node.core.role import Role
from node.errors import NotPossible
from node.service import checkups
from node.service.checkups import CheckUps
from tests.makers.window import Opened, opened

SAID = [
    {"what": "the <first>", "holds": None, "words": ""},
    {"what": "the <first>", "holds": True, "words": "as it should"},
    {"what": "the second", "holds": False, "words": "not at all"},
]


def script(folder: Path, *, ends: str = "") -> tuple[str, ...]:
    """A look that says SAID when it is let go on, and then does as `ends` says."""
    lines = "".join(f"print({json.dumps(json.dumps(one))}, flush=True)\n" for one in SAID)
    first, rest = lines.split("\n", 1)
    path = folder / "look.py"
    waits = f"while not os.path.exists({str(folder / 'go')!r}): time.sleep(0.02)"
    path.write_text(f"import os, sys, time\n{first}\n{waits}\n{rest}\n{ends}")
    return (sys.executable, str(path))


def until(condition: Callable[[], object]) -> None:
    """Wait for something that comes soon."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def last(window: Opened, subject: Subject = Subject.JOURNEY) -> CheckUp:
    found = window.window.looking.last(subject)
    assert found is not None
    return found


@pytest.fixture
def open_with(tmp_path: Path) -> Iterator[Callable[[str], Opened]]:
    with ExitStack() as stack:

        def made(ends: str = "") -> Opened:
            looks = stack.enter_context(closing(CheckUps(tmp_path, tmp_path, utc_now, script(tmp_path, ends=ends))))
            return stack.enter_context(opened(tmp_path, looking=looks))

        yield made


def utc_now() -> datetime:
    return datetime.now(UTC)


def test_a_self_test_is_shown_step_by_step_and_its_outcome_kept(
    tmp_path: Path, open_with: Callable[[str], Opened]
) -> None:
    window = open_with("")
    browser = window.user(Role.ADMIN)

    assert "not looked at yet" in browser.see("/system")
    assert "running" in browser.submit("/system/selftest").text
    until(lambda: last(window).seen)
    page = browser.see("/system/selftest")
    assert "the &lt;first&gt;" in page
    assert 'hx-trigger="every 1s"' in page
    assert "another check is running" in browser.submit("/models/lung-ct/check").text

    (tmp_path / "go").touch()
    until(lambda: not last(window).lasts)
    page = browser.see("/system")
    assert "1 thing is not as it should be" in page
    assert "as it should" in page
    assert "not at all" in page
    assert "every 1s" not in page
    again = CheckUps(tmp_path, tmp_path, utc_now).last(Subject.JOURNEY)
    assert again == last(window)
    assert [one.holds for one in last(window).seen] == [True, False]


def test_what_did_not_come_to_its_end_says_why(tmp_path: Path, open_with: Callable[[str], Opened]) -> None:
    window = open_with("sys.exit('no <room> for it')")
    (tmp_path / "go").touch()
    browser = window.user(Role.OPERATOR)
    browser.submit("/system/check")
    until(lambda: not last(window, Subject.NODE).lasts)

    assert "no &lt;room&gt; for it" in browser.see("/system")
    assert not last(window, Subject.NODE).is_sound


def test_what_takes_too_long_is_ended(open_with: Callable[[str], Opened], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkups, "LIMIT_S", {Subject.JOURNEY: 0.3})
    window = open_with("")
    window.window.looking.start(Subject.JOURNEY)
    with pytest.raises(NotPossible):
        window.window.looking.start(Subject.JOURNEY)
    until(lambda: not last(window).lasts)

    assert "it was ended after" in last(window).why


def test_a_look_that_its_process_did_not_outlive_is_told_so(tmp_path: Path, open_with: Callable[[str], Opened]) -> None:
    window = open_with("")
    window.window.looking.start(Subject.JOURNEY)
    found = CheckUps(tmp_path, tmp_path, utc_now).last(Subject.JOURNEY)

    assert found is not None
    assert (found.lasts, "broken off" in found.why) == (False, True)


def test_only_an_installed_model_is_checked(open_with: Callable[[str], Opened]) -> None:
    assert open_with("").user(Role.OPERATOR).submit("/models/other/check").status_code == 404


def test_the_node_is_looked_at_by_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "routes.toml").write_text('[[route]]\nname = "chest"\nmodel = "none"\ndestinations = ["nobody"]\n')
    with closing(CheckUps(tmp_path, tmp_path, utc_now)) as looks:
        looks.start(Subject.NODE)
        until(lambda: (found := looks.last(Subject.NODE)) is not None and not found.lasts)
        found = looks.last(Subject.NODE)

    assert found is not None
    assert found.why == ""
    assert any("nobody" in one.what for one in found.seen)
