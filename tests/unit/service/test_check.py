"""Each kind of fault is found where it is, and only there, in one line that says what to do."""

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI
from sqlalchemy.pool import QueuePool

from node.admin.health import Health, add_to
from node.core.job import DeliveryState, JobState, Priority
from node.core.pausable import Pausable
from node.rehearsal.pacs import StandInPacs
from node.rehearsal.running import free_ports
from node.service import check_machine
from node.service.check import find_faults
from node.service.check_ledger import faults
from node.service.executor import now
from node.service.locks import claim
from node.state import outbox, pauses, schema, work
from node.state.arrivals import gathering_studies
from node.state.database import VERSION_TABLE
from node.state.ledger import Ledger
from node.state.rows import NewJob
from tests.makers.certificates import Authority
from tests.makers.disks import read_only
from tests.makers.ledger import Books, books, ct_slice
from tests.makers.networks import write_bright
from tests.makers.postgres import Postgres


class Place:
    """A configuration folder and a home, sound but for the node not running."""

    def __init__(self, folder: Path, pacs: StandInPacs) -> None:
        self.config, self.home = folder / "config", folder / "home"
        self.config.mkdir()
        self.home.mkdir(mode=0o700)
        port, admin = free_ports(2)
        self.settings = {
            "node": [f"port = {port}", 'bind = "127.0.0.1"'],
            "admin": [f"port = {admin}"],
            "state": [f'home = "{self.home}"'],
            "intake": ["disk_reserve_mb = 1", "refuse_associations_mb = 2"],
        }
        self.port, self.admin_port = port, admin
        self.peers = [
            f'name = "pacs"\nae_title = "PACS"\naddress = "127.0.0.1"\nport = {pacs.port}',
        ]
        self.routes = ['name = "lungs"\nmodel = "lung-ct"\ndestinations = ["pacs"]']

    def faults(self) -> dict[str, str]:
        """What is found, by kind."""
        lines = [f"[{name}]\n" + "\n".join(values) for name, values in self.settings.items()]
        (self.config / "node.toml").write_text("\n".join(lines))
        (self.config / "peers.toml").write_text("\n".join(f"[[peer]]\n{one}" for one in self.peers))
        (self.config / "routes.toml").write_text("\n".join(f"[[route]]\n{one}" for one in self.routes))
        return {one.kind: one.message for one in find_faults(self.config)}

    def found(self) -> set[str]:
        return set(self.faults()) - {"not-running"}


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandInPacs]:
    with StandInPacs(tmp_path_factory.mktemp("pacs")) as one:
        yield one


@pytest.fixture
def place(tmp_path: Path, pacs: StandInPacs) -> Place:
    return Place(tmp_path, pacs)


@pytest.fixture
def ledger(place: Place) -> Iterator[Books]:
    """The home's ledger, with one study of one image, a job and a delivery, all well."""
    with books(place.home) as found:
        found.clock.at = now()
        found.arrive(ct_slice(1))
        path = place.home / "spool" / "instances" / ct_slice(1).study_uid / f"{ct_slice(1).sop_instance_uid}.dcm"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"image")
        with found.ledger.write() as connection:
            (study,) = gathering_studies(connection)
            new = NewJob(
                "j1", "k1", study.id, "r", "m", "1", "d", "i", {}, (), incomplete=False, priority=Priority.ROUTINE
            )
            job = work.add_job(connection, new, now())
            assert job is not None
            outbox.add_delivery(connection, job, "pacs", now())
        yield found


def change(found: Books, table: sa.Table, **values: object) -> None:
    with found.ledger.write() as connection:
        connection.execute(table.update().values(**values))


def test_a_sound_node_that_does_not_run_has_no_other_fault(place: Place, ledger: Books) -> None:  # noqa: ARG001
    assert place.faults() == {"not-running": "no node runs in this home: start it with `isocenter serve`"}


def test_a_node_that_runs_has_none(place: Place) -> None:
    with claim(place.home, ["receiver", "service"]):
        assert place.faults() == {}


