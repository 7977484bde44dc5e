"""Users and programs: added, changed and shut out from the window and by commands; links and tokens are told once."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node.admin import accounts
from node.admin.sessions import COOKIE
from node.cli.app import app
from node.core.role import Role
from node.errors import ConfigurationInvalid, NotFound
from node.state import accounts as rows
from tests.makers.window import PASSWORD, Browser, Opened, opened

NEW = "another long phrase"


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Opened]:
    with opened(tmp_path) as found:
        yield found


def code_in(page: str) -> str:
    found = re.search(r"reset\?code=([\w-]+)", page)
    assert found is not None, page
    return found[1]


def signs_in(window: Opened, name: str, password: str) -> bool:
    return window.stranger().post("/sign-in", data={"name": name, "password": password}).status_code == 303


def added(admin: Browser, name: str = "ada", **fields: str) -> str:
    return code_in(admin.submit("/users/add", name=name, role="viewer", **fields).text)


def test_an_added_user_chooses_a_password_once(window: Opened) -> None:
    code = added(window.user())
    stranger = window.stranger()
    assert "For ada" in stranger.get(f"/reset?code={code}").text
    short = stranger.post("/reset", data={"code": code, "password": "short", "again": "short"})
    assert (short.status_code, "12 to 256" in short.text) == (422, True)
    chosen = stranger.post("/reset", data={"code": code, "password": NEW, "again": NEW})
    assert (chosen.status_code, COOKIE in chosen.cookies) == (303, True)

    assert signs_in(window, "ada", NEW)
    assert stranger.post("/reset", data={"code": code, "password": NEW, "again": NEW}).status_code == 422
    assert "ask for another one" in window.stranger().get(f"/reset?code={code}").text


def test_a_link_counts_for_a_day_and_only_the_last_one(window: Opened) -> None:
    admin = window.user()
    first = added(admin)
    second = code_in(admin.submit("/users/ada/reset").text)
    now = window.window.now()

    assert accounts.user_of_link(window.books.ledger, first, now) is None
    assert accounts.user_of_link(window.books.ledger, second, now + timedelta(hours=23)) is not None
    assert accounts.user_of_link(window.books.ledger, second, now + timedelta(hours=25)) is None


def test_a_role_that_was_changed_holds_at_once(window: Opened) -> None:
    operator = window.user(Role.OPERATOR)
    admin = window.user()
    assert admin.submit("/users/operator/change", role="viewer").status_code == 303

    assert operator.client.get("/users").status_code == 403
    assert operator.submit("/studies/x/complete").status_code == 403
    assert 'option value="viewer" selected' in admin.see("/users")


def test_who_is_disabled_is_out_until_a_new_link_is_used(window: Opened) -> None:
    operator, admin = window.user(Role.OPERATOR), window.user()
    admin.submit("/users/operator/disable")
    assert operator.client.get("/").status_code == 303
    assert not signs_in(window, "operator", PASSWORD)
    assert "cannot sign in" in admin.see("/users")

    accounts.choose_password(
        window.books.ledger, code_in(admin.submit("/users/operator/reset").text), NEW, window.window.now()
    )
    assert signs_in(window, "operator", NEW)


def test_the_last_admin_stays(window: Opened) -> None:
    admin = window.user()
    for act in ("disable", "remove"):
        assert admin.submit(f"/users/admin/{act}").status_code == 422
    assert admin.submit("/users/admin/change", role="viewer").status_code == 422
    for act in (accounts.disable_user, accounts.remove_user):
        with pytest.raises(ConfigurationInvalid, match="only admin"):
            act(window.books.ledger, "admin")
    with pytest.raises(ConfigurationInvalid, match="only admin"):
        accounts.add_user(window.books.ledger, "admin", NEW, Role.VIEWER, window.window.now())


@pytest.mark.parametrize("name", ["", "a b", "<b>", "admin", "../x"])
def test_a_name_that_cannot_be_or_is_taken_is_refused(window: Opened, name: str) -> None:
    answer = window.user().submit("/users/add", name=name, role="viewer")

    assert answer.status_code == 422
    assert "<b>" not in answer.text


def test_a_programs_token_is_told_once_and_taken_back(window: Opened) -> None:
    admin = window.user()
    page = admin.submit("/tokens/add", name="dashboard", role="viewer").text
    found = re.search(r"isocenter_[\w-]+", page)
    assert found is not None
    program = window.stranger()
    program.headers["Authorization"] = f"Bearer {found[0]}"
    assert program.get("/api/outbox").status_code == 200
    assert found[0] not in admin.see("/users")

    admin.submit("/tokens/dashboard/remove")
    assert program.get("/api/outbox").status_code == 401


def test_a_viewer_sees_numbers_only_where_that_was_allowed(window: Opened) -> None:
    admin = window.user()
    viewer = window.user(Role.VIEWER)
    assert "Patient id" not in viewer.see("/studies")
    admin.submit("/users/viewer/change", role="viewer", names="true")

    assert "Patient id" in viewer.see("/studies")


def test_commands_do_as_the_page_does(window: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISOCENTER_HOME", str(window.books.home))
    monkeypatch.setenv("ISOCENTER__STATE__DATABASE_URL", window.books.url)
    run = CliRunner().invoke
    given = f"{PASSWORD}\n{PASSWORD}\n"

    assert run(app, ["users", "add", "ada", "--role", "admin"], input=given).exit_code == 0
    assert signs_in(window, "ada", PASSWORD)
    assert '"role": "admin"' in run(app, ["users", "list", "--json"]).output
    assert isinstance(run(app, ["users", "remove", "ada"]).exception, ConfigurationInvalid)
    assert run(app, ["users", "add", "bo", "--role", "admin"], input=given).exit_code == 0
    assert run(app, ["users", "remove", "ada"]).exit_code == 0
    assert isinstance(run(app, ["users", "remove", "ada"]).exception, NotFound)
    token = run(app, ["users", "token", "dashboard"]).output.strip()
    assert token.startswith("isocenter_")
    assert run(app, ["users", "token", "dashboard", "--remove"]).exit_code == 0
    with window.books.ledger.read() as connection:
        assert (rows.tokens(connection), [one.name for one in rows.users(connection)]) == ([], ["bo"])
