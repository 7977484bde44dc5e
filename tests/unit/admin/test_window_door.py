"""Coming in: the first user, passwords, sessions, and how often one may be wrong."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError
from fastapi.testclient import TestClient

from node.admin.accounts import _NOBODY, FirstUser, add_user, check_password, remove_user
from node.admin.app import window_app
from node.admin.patience import FAILURES, PERIOD_S, Patience
from node.admin.sessions import COOKIE
from node.core.role import Role
from node.errors import ConfigurationInvalid
from node.state import accounts
from tests.makers.window import BASE, PASSWORD, Opened, opened

FIRST = {"name": "ada", "password": PASSWORD, "again": PASSWORD}


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Opened]:
    with opened(tmp_path) as found:
        yield found


def test_the_printed_link_makes_the_first_admin_and_works_once(window: Opened) -> None:
    client, code = window.stranger(), window.first_user.code

    assert "12 characters" in client.get(f"/first?code={code}").text
    assert client.post("/first", data={**FIRST, "code": code}).status_code == 303
    assert "Overview" in client.get("/").text
    other = window.stranger()
    assert other.post("/first", data={**FIRST, "name": "eve", "code": code}).status_code == 422
    assert "12 characters" not in other.get(f"/first?code={code}").text


@pytest.mark.parametrize("code", ["", "wrong"])
def test_no_other_link_makes_a_user(window: Opened, code: str) -> None:
    assert window.stranger().post("/first", data={**FIRST, "code": code}).status_code == 422
    with window.books.ledger.read() as connection:
        assert not accounts.has_users(connection)


@pytest.mark.parametrize("path", ["/", "/sign-in", "/first?code={code}", "/studies"])
def test_until_there_is_a_user_only_this_machine_gets_in(window: Opened, path: str) -> None:
    far = window.stranger("192.0.2.7")

    assert far.get(path.format(code=window.first_user.code)).status_code == 403
    add_user(window.books.ledger, "ada", PASSWORD, Role.ADMIN, window.window.now())
    assert far.get("/sign-in").status_code == 200


def test_health_is_told_to_everybody(window: Opened) -> None:
    far = window.stranger("192.0.2.7")

    assert [far.get(path).status_code for path in ("/live", "/ready", "/metrics")] == [200, 200, 200]
    assert [far.head(path).status_code for path in ("/live", "/ready")] == [200, 200]


@pytest.mark.parametrize(
    ("name", "password"), [("ada", "short"), ("", PASSWORD), ("a b", PASSWORD), ("ada", "x" * 257)]
)
def test_weak_passwords_and_odd_names_are_refused(window: Opened, name: str, password: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        add_user(window.books.ledger, name, password, Role.VIEWER, window.window.now())


def test_passwords_are_kept_as_argon2_and_sessions_as_digests(window: Opened) -> None:
    client = window.user(Role.ADMIN).client
    with window.books.ledger.read() as connection:
        user = accounts.find_user(connection, "admin")
    text = (window.books.home / "ledger.sqlite").read_bytes() + (window.books.home / "ledger.sqlite-wal").read_bytes()

    assert user is not None
    assert user.password_hash.startswith("$argon2id$")
    assert PASSWORD.encode() not in text
    assert client.cookies[COOKIE].encode() not in text


def test_what_the_password_of_a_stranger_is_compared_with_is_computed_as_any_other(window: Opened) -> None:
    """A hash that argon2 cannot read would be answered at once, and cheaper ones sooner: names would be told by it."""
    add_user(window.books.ledger, "ada", PASSWORD, Role.VIEWER, window.window.now())
    with window.books.ledger.read() as connection:
        user = accounts.find_user(connection, "ada")

    assert user is not None
    assert extract_parameters(_NOBODY) == extract_parameters(user.password_hash)
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(_NOBODY, PASSWORD)


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(window: Opened) -> None:
    add_user(window.books.ledger, "ada", PASSWORD, Role.ADMIN, window.window.now())
    answer = window.stranger().post("/sign-in", data={"name": "ada", "password": PASSWORD})

    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_a_session_that_was_there_before_does_not_become_the_users(window: Opened) -> None:
    """Session fixation: what an attacker put into the cookie is worth nothing after the sign-in."""
    add_user(window.books.ledger, "ada", PASSWORD, Role.ADMIN, window.window.now())
    client = window.stranger()
    client.cookies.set(COOKIE, "chosen-by-eve")
    answer = client.post("/sign-in", data={"name": "ada", "password": PASSWORD})

    assert "chosen-by-eve" not in answer.headers["set-cookie"]
    eve = window.stranger()
    eve.cookies.set(COOKIE, "chosen-by-eve")
    assert eve.get("/").status_code == 303


@pytest.mark.parametrize("hours", [{"hours": 2.1}, {"hours": 13}])
def test_a_session_ends_when_it_is_not_used(window: Opened, hours: dict[str, float]) -> None:
    client = window.user().client
    window.books.clock.forward(**hours)

    assert client.get("/").status_code == 303


def test_a_session_ends_after_half_a_day_though_it_is_used(window: Opened) -> None:
    client = window.user().client
    for _ in range(11):
        window.books.clock.forward(hours=1)
        assert client.get("/").status_code == 200
    window.books.clock.forward(hours=1.1)

    assert client.get("/").status_code == 303


def test_signing_out_ends_the_session_for_good(window: Opened) -> None:
    browser = window.user()
    secret = browser.client.cookies[COOKIE]
    assert browser.submit("/sign-out").status_code == 303
    browser.client.cookies.set(COOKIE, secret)

    assert browser.client.get("/").status_code == 303


def test_a_new_password_signs_out_everywhere(window: Opened) -> None:
    client = window.user(Role.ADMIN).client
    add_user(window.books.ledger, "admin", PASSWORD + "!", Role.ADMIN, window.window.now())

    assert client.get("/").status_code == 303
    assert check_password(window.books.ledger, "admin", PASSWORD) is None


def test_after_a_few_wrong_passwords_even_the_right_one_must_wait(window: Opened) -> None:
    add_user(window.books.ledger, "ada", PASSWORD, Role.ADMIN, window.window.now())
    client = window.stranger()
    for _ in range(FAILURES):
        assert client.post("/sign-in", data={"name": "ada", "password": "wrong"}).status_code == 403

    assert client.post("/sign-in", data={"name": "ADA", "password": PASSWORD}).status_code == 429


def test_patience_comes_back_and_knows_names_from_addresses() -> None:
    patience = Patience()
    for second in range(FAILURES):
        assert patience.begin("ada", "a", float(second)) == 0

    assert patience.begin("ada", "b", 10.0) > 0
    assert patience.begin("eve", "a", 10.0) > 0
    assert patience.begin("eve", "b", 10.0) == 0
    assert patience.begin("ada", "a", PERIOD_S + 5.0) == 0


def test_who_signs_in_uses_up_nobody_elses_patience() -> None:
    patience = Patience()
    for second in range(3 * FAILURES):
        assert patience.begin(f"user {second}", "a", float(second)) == 0
        patience.succeeded(f"user {second}", "a")


def test_tries_at_the_same_time_are_no_more_than_one_after_another(window: Opened) -> None:
    """Each of them also takes the memory that makes guessing dear."""
    add_user(window.books.ledger, "ada", PASSWORD, Role.ADMIN, window.window.now())
    app = window_app(window.window, window.first_user)

    def attempt(_: int) -> int:
        client = TestClient(app, base_url=BASE, client=("192.0.2.7", 50000))
        return client.post("/sign-in", data={"name": "ada", "password": "wrong"}).status_code

    with ThreadPoolExecutor(4 * FAILURES) as many:
        answers = list(many.map(attempt, range(4 * FAILURES)))

    assert answers.count(403) == FAILURES
    assert answers.count(429) == 3 * FAILURES


def test_the_only_admin_cannot_be_removed(window: Opened) -> None:
    ledger, now = window.books.ledger, window.window.now()
    add_user(ledger, "ada", PASSWORD, Role.ADMIN, now)
    with pytest.raises(ConfigurationInvalid, match="only admin"):
        remove_user(ledger, "ada")
    add_user(ledger, "bob", PASSWORD, Role.ADMIN, now)
    remove_user(ledger, "ada")

    assert check_password(ledger, "ada", PASSWORD) is None


def test_each_start_prints_another_code(window: Opened) -> None:
    assert FirstUser(window.books.ledger).code != window.first_user.code


@pytest.mark.parametrize(
    ("path", "back"),
    [
        ("/studies?outcome=held", "/studies?outcome=held"),
        ("/", "/"),
        ("/system/bundle.zip", "/"),  # the page would stay at the door though one is inside
    ],
)
def test_who_signs_in_comes_to_where_they_wanted(window: Opened, path: str, back: str) -> None:
    add_user(window.books.ledger, "ada", PASSWORD, Role.ADMIN, window.window.now())
    client = window.stranger()
    door = client.get(BASE + path).headers["location"]
    page = client.get(door).text
    given = page.partition('name="back" value="')[2].partition('"')[0]

    assert client.post("/sign-in", data={**FIRST, "back": given}).headers["location"] == back


@pytest.mark.parametrize(
    "back",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example", "evil", "", "/" + "a" * 250],
)
def test_nobody_is_led_elsewhere_by_a_link_to_the_door(window: Opened, back: str) -> None:
    add_user(window.books.ledger, "ada", PASSWORD, Role.ADMIN, window.window.now())
    answer = window.stranger().post("/sign-in", data={**FIRST, "back": back})

    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_a_button_pressed_too_late_leads_back_to_its_page(window: Opened) -> None:
    """Not to what its page said of an earlier one."""
    client = window.user().client
    window.books.clock.forward(hours=3)
    answer = client.post("/routes/x/move", headers={"Referer": f"{BASE}/routes?done=saved"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?back=/routes")
