"""What the API says to a program that asks wrongly: what is wrong, where, and what to do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.core.role import Role
from tests.makers.studies import make_study
from tests.makers.window import Opened, opened


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Opened]:
    with opened(tmp_path) as found:
        yield found


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"{", "application/json", "JSON decode error"),
        (b'{"name": "x"}', "text/plain", "send a body as JSON, with Content-Type: application/json"),
        (b'{"name": "x", "ae_title": "X", "port": "abc"}', "application/json", "port: Input should be a valid integer"),
        (b'{"name": "x", "ae_title": "X", "bogus": 1}', "application/json", "bogus: Extra inputs are not permitted"),
        (b"[]", "application/json", "body: Input should be a valid dictionary"),
        (b'{"name": "x"}', "application/json", "ae_title: Field required"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_reason(window: Opened, body: bytes, kind: str, words: str) -> None:
    answer = window.program(Role.ADMIN).post("/api/peers", content=body, headers={"Content-Type": kind})

    assert answer.status_code == 422
    assert words in answer.json()["why"]


def test_a_method_that_is_not_there_names_those_that_are(window: Opened) -> None:
    answer = window.program(Role.VIEWER).delete("/api/now")

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")


def test_too_much_is_told_in_words(window: Opened) -> None:
    answer = window.program(Role.ADMIN).post("/api/peers", content=b"x" * 100_000)

    assert answer.status_code == 413
    assert answer.json()["why"] == "at most 64 KiB are taken at once: send less"


@pytest.mark.parametrize("kind", ["destination", "route", "model"])
def test_nothing_is_paused_under_a_name_that_nothing_has(window: Opened, kind: str) -> None:
    """All would go on, while somebody believes that it waits; the commands refuse it as well."""
    make_study(window.books, "a")
    by_program = window.program(Role.OPERATOR).post(f"/api/{kind}/pcas/pause")
    by_form = window.user().submit("/pause", kind=kind, name="pcas")

    assert (by_program.status_code, by_form.status_code) == (404, 404)
    assert by_program.json()["why"].startswith(f"no {kind} is called 'pcas'; there are: ")
    assert window.program(Role.VIEWER).get("/api/pauses").json() == []
