"""Row 57 of the failure tests by HTTP: what stands in an address or a form is neither obeyed nor a fault of ours."""

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute
from httpx import Response

from node.admin.app import window_app
from node.admin.sessions import COOKIE, csrf_of
from node.core.role import Role
from tests.makers.studies import make_study
from tests.makers.window import Browser, Opened, opened

OUTSIDE = "in-the-file-outside"
"""What a path that leads out would find."""
IN_PATHS = (
    "../secret",
    "..%2f..%2fsecret",
    "%2e%2e%2f%2e%2e%2fsecret",
    "..%5c..%5csecret",
    "....//secret",
    "%00",
    "%ff%fe",
    "%0d%0aX-Evil:%20yes",
    quote("<script>alert(1)</script>", safe=""),
    quote("' OR 1=1 --", safe=""),
    "%E2%80%AE" + "x" * 3000,
    "2147483648",
    "-1",
)
ELSEWHERE = ("//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "\r\nX-Evil: yes")


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    folder = tmp_path_factory.mktemp("outside") / "home"
    folder.mkdir()
    (folder.parent / "secret").write_text(OUTSIDE)
    with opened(folder) as found:
        yield found


@pytest.fixture(scope="module")
def admin(window: Opened) -> Browser:
    return window.user(Role.ADMIN)


def routes(window: Opened) -> list[APIRoute]:
    return [one for one in window_app(window.window, window.first_user).routes if isinstance(one, APIRoute)]


def judge(answer: Response) -> None:
    """No fault of ours, nothing from outside, nothing that a browser would run or follow elsewhere."""
    asked = (answer.request.method, str(answer.request.url)[:200])
    assert answer.status_code < 500, asked
    assert OUTSIDE not in answer.text, asked
    assert "<script>alert" not in answer.text, asked
    assert "x-evil" not in answer.headers, asked
    assert re.match(r"/(?![/\\])|$", answer.headers.get("location", "")), (asked, answer.headers["location"])


@pytest.mark.parametrize("text", IN_PATHS)
def test_no_part_of_a_path_leads_anywhere_else(window: Opened, admin: Browser, text: str) -> None:
    for route in routes(window):
        if "{" not in route.path:
            continue
        path = re.sub(r"\{\w+\}", lambda _: text, route.path)
        judge(admin.client.get(path) if "GET" in route.methods else admin.submit(path, reason="x", back="x"))


@pytest.mark.parametrize(
    "path", ["/static/../rights.py", "/static/%2e%2e/rights.py", "/static/..%2frights.py", "/static//etc/passwd"]
)
def test_no_file_but_the_pages_own_is_served(admin: Browser, path: str) -> None:
    assert admin.client.get(path).status_code == 404


@pytest.mark.parametrize("text", [*ELSEWHERE, "\x00", "<script>alert(1)</script>", "{{ 7 * 7 }}", "%s%n", "x" * 5000])
def test_no_question_in_an_address_is_obeyed(window: Opened, admin: Browser, text: str) -> None:
    """Every page, with each word that any page reads from its address."""
    asked = ("done", "seen", "code", "study", "only", "outcome", "before_at", "before_id", "next", "view", "findings")
    for route in routes(window):
        if "GET" in route.methods and "{" not in route.path and "bundle" not in route.path:
            answer = admin.client.get(route.path, params=dict.fromkeys(asked, text))
            judge(answer)
            assert answer.status_code in (200, 204, 303, 422), (route.path, answer.status_code)


@pytest.mark.parametrize("text", ELSEWHERE)
def test_after_an_action_nobody_is_sent_to_another_site(window: Opened, admin: Browser, text: str) -> None:
    made = make_study(window.books, f"to {text}")
    answer = admin.submit(f"/deliveries/{made.delivery}/resend", back=text[:40])

    judge(answer)
    assert answer.headers["location"].startswith(f"/studies/{made.study}?")


@pytest.mark.parametrize("text", ["\x00", "\ud800", *IN_PATHS])
def test_every_form_takes_odd_text_or_says_that_it_cannot(window: Opened, admin: Browser, text: str) -> None:
    """Each form of the window, with the odd text in every field that any of them has."""
    fields = "text since until modality sender route outcome before_at before_id name kind reason back ae_title address"
    fields += " port url when model of by enabled"
    given = dict.fromkeys(fields.split(), text.encode("utf-8", "surrogatepass").decode("latin-1"))
    for route in routes(window):
        if "POST" in route.methods and "{" not in route.path and not route.path.startswith("/sign-out"):
            judge(admin.submit(route.path, **given))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("Application/X-WWW-Form-URLencoded", "name=a%00b&password=x"),
        (
            "Multipart/Form-Data; boundary=x",
            '--x\r\nContent-Disposition: form-data; name="name"\r\n\r\na\x00b\r\n'
            '--x\r\nContent-Disposition: form-data; name="password"\r\n\r\nx\r\n--x--\r\n',
        ),
    ],
)
def test_a_content_type_is_known_in_capitals_too(window: Opened, kind: str, body: str) -> None:
    answer = window.stranger().post("/sign-in", content=body, headers={"Content-Type": kind})

    assert answer.status_code == 422


@pytest.mark.parametrize(
    "before_at",
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-03-01", "2026-03-01T12:00", "soon"],
)
def test_a_list_goes_on_from_a_time_or_says_that_it_is_none(admin: Browser, before_at: str) -> None:
    headers = {"X-CSRF-Token": csrf_of(admin.client.cookies[COOKIE])}
    given = {"before_at": before_at, "before_id": "x"}

    assert admin.submit("/studies", **given).status_code == 422
    assert admin.client.get("/associations", params=given).status_code == 422
    assert admin.client.get("/api/associations", params=given).status_code == 422
    assert admin.client.post("/api/studies/search", json=given, headers=headers).status_code == 422


@pytest.mark.parametrize("text", ["\ud7ff", "\ue000", "\U0010ffff"])
def test_the_last_characters_before_a_gap_can_be_looked_for(admin: Browser, text: str) -> None:
    assert "No study is like that" in admin.submit("/studies", text=text).text


@pytest.mark.parametrize("where", ["path", "query", "form", "json"])
def test_a_nul_is_refused_wherever_it_stands(window: Opened, admin: Browser, where: str) -> None:
    """PostgreSQL takes none: it would be a fault of ours there."""
    made = make_study(window.books, f"nul in {where}")
    match where:
        case "path":
            answer = admin.client.get("/studies/%00")
        case "query":
            answer = admin.client.get("/routes?study=%00")
        case "form":
            answer = admin.submit("/studies", text="a\x00b")
        case "json":
            headers = {"X-CSRF-Token": csrf_of(admin.client.cookies[COOKIE])}
            path = f"/api/deliveries/{made.delivery}/drop"
            answer = admin.client.post(path, json={"reason": "a\x00b"}, headers=headers)

    assert answer.status_code == 422
