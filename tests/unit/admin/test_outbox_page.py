"""The outbox when far too much is in it: nothing of one destination hides another's, and every delivery is found."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from typer.testing import CliRunner

from node.bench.filled import fill
from node.cli.app import app
from node.core.role import Role
from node.state import schema
from node.state.listings import on_their_way
from tests.makers.window import Opened, opened
from tests.unit.state.test_history import plan_of


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[Opened]:
    """700 results are parked for the PACS and, later, two for another destination."""
    with opened(tmp_path) as made:
        fill(made.books.ledger, 800, made.window.now())
        table = schema.delivery
        with made.books.ledger.write() as connection:
            ids = list(connection.execute(table.select().order_by(table.c.changed_at)).scalars())
            connection.execute(table.update().values(state="dropped"))
            connection.execute(table.update().where(table.c.id.in_(ids[:700])).values(state="parked"))
            last = table.update().where(table.c.id.in_(ids[700:702]))
            connection.execute(last.values(state="parked", destination="other", message="answered 0122"))
        yield made


def test_what_is_parked_for_one_is_shown_however_much_is_parked_for_another(crowded: Opened) -> None:
    page = crowded.user().see("/outbox")
    pacs, other = (
        part.partition("</section>")[0] for part in sorted(page.split("<section")[1:], key=len, reverse=True)
    )

    assert ">650 more that are parked</a>" in pacs
    assert "other" in other
    assert other.count("answered 0122") == 2
    assert "Nothing waits" not in other


def test_programs_read_of_each_destination_what_waits(crowded: Opened) -> None:
    found = crowded.program(Role.VIEWER).get("/api/outbox").json()

    assert [one["delivery"]["destination"] for one in found].count("other") == 2


def test_it_is_found_without_all_that_was_ever_delivered(crowded: Opened) -> None:
    _, plan = plan_of(crowded.books.ledger, on_their_way)

    assert [one for one in plan if one.startswith("SCAN") and "USING" not in one] == []


def test_every_delivery_is_found_by_state_and_destination_however_old(crowded: Opened) -> None:
    """The list showed the newest fifty of whatever there was."""
    viewer = crowded.user(Role.VIEWER)
    seen, path = [], "/outbox/all?state=parked&destination=pacs"
    while path:
        page = viewer.see(path)
        seen += re.findall(r"#(d\w+)\">", page)
        hidden = dict(
            re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.partition('action="/outbox/all">')[2])
        )
        path = f"/outbox/all?{urlencode(hidden)}" if "before_at" in hidden else ""

    assert (len(seen), len(set(seen))) == (700, 700)
    assert viewer.see("/outbox/all?destination=other").count("answered 0122") == 2
    assert "No delivery is like that" in viewer.see("/outbox/all?state=proven")
    assert 'href="/outbox/all?state=parked&amp;destination=pacs">650 more' in viewer.see("/outbox")


@pytest.mark.parametrize("query", ["state=nonsense", "before_at=nonsense", "destination=" + "x" * 1000])
def test_a_list_that_there_cannot_be_is_refused_in_words(crowded: Opened, query: str) -> None:
    answer = crowded.user(Role.VIEWER).client.get(f"/outbox/all?{query}")

    assert (answer.status_code, "this cannot be used" in answer.text) == (422, True)


def test_programs_go_through_every_delivery(crowded: Opened) -> None:
    program = crowded.program(Role.VIEWER)
    found, asked = [], {"state": "parked"}
    while page := program.get("/api/deliveries", params=asked).json():
        found += [one["delivery"]["id"] for one in page]
        asked |= {"before_at": page[-1]["delivery"]["created_at"], "before_id": page[-1]["delivery"]["id"]}

    assert (len(found), len(set(found))) == (702, 702)
    assert len(program.get("/api/deliveries?destination=other").json()) == 2


def test_the_command_shows_those_that_are_asked_for(crowded: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISOCENTER_HOME", str(crowded.books.home))

    def shown(*arguments: str) -> list[dict[str, object]]:
        said = CliRunner().invoke(app, ["deliveries", "--json", *arguments])
        found: list[dict[str, object]] = json.loads(said.stdout)["items"]
        return found

    assert {one["destination"] for one in shown("--destination", "other", "--state", "parked")} == {"other"}
    assert {one["state"] for one in shown("--state", "dropped", "--limit", "1000")} == {"dropped"}
    assert len(shown("--state", "parked", "--limit", "1000")) == 702
    said = CliRunner().invoke(app, ["deliveries", "--destination", "nowhere"])
    assert "no delivery is like that" in said.stdout


def test_who_watches_is_shown_what_changed_and_what_their_role_may_do(crowded: Opened) -> None:
    """What is looked up is shared among all who watch; buttons and their marks are not."""
    browsers = [crowded.user(Role.OPERATOR), crowded.user(Role.VIEWER)]
    browsers[1].client._transport = browsers[0].client._transport  # of one application
    pages = [one.see("/outbox") for one in browsers]
    marks = [re.findall(r"seen=(\w+)", page)[0] for page in pages]
    assert marks[0] != marks[1]
    for one, mark in zip(browsers, marks, strict=True):
        assert one.client.get(f"/outbox/live?seen={mark}").status_code == 204
    assert 'action="/deliveries/' in browsers[0].see("/outbox/live")
    assert 'action="/deliveries/' not in browsers[1].see("/outbox/live")

    key = re.findall(r"/deliveries/(\w+)/drop", pages[0])[0]
    assert browsers[0].submit(f"/deliveries/{key}/drop", reason="a test", back="outbox").status_code == 303
    assert f"/deliveries/{key}/drop" not in browsers[0].see("/outbox?done=drop")
    assert browsers[1].client.get(f"/outbox/live?seen={marks[1]}").status_code == 200
    plan, _ = plan_of(crowded.books.ledger, lambda _: [one.see("/outbox/live") for one in browsers])
    assert [one for one in plan if "iso_delivery" in one] == []
