"""The API for programs, and the lists it shares with the pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.core.job import DeliveryEvent, DeliveryState, JobEvent, JobState
from node.core.outcome import Outcome
from node.core.role import Role
from node.errors import ReasonCode
from node.settings import Configuration, Peer
from node.state import outbox, work
from node.state.search import PAGE, Wanted, search
from tests.makers.ledger import ct_slice
from tests.makers.studies import happen, make_study, refuse
from tests.makers.window import Opened, opened


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Opened]:
    pacs = Peer(name="pacs", ae_title="PACS", address="192.0.2.1", port=104)
    with opened(tmp_path, Configuration(peers=(pacs,))) as found:
        yield found


def state_of(window: Opened, delivery: str) -> DeliveryState:
    with window.books.ledger.read() as connection:
        return outbox.get_delivery(connection, delivery).state


def test_a_study_is_found_and_told_as_json(window: Opened) -> None:
    made = make_study(window.books, "s", patient="P7")
    program = window.program(Role.OPERATOR)

    found = program.post("/api/studies/search", json={"text": "P7"}).json()
    told = program.get(f"/api/studies/{made.study}").json()
    assert [one["study"]["id"] for one in found["studies"]] == [made.study]
    assert told["study"]["patient_id"] == "P7"
    assert [one["stage"] for one in told["jobs"][0]["attempts"]] == ["prepare", "infer", "encode"]


def test_a_viewers_program_learns_no_patient(window: Opened) -> None:
    made = make_study(window.books, "s", patient="SECRET", accession_number="SECRET")
    program = window.program(Role.VIEWER)

    assert program.post("/api/studies/search", json={"text": "SECRET"}).json()["studies"] == []
    assert "SECRET" not in program.post("/api/studies/search", json={}).text
    assert "SECRET" not in program.get(f"/api/studies/{made.study}").text


@pytest.mark.parametrize("token", ["", "Bearer ", "Bearer isocenter_wrong", "Basic YTpi", "Bearer \u00e4"])
def test_without_a_token_that_counts_there_is_no_answer(window: Opened, token: str) -> None:
    answer = window.stranger().get("/api/outbox", headers={"Authorization": token.encode("latin-1")})

    assert (answer.status_code, "why" in answer.json()) == (401, True)


def test_what_is_parked_is_sent_or_dropped_from_the_outbox(window: Opened) -> None:
    first, second = make_study(window.books, "a"), make_study(window.books, "b")
    for one in (first, second):
        happen(
            window.books, one.delivery, DeliveryEvent.STARTED, DeliveryEvent.PARKED, message="enable SEG <b>there</b>"
        )
    browser = window.user(Role.OPERATOR)
    page = browser.see("/outbox")

    assert page.count("enable SEG &lt;b&gt;there&lt;/b&gt;") == 2
    assert (
        browser.submit(f"/deliveries/{first.delivery}/resend", back="outbox").headers["location"].startswith("/outbox")
    )
    assert browser.submit(f"/deliveries/{second.delivery}/drop", reason=" ").status_code == 409
    assert browser.submit(f"/deliveries/{second.delivery}/drop", reason="a test study").status_code == 303
    assert state_of(window, first.delivery) is DeliveryState.WAITING
    assert state_of(window, second.delivery) is DeliveryState.DROPPED


def test_all_that_is_parked_for_a_destination_is_sent_at_once(window: Opened) -> None:
    made = [make_study(window.books, name) for name in "abc"]
    for one in made[:2]:
        happen(window.books, one.delivery, DeliveryEvent.STARTED, DeliveryEvent.PARKED, message="enable SEG there")
    browser, program = window.user(Role.OPERATOR), window.program(Role.OPERATOR)

    assert 'action="/outbox/resend"' in browser.see("/outbox")
    assert 'action="/outbox/resend"' not in window.user(Role.VIEWER).see("/outbox")
    answer = browser.submit("/outbox/resend", name="pacs")

    assert "newer results replaced" in browser.see(answer.headers["location"])
    assert {state_of(window, one.delivery) for one in made} == {DeliveryState.WAITING}
    assert 'action="/outbox/resend"' not in browser.see("/outbox")
    assert program.post("/api/destination/pacs/resend").json() == {"sent": 0, "outdated": 0}


def test_what_waits_can_be_dropped_too(window: Opened) -> None:
    made = make_study(window.books, "a")
    page = window.user(Role.OPERATOR).see("/outbox")

    assert f'action="/deliveries/{made.delivery}/drop"' in page
    assert f'action="/deliveries/{made.delivery}/drop"' not in window.user(Role.VIEWER).see("/outbox")


def test_a_model_shows_the_memory_it_took_and_failures_of_long_ago(window: Opened) -> None:
    books = window.books
    made = make_study(books, "old")
    window.window.operator.again(made.job, books.clock())
    with books.ledger.write() as connection:
        job = work.get_job(connection, made.job)
        assert work.end_job(connection, job, JobEvent.FAILED, books.clock(), message="<out> of memory")
    for number in range(12):
        books.clock.forward(seconds=1)
        make_study(books, f"s{number}")
    page = window.user(Role.VIEWER).see("/models")
    program = window.program(Role.VIEWER)

    assert "900 MB declared, 100 MB measured at most" in page
    assert page.index("Last runs") < page.index("Failed earlier") < page.index("&lt;out&gt; of memory")
    assert len(program.get("/api/models/lung-ct/runs").json()) == 10
    assert [one["job_id"] for one in program.get("/api/models/lung-ct/runs?state=failed").json()] == [made.job]


def test_programs_steer_as_people_do(window: Opened) -> None:
    made = make_study(window.books, "a")
    program = window.program(Role.OPERATOR)

    assert program.post(f"/api/jobs/{made.job}/again").json() == {"id": made.job}
    assert program.post(f"/api/jobs/{made.job}/cancel").status_code == 200
    assert program.post(f"/api/jobs/{made.job}/cancel").status_code == 409
    assert program.post("/api/jobs/nothing/retry").status_code == 404
    assert program.post(f"/api/deliveries/{made.delivery}/drop", json={"reason": "x"}).status_code == 200
    assert program.post("/api/destination/pacs/pause").status_code == 200
    assert [one["name"] for one in program.get("/api/pauses").json()] == ["pacs"]
    with window.books.ledger.read() as connection:
        assert work.get_job(connection, made.job).state is JobState.CANCELLED


def test_the_description_of_the_api_names_every_path_below_it(window: Opened) -> None:
    program = window.program(Role.VIEWER)
    paths = program.get("/api/openapi.json").json()["paths"]

    assert all(path.startswith("/api/") for path in paths)
    assert {"/api/studies/search", "/api/jobs/{key}/{action}", "/api/now"} <= set(paths)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), {"a", "b", "c", "d"}),
        (Wanted(text="PA"), {"a"}),
        (Wanted(text="ACC-b"), {"b"}),
        (Wanted(modality="MR"), {"b"}),
        (Wanted(modality="M"), set()),
        (Wanted(since="20260102", until="20260103"), {"b"}),
        (Wanted(sender="PACS"), {"a", "b", "c", "d"}),
        (Wanted(sender="OTHER"), set()),
        (Wanted(route="other"), {"c"}),
        (Wanted(outcome=Outcome.PARKED), {"b"}),
        (Wanted(outcome=Outcome.DELIVERED), {"c"}),
        (Wanted(outcome=Outcome.REFUSED), {"d"}),
        (Wanted(outcome=Outcome.NO_JOB), set()),
        (Wanted(text="%"), set()),
        (Wanted(text="PA", by_patient=False), set()),
    ],
)
def test_a_search_finds_what_is_wanted_and_nothing_else(window: Opened, wanted: Wanted, expected: set[str]) -> None:
    books = window.books
    dates = {"a": "20260101", "b": "20260102", "c": "20260104"}
    ids = {}
    for name in "abc":
        made = make_study(
            books, name, patient=f"P{name.upper()}", route="other" if name == "c" else "lung-ct",
            accession_number=f"ACC-{name}", study_date=dates[name], modality="MR" if name == "b" else "CT",
        )  # fmt: skip
        ids[made.study] = name
        if name == "b":
            happen(books, made.delivery, DeliveryEvent.STARTED, DeliveryEvent.PARKED)
        if name == "c":
            happen(books, made.delivery, DeliveryEvent.STARTED, DeliveryEvent.ACCEPTED)
    ids[refuse(books, "d", ReasonCode.COVERAGE, "too short")] = "d"
    with books.ledger.read() as connection:
        found = search(connection, wanted)

    assert {ids[one.study.id] for one in found.studies} == expected


def test_a_list_is_read_page_by_page_without_gap_or_double(window: Opened) -> None:
    books, seen = window.books, []
    for number in range(2 * PAGE + 3):
        make_study(books, f"s{number}")
        if number % 7 == 0:
            books.clock.forward(seconds=1)
    before = None
    with books.ledger.read() as connection:
        while True:
            page = search(connection, Wanted(before=before))
            seen += [one.study.id for one in page.studies]
            if not page.has_more:
                break
            last = page.studies[-1].study
            before = (last.last_at, last.id)

    assert len(seen) == len(set(seen)) == 2 * PAGE + 3


def test_what_needs_a_person_is_said_on_the_first_page(window: Opened) -> None:
    made = make_study(window.books, "a")
    happen(window.books, made.delivery, DeliveryEvent.STARTED, DeliveryEvent.PARKED, message="SEG is not enabled there")
    page = window.user().see("/")

    assert "1 thing needs a person" in page
    assert "pacs refuses 1 delivery" in page
    assert "SEG is not enabled there" in page


@pytest.mark.parametrize("path", ["/associations", "/associations?only=rejected", "/models", "/outbox", "/api"])
def test_every_list_is_a_page_when_there_is_nothing_yet(window: Opened, path: str) -> None:
    assert "<h1>" in window.user(Role.VIEWER).see(path)


def test_programs_change_peers_routes_and_users_as_people_do(window: Opened) -> None:
    folder = window.window.config_folder
    folder.mkdir()
    program = window.program(Role.ADMIN)
    peer = {"name": "pacs", "ae_title": "PACS", "address": "192.0.2.1", "port": 104, "proof": "find"}
    route = {"name": "chest", "from": ["pacs"], "model": "lung-ct", "destinations": ["pacs"],
             "input": {"ct": {"where": "stack.slice_count >= 20"}}}  # fmt: skip

    assert program.post("/api/peers", json=peer).json() == {"name": "pacs"}
    assert program.post("/api/peers", json=peer).status_code == 422
    assert program.post("/api/routes", json=route).json() == {"name": "chest"}
    assert program.get("/api/routes").json()[0]["input"]["ct"]["where"] == "stack.slice_count >= 20"
    assert program.put("/api/peers/pacs", json={**peer, "proof": "none", "quiet_s": 3}).status_code == 200
    assert (program.get("/api/peers").json()[0]["proof"], program.get("/api/peers").json()[0]["quiet_s"]) == ("none", 3)
    assert "peers.toml alone" in program.put("/api/peers/pacs", json={**peer, "token_file": "/etc/shadow"}).text
    assert program.post("/api/peers/pacs/echo").json()["ok"] is False
    assert program.delete("/api/peers/pacs").status_code == 422  # the route sends there
    assert program.delete("/api/routes/chest").status_code == 200
    assert program.delete("/api/routes/chest").status_code == 404

    assert program.post("/api/users", json={"name": "ada", "role": "viewer"}).json()["code"]
    assert program.put("/api/users/ada", json={"role": "operator"}).status_code == 200
    told = program.get("/api/users").json()[0]
    assert (told["name"], told["role"], told["can_sign_in"]) == ("ada", "operator", False)
    assert "password_hash" not in told
    assert program.delete("/api/users/ada").status_code == 200


@pytest.mark.parametrize("kind", ["peers", "routes"])
def test_what_somebody_else_changed_meanwhile_is_not_undone_by_a_program(window: Opened, kind: str) -> None:
    """It reads, changes and puts back whole; in between somebody else may have done the same (RFC 9110 13.1.1)."""
    window.window.config_folder.mkdir()
    program = window.program(Role.ADMIN)
    program.post("/api/peers", json={"name": "pacs", "ae_title": "PACS", "address": "192.0.2.1", "port": 104})
    program.post("/api/routes", json={"name": "pacs", "model": "lung-ct", "destinations": ["pacs"]})
    change = {"peers": {"quiet_s": 3}, "routes": {"priority": "stat"}}[kind]
    path = f"/api/{kind}/pacs"

    read = program.get(path)
    mark = {"If-Match": read.headers["etag"]}
    mine, theirs = {**read.json(), **change}, {**read.json(), "enabled": False} if kind == "routes" else read.json()
    assert program.put(path, json=mine, headers=mark).status_code == 200
    for answer in (program.put(path, json=theirs, headers=mark), program.delete(path, headers=mark)):
        assert answer.status_code == 412
        assert "pacs was changed by somebody else meanwhile" in answer.json()["why"]

    now = program.get(path)
    assert change.items() <= now.json().items()
    assert now.headers["etag"] != read.headers["etag"]
    for usable in (now.headers["etag"], "*"):
        assert program.put(path, json=mine, headers={"If-Match": usable}).status_code == 200
    for unusable in (now.headers["etag"].strip('"'), "W/" + now.headers["etag"], ""):
        assert program.put(path, json=mine, headers={"If-Match": unusable}).status_code == 412
    assert program.get(f"/api/{kind}/none").status_code == 404


def test_what_a_program_reads_of_a_peer_it_may_put_back(window: Opened) -> None:
    """Also where the files name one with a secret, which programs may not change."""
    folder = window.window.config_folder
    folder.mkdir()
    peer = '[[peer]]\nname = "ct"\nae_title = "CT"\nroles = ["source"]\ntoken_file = "/etc/isocenter/ct"\n'
    (folder / "peers.toml").write_text(peer)
    program = window.program(Role.ADMIN)

    read = program.get("/api/peers/ct").json()
    assert program.put("/api/peers/ct", json={**read, "quiet_s": 3}).status_code == 200
    assert program.get("/api/peers/ct").json() == {**read, "quiet_s": 3}
    assert "peers.toml alone" in program.put("/api/peers/ct", json={**read, "token_file": "/etc/shadow"}).text


def test_programs_let_callers_and_programs_in_as_people_do(window: Opened) -> None:
    window.window.config_folder.mkdir()
    program = window.program(Role.ADMIN)

    assert program.get("/api/peers/unknown").json() == []
    assert program.post("/api/peers/accept", json={"ae_title": "CT 1", "address": "192.0.2.9"}).json()["name"] == "ct-1"
    assert program.get("/api/peers").json()[0]["addresses"] == ["192.0.2.9/32"]
    assert program.post("/api/peers/accept", json={"ae_title": "CT 1"}).status_code == 422

    token = program.post("/api/tokens", json={"name": "dashboard", "role": "viewer"}).json()["token"]
    other = window.stranger()
    other.headers["Authorization"] = f"Bearer {token}"
    assert other.get("/api/outbox").status_code == 200
    assert other.get("/api/tokens").status_code == 403
    assert token not in program.get("/api/tokens").text
    assert {one["created_by"] for one in program.get("/api/tokens").json() if one["name"] == "dashboard"} == {
        "program-admin"
    }
    assert program.delete("/api/tokens/dashboard").status_code == 200
    assert other.get("/api/outbox").status_code == 401


def test_programs_try_the_routes_on_a_study(window: Opened) -> None:
    folder = window.window.config_folder
    folder.mkdir()
    (folder / "peers.toml").write_text('[[peer]]\nname = "pacs"\nae_title = "P"\naddress = "a"\nport = 104\n')
    (folder / "routes.toml").write_text(
        '[[route]]\nname = "chest"\nmodel = "lung-ct"\ndestinations = ["pacs"]\n'
        '[[route]]\nname = "off"\nenabled = false\nmodel = "lung-ct"\ndestinations = ["pacs"]\n'
    )
    one = ct_slice(1, study="s")
    window.books.arrive(one)
    program = window.program(Role.VIEWER)
    chest, off = program.post("/api/routes/try", json={"study": one.study_uid}).json()

    assert (chest["verdict"], chest["stacks"][0]["chosen"], chest["stacks"][0]["slices"]) == ("taken", True, 1)
    assert (off["verdict"], off["why"]) == ("not-taken", "the route is disabled")
    assert program.post("/api/routes/try", json={"study": "1.2.3"}).status_code == 404


def test_programs_begin_a_look_and_read_what_was_seen(window: Opened) -> None:
    program = window.program(Role.ADMIN)

    assert program.get("/api/selftest").json() is None
    assert program.post("/api/selftest").status_code == 200
    assert program.get("/api/selftest").json()["subject"] == "journey"
    assert program.get("/api/models/lung-ct/check").json() is None
    assert program.post("/api/models/nothing/check").status_code == 404
