"""The pages of peers and routes: what they show, what they write, what they say of a form, and what they refuse."""

import re
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from node.admin.sessions import COOKIE, csrf_of
from node.admin.window import Answer, ClassTaken, Taken
from node.core.pausable import Pausable
from node.core.role import Role
from node.editing import Editor, Kind
from node.errors import ConfigurationInvalid
from node.intake.callers import keep_ended
from node.settings import RENDITIONS, Configuration
from node.state import arrivals, overview
from node.state.arrivals import Conflict
from node.state.associations import AssociationOutcome, AssociationRecord, Associations
from node.state.pauses import is_paused
from node.state.search import Wanted, search
from tests.makers.certificates import Authority
from tests.makers.disks import read_only, small_disk
from tests.makers.ledger import ct_slice
from tests.makers.series import ct_series
from tests.makers.window import Browser, Opened, Silent, opened

PEERS = """\
[[peer]]
name = "pacs"
ae_title = "PACS"
address = "192.0.2.1"
port = 104 # the archive's

[[peer]]
name = "ct"
ae_title = "CT <1>"
roles = ["source"]
"""
ROUTES = """\
# agreed with radiology
[[route]]
name = "chest"
when = "'CT' in study.modalities"
model = "lung-ct"
destinations = ["pacs"]

[[route]]
name = "off"
enabled = false
model = "lung-ct"
destinations = ["pacs"]
"""
FORM = {"of": "chest", "model": "lung-ct", "destinations": "pacs", "priority": "routine"}
PEER_FORM = {"name": "mri", "ae_title": "MRI", "kind": "scanner", "roles": "source"}


class Answering(Silent):
    """A peer that takes segmentations."""

    def echo(self, name: str) -> Answer:
        return Answer(True, f"{name} answered <C-ECHO>.")

    def probe(self, name: str) -> Taken:
        if name == "ct":
            raise ConfigurationInvalid("peer 'ct' is a source only")
        return Taken((ClassTaken("Segmentation", "seg", ("Explicit VR",)),), ('renditions = ["seg"]',), ("Look.",))


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Opened]:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "peers.toml").write_text(PEERS)
    (folder / "routes.toml").write_text(ROUTES)
    with opened(tmp_path, asking=Answering()) as found:
        yield found


def configured(window: Opened) -> Configuration:
    return Editor(window.window.config_folder).read()


def done(browser: Browser, path: str, **fields: str | list[str]) -> None:
    answer = browser.submit(path, **fields)
    assert answer.status_code == 303, answer.text


def test_routes_are_shown_in_their_order(window: Opened) -> None:
    page = window.user(Role.VIEWER).see("/routes")

    assert page.index(">chest <") < page.index(">off <")
    assert "&#39;CT&#39; in study.modalities" in page
    assert '<form method="post" action="/routes' not in page  # a viewer changes nothing


def test_a_route_is_enabled_moved_and_removed(window: Opened) -> None:
    browser = window.user()
    done(browser, "/routes/off/enable", enabled="true")
    done(browser, "/routes/off/move", by="-1")
    assert [(one.name, one.enabled) for one in configured(window).routes] == [("off", True), ("chest", True)]

    done(browser, "/routes/off/remove")
    assert [one.name for one in configured(window).routes] == ["chest"]
    assert "# agreed with radiology" in (window.window.config_folder / "routes.toml").read_text()


def test_an_operator_pauses_a_route(window: Opened) -> None:
    browser = window.user(Role.OPERATOR)
    done(browser, "/pause", kind="route", name="chest")

    with window.books.ledger.read() as connection:
        assert is_paused(connection, Pausable.ROUTE, "chest")
    assert "Resume" in browser.see("/routes")


def test_a_route_is_edited_and_added(window: Opened) -> None:
    browser = window.user()
    done(browser, "/routes/chest/edit", **{**FORM, "priority": "stat", "sources": "ct", "when": "1 == 1 &&\n 2 == 2"})
    done(browser, "/routes/add", **{**FORM, "of": "", "name": "new", "when": ""})

    chest, _, new = configured(window).routes
    assert (chest.priority, chest.sources, chest.when) == ("stat", ("ct",), "1 == 1 && 2 == 2")
    assert (new.name, new.when, new.destinations) == ("new", "", ("pacs",))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"when": "study.modality == 'CT'"}, "did you mean study.modalities?"),
        ({"when": "study.description.contains("}, "condition"),
        ({"when": "'CT' in study.modalities"}, "can be used"),
        ({"destinations": "nobody"}, "names peer &#39;nobody&#39;, which is unknown"),
        ({"of": "", "name": "chest"}, "is there twice"),
        ({"of": "", "name": "Bad Name"}, "name"),
        ({"when": "study.<script>alert(1)"}, "&lt;script&gt;"),
    ],
)
def test_a_condition_is_checked_while_it_is_typed(window: Opened, given: dict[str, str], said: str) -> None:
    answer = window.user().submit("/routes/check", **{**FORM, **given})

    assert answer.status_code == 200
    assert said in answer.text
    assert "<script>" not in answer.text
    assert str(window.window.config_folder) not in answer.text
    assert ("cannot be used" in answer.text) == (said != "can be used")
    assert (window.window.config_folder / "routes.toml").read_text() == ROUTES


