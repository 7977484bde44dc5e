"""Who may do what: the table of rights against the application, every role against every route."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from node.admin.accounts import FirstUser
from node.admin.app import window_app
from node.admin.rights import RIGHTS, Open
from node.admin.sessions import COOKIE, csrf_of
from node.core.role import Role
from tests.makers.window import Opened, opened


def routes_of(window: Opened) -> list[APIRoute]:
    app = window_app(window.window, FirstUser(window.books.ledger))
    found = [one for one in app.routes if isinstance(one, APIRoute)]
    assert len(found) == len(app.routes) - 1  # the static files are the only other one
    return found


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    with opened(tmp_path_factory.mktemp("window")) as found:
        yield found


@pytest.fixture(scope="module")
def routes(window: Opened) -> dict[str, APIRoute]:
    return {one.name: one for one in routes_of(window)}


def test_the_table_has_a_row_for_every_route_and_no_other(window: Opened) -> None:
    names = [one.name for one in routes_of(window)]

    assert len(names) == len(set(names))
    assert set(names) == set(RIGHTS)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("way", ["browser", "program"])
def test_every_role_at_every_route_is_let_through_or_refused_as_the_table_says(
    tmp_path: Path, role: Role, way: str
) -> None:
    with opened(tmp_path) as window:
        if way == "browser":
            client = window.user(role).client
            headers = {"X-CSRF-Token": csrf_of(client.cookies[COOKIE])}
        else:
            client, headers = window.program(role), {}
        wrong = []
        for route in routes_of(window):
            needed = RIGHTS[route.name]
            if isinstance(needed, Open) or route.name == "sign_out":
                continue
            for method in route.methods:
                answer = client.request(method, route.path.replace("{", "").replace("}", ""), headers=headers)
                if (answer.status_code == 403) == role.may(needed):
                    wrong.append((method, route.path, answer.status_code))
        assert wrong == []


def test_who_is_not_signed_in_gets_nowhere_but_to_the_door(window: Opened, routes: dict[str, APIRoute]) -> None:
    client = window.stranger()
    for name, route in routes.items():
        if isinstance(RIGHTS[name], Open):
            continue
        for method in route.methods:
            answer = client.request(method, route.path)
            assert answer.status_code in (303, 401), (method, route.path)
            assert answer.status_code == 401 or answer.headers["location"].partition("?")[0] == "/sign-in"


def test_a_form_of_another_site_does_nothing(window: Opened, routes: dict[str, APIRoute]) -> None:
    """Without what its pages carry, with a wrong one, and with the right one from elsewhere."""
    client = window.user(Role.ADMIN).client
    right = {"X-CSRF-Token": csrf_of(client.cookies[COOKIE])}
    for name, route in routes.items():
        if isinstance(RIGHTS[name], Open) or "POST" not in route.methods:
            continue
        for headers in ({}, {"X-CSRF-Token": "0" * 64}, {**right, "Origin": "http://evil.example"},
                        {**right, "Origin": "null"}, {**right, "Sec-Fetch-Site": "cross-site"}):  # fmt: skip
            assert client.post(route.path, headers=headers).status_code == 403, (route.path, headers)