def anybody(place: Place) -> None:
    place.settings["intake"].append('unknown_callers = "accept"')


def nobody(place: Place) -> None:
    place.peers[0] += '\nroles = ["destination"]'


def no_route(place: Place) -> None:
    place.routes[0] += "\nenabled = false"


def deaf_route(place: Place) -> None:
    place.peers.append(
        'name = "archive"\nae_title = "ARCHIVE"\naddress = "127.0.0.1"\nport = 1\nroles = ["destination"]'
    )
    place.routes[0] += '\nfrom = ["archive"]'


def unknown_key(place: Place) -> None:
    place.settings["node"].append("prot = 1")


def unknown_model(place: Place) -> None:
    place.routes[0] = place.routes[0].replace("lung-ct", "liver-ct")


def unknown_input(place: Place) -> None:
    place.routes[0] += "\n[route.input.mr]\nwhere = 'true'"


def same_title(place: Place) -> None:
    place.peers.append('name = "twin"\nae_title = "PACS"\nroles = ["source"]')


def loop(place: Place) -> None:
    place.peers.append(f'name = "self"\nae_title = "ISOCENTER"\naddress = "127.0.0.1"\nport = {place.port}')


def open_window(place: Place) -> None:
    place.settings["admin"].append('bind = "0.0.0.0"')


def silent(place: Place) -> None:
    place.peers[0] = 'name = "pacs"\nae_title = "PACS"\naddress = "127.0.0.1"\nport = 1'


def open_home(place: Place) -> None:
    place.home.chmod(0o755)


def full(place: Place) -> None:
    place.settings["intake"] = ["disk_reserve_mb = 1000000000", "refuse_associations_mb = 2000000000"]


def filling(place: Place) -> None:
    place.settings["intake"] = ["disk_reserve_mb = 1", "refuse_associations_mb = 2000000000"]