def test_what_cannot_be_used_is_not_saved_and_told(window: Opened) -> None:
    answer = window.user().submit("/routes/chest/edit", **{**FORM, "when": "study.nothing"})

    assert answer.status_code == 422
    assert "there is no study.nothing" in answer.text
    assert (window.window.config_folder / "routes.toml").read_text() == ROUTES


def test_routes_are_tried_on_a_study_that_came(window: Opened) -> None:
    one = ct_slice(1, study="s", series_description="<b>chest</b>")
    window.books.arrive(one)
    with window.books.ledger.read() as connection:
        key = arrivals.get_study(connection, one.study_uid).id
    page = window.user(Role.VIEWER).see(f"/routes?study={key}")

    assert re.search(r"chest <span class=\"state \w*\">taken", page)
    assert "not taken" in page
    assert "the route is disabled" in page
    assert "&lt;b&gt;chest&lt;/b&gt;" in page


def test_routes_are_tried_on_a_dropped_file_of_which_nothing_is_kept(window: Opened, tmp_path: Path) -> None:
    series = ct_series(tmp_path / "series", slices=2)
    client = window.user(Role.OPERATOR).client
    headers = {"X-CSRF-Token": csrf_of(client.cookies[COOKIE]), "HX-Request": "true"}

    def tried(*files: bytes) -> str:
        dropped = [("files", (f"../../{number}.dcm", one)) for number, one in enumerate(files)]
        answer = client.post("/routes/try", files=dropped, data={"calling": "PACS"}, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.text

    page = tried(*(one.read_bytes() for one in series))
    assert re.search(r"chest <span class=\"state \w*\">taken", page)
    assert "the route is disabled" in page
    assert "this is no DICOM image" in tried(b"<script>alert(1)</script>")
    assert "<script>" not in tried(b"<script>alert(1)</script>")
    with window.books.ledger.read() as connection:
        assert search(connection, Wanted()).studies == ()
    assert client.post("/routes/try", files=[("files", b"x")]).status_code == 403  # without the form's own mark


def trying_four_mb(window: Opened) -> Callable[[], httpx.Response]:
    """More than is kept in memory: it lies in a file for a moment. Who tries it is signed in before."""
    client = window.user(Role.OPERATOR).client
    headers = {"X-CSRF-Token": csrf_of(client.cookies[COOKIE]), "HX-Request": "true"}
    return lambda: client.post("/routes/try", files=[("files", bytes(4 << 20))], headers=headers)


@pytest.mark.real("mounts")
def test_a_disk_that_became_read_only_is_told_as_one_that_is_full(
    window: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = trying_four_mb(window)
    with read_only(tmp_path):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        answer = tried()

    assert answer.status_code == 507
    assert "there was no room for this (Read-only file system)" in answer.text


@pytest.mark.real("mounts")
def test_files_for_which_there_is_no_room_are_told_in_words(
    window: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was a fault of ours, with a traceback in the log."""
    tried = trying_four_mb(window)
    with small_disk(tmp_path / "small", size_mb=2) as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk.folder))
        answer = tried()

        assert (answer.status_code, list(disk.folder.iterdir())) == (507, [])
    assert "there was no room for this (No space left on device)" in answer.text
    assert str(disk.folder) in answer.text


def test_inputs_and_called_titles_of_a_route_are_edited(window: Opened) -> None:
    browser = window.user()
    inputs = {
        "input_name": ["ct", ""],
        "input_where": ["stack.slice_count >= 20", ""],
        "input_prefer": ["stack.slice_count", ""],
    }
    done(browser, "/routes/chest/edit", **FORM, **inputs, to_ae=" ISOCENTER\n")
    chest = configured(window).routes[0]
    assert chest.to_ae == ("ISOCENTER",)
    assert (chest.input["ct"].where, chest.input["ct"].prefer) == ("stack.slice_count >= 20", ("stack.slice_count",))
    assert "stack.slice_count &gt;= 20" in browser.see("/routes")

    wrong = {**inputs, "input_where": ["stack.<b>", ""]}
    assert "cannot be used" in browser.submit("/routes/check", **FORM, **wrong).text
    done(browser, "/routes/chest/edit", **FORM)
    assert configured(window).routes[0].input == {}


def test_a_study_that_is_not_there_is_told(window: Opened) -> None:
    assert "is known" in window.user().see("/routes?study=%3Cb%3Enone")


def test_peers_are_shown_with_what_the_other_side_needs(window: Opened) -> None:
    page = window.user(Role.VIEWER).see("/peers")

    assert "CT &lt;1&gt;" in page
    assert "AE title  ISOCENTER" in page
    assert "Port      11112" in page
    assert "Certificates" not in page  # none is in use
    assert "/peers/pacs/e" not in page  # a viewer neither asks nor edits


def test_a_peer_is_added_edited_and_removed(window: Opened) -> None:
    browser = window.user()
    done(browser, "/peers/add", **PEER_FORM)
    assert configured(window).peer("mri") is not None

    done(browser, "/peers/mri/edit", **{**PEER_FORM, "of": "mri", "ae_title": "MR 2!", "address": "192.0.2.9"})
    peer = configured(window).peer("mri")
    assert peer is not None
    assert (peer.ae_title, peer.address, peer.kind, peer.roles) == ("MR 2!", "192.0.2.9", "scanner", ("source",))

    done(browser, "/peers/mri/remove")
    assert configured(window).peer("mri") is None
    assert (window.window.config_folder / "peers.toml").read_text() == PEERS


def test_a_peers_whole_profile_is_edited_and_what_is_usual_stays_out_of_the_file(window: Opened) -> None:
    browser = window.user()
    profile = {
        "sr": "comprehensive3d", "coordinates": "patient", "segmentation": "auto", "series_base": "7001",
        "negatives": "no", "failures": "yes", "proof": "find", "quiet_s": "2.5", "on_conflict": "refuse",
        "query": "yes", "study_days": "3", "addresses": "192.0.2.0/24\n198.51.100.7", "certificate": "CN=<pacs>",
        "user": "us",
    }  # fmt: skip
    changed = {**PEER_FORM, "of": "pacs", "roles": ["source", "destination"], "address": "192.0.2.1", "port": "104",
               "ae_title": "PACS", "kind": "pacs", "renditions": ["seg", "ko"]}  # fmt: skip
    done(browser, "/peers/pacs/edit", **changed, **profile)
    peer = configured(window).peer("pacs")
    assert peer is not None
    assert (peer.sr, peer.coordinates, peer.segmentation, peer.series_base) == (
        "comprehensive3d",
        "patient",
        "auto",
        7001,
    )
    assert (peer.negatives, peer.failures, peer.proof, peer.quiet_s, peer.query) == (False, True, "find", 2.5, True)
    assert [str(one) for one in peer.addresses] == ["192.0.2.0/24", "198.51.100.7/32"]
    assert (peer.certificate, peer.user, peer.renditions) == (("CN=<pacs>",), "us", ("seg", "ko"))
    page = browser.see("/peers")
    assert "CN=&lt;pacs&gt;" in page
    assert "comprehensive3d" in page

    done(browser, "/peers/pacs/edit", **{**changed, "renditions": list(RENDITIONS)})
    assert (window.window.config_folder / "peers.toml").read_text().count("\n") == PEERS.count("\n") + 2


def test_keys_that_the_form_does_not_know_stay(window: Opened) -> None:
    file = window.window.config_folder / "peers.toml"
    file.write_text(PEERS.replace('ae_title = "CT <1>"', 'ae_title = "CT <1>"\ntoken_file = "/run/secrets/ct"'))
    done(window.user(), "/peers/ct/edit", **{**PEER_FORM, "of": "ct"})

    assert 'token_file = "/run/secrets/ct"' in file.read_text()


def test_certificates_are_shown_with_their_end(tmp_path: Path, window: Opened) -> None:
    authority = Authority(tmp_path / "tls")
    made = authority.sign("/CN=node <1>", days=5)
    window.books.clock.at = datetime.now(UTC)
    browser = window.user(Role.VIEWER)
    (window.window.config_folder / "node.toml").write_text(
        f'[tls]\ncertificate = "{made.certificate}"\nkey = "{made.key}"\nauthorities = "{authority.certificate}"\n'
    )

    page = browser.see("/peers")
    assert "CN=node \\&lt;1\\&gt;" in page
    assert re.search(r'<span class="state warn">\d days left: then ', page)
    assert "tls.certificate in node.toml" in page
    assert "TLS       yes" in page
    window.books.clock.forward(days=6)
    assert re.search(r'<span class="state bad">ended: then ', window.user(Role.ADMIN).see("/peers"))
    window.books.clock.forward(days=-8)
    assert re.search(r'<span class="state bad">not valid before ', window.user(Role.OPERATOR).see("/peers"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "can be used"),
        ({"ae_title": "a title that is too long"}, "is not an AE title"),
        ({"ae_title": "back\\slash"}, "is not an AE title"),
        ({"ae_title": "ÄE"}, "is not an AE title"),
        ({"roles": "destination"}, "a destination needs address and port"),
        ({"port": "a"}, "port"),
        ({"port": "70000"}, "port"),
        ({"series_base": "first"}, "series_base"),
        ({"negatives": "perhaps"}, "negatives"),
        ({"addresses": "everywhere"}, "addresses"),
        ({"coordinates": "patient"}, "comprehensive3d"),
        ({"name": "pacs"}, "is there twice"),
    ],
)
def test_a_peer_is_checked_while_it_is_typed(window: Opened, given: dict[str, str], said: str) -> None:
    answer = window.user().submit("/peers/check", **{**PEER_FORM, **given})

    assert said in answer.text
    assert ("cannot be used" in answer.text) == bool(given)
    assert (window.window.config_folder / "peers.toml").read_text() == PEERS


def test_a_file_that_somebody_broke_needs_a_person_before_the_next_start(window: Opened) -> None:
    """The node goes on with the one before, and the log alone told it."""
    assert "The configuration cannot be used" not in window.user(Role.VIEWER).see("/")
    file = window.window.config_folder / "routes.toml"
    file.write_text(f'{ROUTES}destination = "pacs"\n')

    page = window.user(Role.OPERATOR).see("/")

    assert "The configuration cannot be used" in page
    assert re.search(r"routes\.toml, line \d+: unknown key route\.destination; did you mean destinations\?\. The", page)
    assert str(window.window.config_folder) not in page


def test_an_unknown_caller_is_shown_once_and_accepted(window: Opened) -> None:
    calls = Associations(window.books.home)
    receiver = calls.serve()
    at = window.books.clock()
    for number, title in enumerate(("NEW <i>", "NEW <i>", "PACS", "")):
        receiver.write(
            AssociationRecord(
                f"a{number}",
                receiver.name,
                title,
                "ISOCENTER",
                "192.0.2.7",
                None,
                at,
                outcome=AssociationOutcome.REJECTED,
                why="unknown caller",
                ended_at=at,
            )
        )
    keep_ended(window.books.ledger, calls)
    receiver.close()
    browser = window.user()

    page = browser.see("/peers")
    assert page.count("<td>NEW &lt;i&gt;</td>") == page.count(">Accept<") == 1
    assert "<strong>A sender without a name was turned away once</strong>" in browser.see("/")
    assert "<td>PACS</td>" not in page
    done(browser, "/peers/accept", ae_title="NEW <i>", address="192.0.2.7")
    peer = configured(window).peer("new--i")
    assert peer is not None
    assert (peer.ae_title, peer.roles, [str(one) for one in peer.addresses]) == (
        "NEW <i>",
        ("source",),
        ["192.0.2.7/32"],
    )
    assert "Callers nobody knows" not in browser.see("/peers")


def test_a_peer_is_asked_with_the_answer_in_words(window: Opened) -> None:
    browser = window.user(Role.OPERATOR)

    assert "pacs answered &lt;C-ECHO&gt;." in browser.submit("/peers/pacs/echo").text
    probed = browser.submit("/peers/pacs/probe").text
    assert "Explicit VR" in probed
    assert "renditions = [&#34;seg&#34;]" in probed
    assert "is a source only" in browser.submit("/peers/ct/probe").text


def test_who_was_turned_away_and_came_in_later_needs_nobody_any_more(window: Opened) -> None:
    """Nor does who has not come again for a day."""
    receiver = Associations(window.books.home).serve()
    for number, (title, outcome) in enumerate(
        (
            ("YESTERDAY", AssociationOutcome.REJECTED),
            ("ONCE", AssociationOutcome.REJECTED),
            ("ONCE", AssociationOutcome.RELEASED),
            ("NEVER", AssociationOutcome.REJECTED),
            ("AGAIN", AssociationOutcome.RELEASED),
            ("AGAIN", AssociationOutcome.REJECTED),
        )
    ):
        window.books.clock.forward(minutes=1 if number != 1 else 24 * 60)
        at = window.books.clock()
        receiver.write(
            AssociationRecord(
                f"a{number}", receiver.name, title, "ISOCENTER", "192.0.2.7", None, at, outcome=outcome, ended_at=at
            )
        )
    keep_ended(window.books.ledger, Associations(window.books.home))
    receiver.close()
    page = window.user(Role.VIEWER).see("/")

    told = [one for one in ("YESTERDAY", "ONCE", "NEVER", "AGAIN") if f"{one} was turned away" in page]
    assert told == ["NEVER", "AGAIN"]


def test_a_held_study_is_told_since_it_is_held(window: Opened) -> None:
    """Not since its last image that counts."""
    books = window.books
    began = books.clock()
    books.arrive(ct_slice(1, study="a"))
    books.clock.forward(hours=3)
    books.arrive(ct_slice(1, study="a"), path="spool/later.dcm", conflict=Conflict.HELD)
    books.arrive(ct_slice(1, study="b"))
    books.clock.forward(hours=2)
    books.arrive(ct_slice(2, study="b", patient="P2"))
    with books.ledger.read() as connection:
        told = overview.held(connection)

    assert [(one.since - began).total_seconds() / 3600 for one in told] == [5, 5, 3]


def seen_on(page: str, of: str) -> str:
    """What the form of a table says of the table it was filled from."""
    found = re.search(rf'name="of" value="{of}"><input type="hidden" name="seen" value="([0-9a-f]+)"', page)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("path", "of", "file", "mine", "theirs"),
    [
        ("/peers", "pacs", "peers.toml", {"addresses": "192.0.2.0/24"}, {"quiet_s": "20"}),
        ("/routes", "chest", "routes.toml", {"when": "'MR' in study.modalities"}, {"when": "study.stack_count > 1"}),
    ],
)
def test_what_somebody_else_changed_meanwhile_is_not_undone_by_an_older_form(
    window: Opened, path: str, of: str, file: str, mine: dict[str, str], theirs: dict[str, str]
) -> None:
    """A form holds every key of its table: saved later, it would quietly put back what another admin has changed."""
    browser = window.user()
    peer = {"ae_title": "PACS", "address": "192.0.2.1", "port": "104", "roles": "destination", "renditions": "seg"}
    form = {**(peer if path == "/peers" else FORM), "of": of, "seen": seen_on(browser.see(path), of)}
    edit, check = f"{path}/{of}/edit", f"{path}/check"

    done(browser, edit, **form, **mine)
    kept = (window.window.config_folder / file).read_text()
    said = browser.submit(check, **form, **theirs).text
    answer = browser.submit(edit, **form, **theirs)

    assert answer.status_code == 412
    for words in (said, answer.text):
        assert f"{of} was changed by somebody else meanwhile, and nothing was done: load it again" in words
    assert (window.window.config_folder / file).read_text() == kept
    done(browser, edit, **{**form, "seen": seen_on(browser.see(path), of)}, **theirs)


def test_a_comment_that_was_written_by_hand_meanwhile_is_in_nobodys_way(window: Opened) -> None:
    browser = window.user()
    seen = seen_on(browser.see("/routes"), "chest")
    file = window.window.config_folder / "routes.toml"
    file.write_text(f"{ROUTES}# a word of the night shift\n")

    done(browser, "/routes/chest/edit", **FORM, seen=seen, when="'MR' in study.modalities")

    assert "# a word of the night shift" in file.read_text()


@pytest.mark.parametrize(("kind", "name"), [(Kind.PEER, "ct"), (Kind.ROUTE, "off")])
def test_what_somebody_else_has_changed_meanwhile_is_not_removed(window: Opened, kind: Kind, name: str) -> None:
    """Who presses Remove means what the page shows."""
    browser, path = window.user(), f"/{kind.value}s/{name}/remove"
    form = browser.see(f"/{kind.value}s").partition(f'action="{path}"')[2].partition("</form>")[0]
    seen = form.partition('name="seen" value="')[2].partition('"')[0]
    editor = window.window.editor
    editor.change(kind, name, {"kind": "workstation"} if kind is Kind.PEER else {"priority": "urgent"})

    assert browser.submit(path, seen=seen).status_code == 412
    assert name in [one.name for one in (*configured(window).peers, *configured(window).routes)]
    done(browser, path)
    assert name not in [one.name for one in (*configured(window).peers, *configured(window).routes)]