@pytest.mark.parametrize(
    ("break_it", "kind", "words"),
    [
        (unknown_key, "configuration", "unknown key node.prot; did you mean port?"),
        (unknown_model, "route", "no model 'liver-ct'; installed: hippocampus"),
        (unknown_input, "route", "model lung-ct has no input 'mr'; it has ct"),
        (anybody, "callers", 'set "reject" and list peers'),
        (nobody, "no-source", "add a [[peer]] with the role source"),
        (no_route, "no-route", "add a [[route]]"),
        (deaf_route, "route-source", "route lungs takes from archive, whose roles lack source"),
        (same_title, "same-title", "peers pacs and twin both call as PACS"),
        (loop, "loop", "peer self is this node"),
        (open_window, "admin-open", "set 127.0.0.1"),
        (silent, "destination", "Nothing listens at 127.0.0.1:1: start pacs"),
        (open_home, "home-open", "chmod 700"),
        (full, "disk-full", "images are refused (A700); make room"),
        (filling, "disk-low", "associations are refused; make room"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_fault_of_settings_or_disk_is_found(
    place: Place, break_it: Callable[[Place], None], kind: str, words: str
) -> None:
    break_it(place)
    found = place.faults()

    assert place.found() == {kind}
    assert words in found[kind]


def test_a_database_over_the_network_keeps_model_workers_on_it(place: Place) -> None:
    place.settings["state"].append('database_url = "postgresql://node@127.0.0.1:9/isocenter"')
    assert "model-network" not in place.faults()

    write_bright(place.config / "models" / "bright")

    assert "the database is reached over it" in place.faults()["model-network"]


def test_a_model_with_a_broken_card_is_found(place: Place) -> None:
    card = write_bright(place.config / "models" / "bright") / "card.toml"
    card.write_text(card.read_text().replace('version = "1.0.0"', "version = 1"))

    assert "version must be a text, found 1; mend the card" in place.faults()["model-card"]


def test_a_file_under_a_wrong_name_is_told(place: Place) -> None:
    """It changes nothing, and whoever wrote it waits for what it says."""
    (place.config / "nodes.toml").write_text("")
    (place.config / "models" / "mine").mkdir(parents=True)
    (place.config / "models" / "mine" / "Card.toml").write_text("")

    faults = place.faults()
    assert "nodes.toml: is not read: the names are node.toml, peers.toml, routes.toml" in faults["configuration-name"]
    assert "mine: is no model: it holds no card.toml" in faults["model-name"]


def test_a_model_whose_libraries_are_not_installed_is_found(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bright(place.config / "models" / "bright")
    place.routes.append('name = "bright"\nmodel = "bright"\ndestinations = ["pacs"]')
    assert "model-extra" not in place.faults()

    monkeypatch.setitem(sys.modules, "monai", None)

    assert "it needs the extra `torch`, of which monai cannot be found" in place.faults()["model-extra"]


def test_weights_that_are_gone_or_other_ones_are_found_before_jobs_fail_by_them(place: Place) -> None:
    weights = write_bright(place.config / "models" / "bright") / "model.bin"
    assert "model-weights" not in place.faults()
    place.routes.append('name = "bright"\nmodel = "bright"\ndestinations = ["pacs"]')
    assert "model-weights" not in place.faults()

    weights.write_bytes(weights.read_bytes()[:-1])
    assert "and the card pins" in place.faults()["model-weights"]
    weights.unlink()
    assert "is not there, or is a link" in place.faults()["model-weights"]


def test_certificates_that_end_soon_or_do_not_belong_together_are_found(place: Place, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    soon, other = authority.sign("/CN=isocenter", days=3), authority.sign("/CN=other")
    table = [f'certificate = "{soon.certificate}"', f'authorities = "{authority.certificate}"']
    place.settings["tls"] = [*table, f'key = "{soon.key}"']
    found = place.faults()
    assert place.found() == {"certificate-expires"}
    assert "CN=isocenter (tls.certificate in node.toml) ends in 2 days" in found["certificate-expires"]

    place.settings["tls"] = [*table, f'key = "{other.key}"']
    assert "the certificates cannot be used" in place.faults()["tls"]


@pytest.mark.parametrize("which", ["node-port", "admin-port"])
def test_a_port_that_is_taken_is_found(place: Place, which: str) -> None:
    with socket.create_server(("127.0.0.1", place.port if which == "node-port" else place.admin_port)):
        assert place.found() == {which}


def test_images_that_nobody_indexes_are_found(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.home / "spool" / "new").mkdir(parents=True)
    (place.home / "spool" / "new" / "1.2+1.2.3").touch()
    monkeypatch.setattr(check_machine, "ARRIVAL_LIMIT_S", -1.0)

    assert place.found() == {"not-indexed"}


def test_files_that_a_crash_left_are_found(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.home / "spool" / "aside").mkdir(parents=True)
    (place.home / "spool" / "aside" / "x.part").touch()
    monkeypatch.setattr(check_machine, "LEFT_ASIDE_S", -1.0)

    assert place.found() == {"left-aside"}


def test_few_open_files_are_found(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_machine, "FEWEST_FILES", 1 << 40)

    assert place.found() == {"open-files"}


def test_few_inodes_are_found(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_machine, "FEWEST_INODES", 1 << 62)
    is_counted = os.statvfs(place.home).f_files > 0

    assert place.found() == ({"inodes"} if is_counted else set())


def test_a_home_on_a_network_disk_is_told(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda / ext4 rw 0 0\nserver:/x /srv nfs4 rw 0 0\n")

    assert check_machine.file_system(Path("/srv/isocenter"), mounts) in check_machine.NETWORK_FILE_SYSTEMS
    assert check_machine.file_system(Path("/srvisocenter"), mounts) == "ext4"


def test_a_process_that_is_not_ready_is_found(place: Place) -> None:
    with claim(place.home, ["receiver", "service"]) as folder:
        (folder / "processes.json").write_text(
            '{"pid": 1, "processes": [{"role": "worker", "slot": 0, "pid": null, "state": "waiting"}]}'
        )

        assert place.faults() == {"process": "worker 0 is waiting: if it stays, look into the log"}


@pytest.mark.parametrize("why", ["the ledger cannot be written", ""])
def test_a_service_that_cannot_work_is_found_in_its_own_words(place: Place, why: str) -> None:
    """It is asked where it answers; where it does not answer, that is said."""
    told = '{"pid": 1, "processes": [{"role": "service", "slot": 0, "pid": 2, "state": "ready"}]}'
    ledger_down = Health(False, why, (), disk_free_mb=1000)
    with ExitStack() as stack:
        folder = stack.enter_context(claim(place.home, ["receiver", "service"]))
        (folder / "processes.json").write_text(told)
        if why:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", place.admin_port)))
            app = FastAPI()
            add_to(app.router, lambda: ledger_down, Ledger("sqlite://"))
            server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
            thread = threading.Thread(target=server.run, args=([listening],))
            thread.start()
            stack.callback(thread.join)
            stack.callback(setattr, server, "should_exit", True)

        assert place.found() == {"not-ready"}
        assert (why or "does not answer") in place.faults()["not-ready"]


def test_a_home_of_somebody_else_is_told_with_all_else_that_can_be_seen(
    place: Place,
    ledger: Books,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where an administrator calls it under a name of their own: it ended over the first folder it may not see."""
    nobody(place)
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    faults = place.faults()

    assert set(faults) == {"home", "no-source"}
    assert "call this as the user that runs the node" in faults["home"]


@pytest.mark.real("mounts")
def test_a_read_only_disk_is_found(place: Place) -> None:
    with read_only(place.home):
        assert "read-only" in place.found()


OLD = timedelta(days=2)


@pytest.mark.parametrize(
    ("kind", "table", "values"),
    [
        ("held", schema.study, {"state": "quarantined"}),
        ("failed", schema.job, {"state": JobState.FAILED.value}),
        ("parked", schema.delivery, {"state": DeliveryState.PARKED.value}),
        ("undelivered", schema.delivery, {"created_at": now() - OLD}),
        ("unproven", schema.delivery, {"state": "accepted", "next_at": now(), "changed_at": now() - OLD}),
        ("clock", schema.study, {"last_at": now() + timedelta(hours=1)}),
        ("unreadable", schema.instance, {"kind": "unreadable"}),
        ("files-missing", schema.instance, {"path": "spool/instances/1/2.dcm"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_ledger_tells_is_found(
    place: Place, ledger: Books, kind: str, table: sa.Table, values: dict[str, object]
) -> None:
    change(ledger, table, **values)

    assert place.found() == {kind}


def test_a_route_that_could_not_decide_is_found(place: Place, ledger: Books) -> None:
    with ledger.ledger.write() as connection:
        (study,) = gathering_studies(connection)
        connection.execute(
            schema.decision.insert().values(
                study_id=study.id, generation=1, route="r", verdict="undecided", why="age is absent", at=now()
            )
        )

    assert place.found() == {"undecided"}


def test_pledges_that_no_archive_was_seen_to_hold_are_found(place: Place, ledger: Books) -> None:
    """Once they have waited for days, archive by archive; what is seen is well."""
    with ledger.ledger.write() as connection:
        (study,) = gathering_studies(connection)
        rows = [("1.2.1", "pacs", None), ("1.2.2", "pacs", None), ("1.2.2", "vna", None), ("1.2.3", "pacs", now())]
        for sop_uid, archive, seen_at in rows:
            connection.execute(
                schema.pledged.insert().values(study_id=study.id, sop_uid=sop_uid, archive=archive, seen_at=seen_at)
            )
    assert place.found() == set()

    change(ledger, schema.study, last_at=now() - timedelta(days=4))
    told = [one.message for one in find_faults(place.config) if one.kind == "pledged-unseen"]
    assert [one.split(" pledged images")[0] for one in told] == ["2", "1"]
    assert "archive pacs was not seen to hold them" in told[0]
    assert "archive vna was not seen to hold them" in told[1]


def test_a_pause_is_found(place: Place, ledger: Books) -> None:
    with ledger.ledger.write() as connection:
        pauses.pause(connection, Pausable.ROUTE, "lungs", now())

    assert "`isocenter resume` ends that" in place.faults()["paused"]


def test_a_ledger_of_another_version_is_found(place: Place, ledger: Books) -> None:
    with ledger.ledger.write() as connection:
        version = sa.table(VERSION_TABLE, sa.column("version_num"))
        connection.execute(version.update().values(version_num="9999"))

    assert place.found() == {"ledger-version"}


@pytest.mark.parametrize("key", ["passcode_file", "token_file"])
def test_a_secret_that_nobody_can_show_is_found(place: Place, tmp_path: Path, key: str) -> None:
    """A receiver cannot even start without a passcode; with a token that is not there the peer is turned away."""
    secret = tmp_path / "secret"
    place.peers[0] += f'\nuser = "pacs"\n{key} = "{secret}"'
    assert f"{key} of peer pacs in peers.toml: {secret} cannot be read" in place.faults()["secret"]
    secret.write_text("\n")
    secret.chmod(0o600)
    assert "is empty" in place.faults()["secret"]

    secret.write_text("so it is\n")
    assert place.found() == set()


def test_a_secret_that_everybody_can_read_is_found(place: Place, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("so it is\n")
    secret.chmod(0o644)
    place.peers[0] += f'\ntoken_file = "{secret}"'
    assert place.faults()["secret-open"].endswith(f"can read {secret}: chmod o-rwx {secret}")

    secret.chmod(0o640)
    assert place.found() == set()


@pytest.mark.parametrize("has_images", [False, True])
def test_a_ledger_that_is_not_there_is_told_where_there_was_one(place: Place, *, has_images: bool) -> None:
    if has_images:
        (place.home / "spool" / "instances" / "ab").mkdir(parents=True)
        (place.home / "spool" / "instances" / "ab" / "1.dcm").touch()

    assert place.found() == ({"ledger-lost"} if has_images else set())


@pytest.mark.real("postgresql")
def test_a_database_that_the_node_has_not_used_yet_is_told_by_nothing_of_it(place: Place, postgres: Postgres) -> None:
    """The tests' own server runs without care for the loss of power, and only that is told."""
    place.settings["state"].append(f'database_url = "{postgres.new()}"')
    faults = place.faults()

    assert set(faults) - {"not-running", "model-network"} == {"ledger-forgetful"}
    assert "set it to on" in faults["ledger-forgetful"]


def test_a_file_that_is_no_ledger_is_found(place: Place) -> None:
    (place.home / "ledger.sqlite").write_bytes(b"this is no database at all" * 100)

    assert "restore a backup" in place.faults()["ledger"]


class Seen(type(Path())):
    """A home whose disk is looked at; notes how many connections of a ledger are in use at each look."""

    pool: ClassVar[QueuePool]
    in_use: ClassVar[list[int]]

    def exists(self, **given: bool) -> bool:
        self.in_use.append(self.pool.checkedout())
        return super().exists(**given)


def test_the_disk_is_not_looked_at_within_a_transaction(place: Place, ledger: Books) -> None:
    """PostgreSQL ends one in which nothing was asked for ten seconds, which a large spool takes: a false alarm."""
    Seen.pool, Seen.in_use = ledger.ledger.engine.pool, []
    list(faults(ledger.ledger, Seen(place.home), now(), 3))

    assert Seen.in_use == [0]


def test_a_damaged_ledger_is_found(place: Place, ledger: Books) -> None:
    """Pages of an index are overwritten; the tables can still be read."""
    with closing(Ledger(ledger.url)) as one, one.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        page = connection.exec_driver_sql(
            "SELECT rootpage FROM sqlite_master WHERE name = 'ix_iso_association_started_at'"
        ).scalar_one()
        size = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    ledger.queue.close()
    ledger.ledger.close()
    with (place.home / "ledger.sqlite").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)

    assert place.found() & {"ledger-damaged", "ledger"}
