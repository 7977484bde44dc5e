"""Models with code that do to their process what they should not: each ends its own job, and the node goes on."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from node.core.job import JobState
from node.rehearsal.modality import send_study
from node.rehearsal.running import RunningNode, running_node
from node.state import schema
from tests.makers.installed import DOING, installed_model
from tests.makers.networks import write_bright
from tests.makers.series import ct_series

pytestmark = pytest.mark.slow
LIMIT_S = 150
PEER = '[[peer]]\nname = "pacs"\nae_title = "PACS"\naddress = "127.0.0.1"\nport = 9\n'
ROUTE = '[[route]]\nname = "{0}"\nmodel = "{0}"\ndestinations = ["pacs"]\n'
OPEN = "[one for one in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + one)]"
SOCKETS = f"[one for one in {OPEN} if 'socket' in os.readlink('/proc/self/fd/' + one)]"
MARK = "4242.25"
"""Seconds for which what models start would sleep, by which it is found."""
DOES = {
    "exits": "raise SystemExit(0)",
    "generates": "return Findings(segments=(one for one in ()))",
    "babbles": f"[os.write(int(one), bytes([255, 254, 32, 32])) for one in {SOCKETS}]; return Findings()",
    "forks": f"os.fork() or os.execlp('sleep', 'sleep', '{MARK}'); os.kill(os.getpid(), 9)",
    "detaches": f"os.system('setsid sleep {MARK} &'); os._exit(0)",
    "prints": "print('A NAME'.swapcase()); os.write(2, b'x' * 900_000); raise ValueError('no')",
    "closes": "print('kept to itself'); import sys; sys.stdout.close(); sys.stderr.close(); return Findings()",
    "litters": "import tempfile; tempfile.mkstemp(prefix='litter'); return Findings()",
    "severs": "os.closerange(3, 4096); open('/dev/null'); return Findings()",
    "alters": "np.mean = max; return Findings()",
    "spins": "__import__('threading').Thread(target=time.sleep, args=(600,)).start(); return Findings()",
}
REASONS = {
    "exits": "SystemExit: 0",
    "generates": "TypeError: findings: segments is a tuple, not a generator",
    "prints": "ValueError: no; what it printed is in ",
    "forks": "the process died 2 times in this stage",
    "detaches": "the process died 2 times in this stage",
    "severs": "the process died 2 times in this stage",
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, object], RunningNode]]:
    """The jobs of one study by their model, and the node, which was stopped."""
    folder = tmp_path_factory.mktemp("misbehaving")
    write_bright(folder / "node" / "config" / "models" / "bright")
    routes = "".join(ROUTE.format(name) for name in (*DOES, "bright"))
    settings = {"gathering.quiet_s": "1", "jobs.error_attempts": "1", "jobs.crash_attempts": "2"}
    with ExitStack() as installed:
        for name, does in DOES.items():
            installed.enter_context(installed_model(folder / name, name, DOING.replace("{does}", does)))
        with running_node(folder / "node", peers=PEER, routes=routes, settings=settings) as node:
            jobs = ran(node, folder / "study")
        yield jobs, node


def ran(node: RunningNode, study: Path, count: int = len(DOES) + 1) -> dict[str, object]:
    node.wait_until_ready()
    send_study(ct_series(study, slices=8), "127.0.0.1", node.port, "PACS", "ISOCENTER")
    with node.ledger() as ledger:
        for _ in node.until(LIMIT_S, "not every job ended"):
            with ledger.read() as connection:
                jobs = {row.route: row for row in connection.execute(schema.job.select())}
            if len(jobs) == count and not {"queued", "prepared", "inferred"} & {one.state for one in jobs.values()}:
                return jobs
    raise AssertionError


def told(node: RunningNode, event: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in node.log.read_text().splitlines() if line.startswith("{")]
    return [one for one in lines if one["event"] == event]


@pytest.mark.parametrize("name", sorted(REASONS))
def test_each_ends_its_own_job_with_words(ended: tuple[dict[str, object], RunningNode], name: str) -> None:
    job = ended[0][name]

    assert (job.state, job.reason) == (JobState.FAILED.value, "model-failed")
    assert job.message.startswith(REASONS[name])


@pytest.mark.parametrize("name", ["alters", "babbles", "closes", "litters", "spins", "bright"])
def test_the_others_come_to_their_end(ended: tuple[dict[str, object], RunningNode], name: str) -> None:
    assert ended[0][name].state == JobState.ENCODED.value


def test_the_next_job_meets_no_library_that_another_model_altered(ended: tuple[dict[str, object], RunningNode]) -> None:
    whys = [one["why"] for one in told(ended[1], "model-worker-outgrown")]

    assert "after model alters its process has another numpy.mean than before" in whys


def test_what_they_start_does_not_outlive_them(ended: tuple[dict[str, object], RunningNode]) -> None:
    """A death is seen though the line to the process is held by what it has forked."""
    assert {one["count"] for one in told(ended[1], "orphans-ended")} == {1}
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [one for one in commands if MARK.encode() in one]


def test_a_thread_that_never_ends_holds_up_no_stop(ended: tuple[dict[str, object], RunningNode]) -> None:
    assert told(ended[1], "node-stopped")
    assert not told(ended[1], "process-killed")


def test_what_they_print_is_kept_apart_from_the_log_and_bounded(ended: tuple[dict[str, object], RunningNode]) -> None:
    jobs, node = ended
    (path,) = (node.home / "run").glob("*.printed")
    text = path.read_text()

    assert str(path) in jobs["prints"].message
    assert f"job {jobs['prints'].id}, model prints\n" in text
    assert "a name" in text
    assert "more bytes left out" in text
    assert len(text) < 500_000
    assert path.stat().st_mode & 0o77 == 0
    assert not [line for line in node.log.read_text().splitlines() if "a name" in line or "xxx" in line]


def test_what_they_leave_in_the_temporary_folder_goes_with_the_process(
    ended: tuple[dict[str, object], RunningNode],
) -> None:
    (folder,) = (ended[1].home / "run").glob("*.tmp")

    assert list(folder.iterdir()) == []
    assert not list(Path(tempfile.gettempdir()).glob("litter*"))


LEAKING = DOING.replace(
    "{does}", "self.kept = [*getattr(self, 'kept', ()), np.ones(1200 << 20, np.uint8)]; return Findings()"
)


def test_a_worker_that_keeps_ever_more_memory_is_renewed_and_every_job_keeps_its_result(tmp_path: Path) -> None:
    """The second study of a model that keeps 1.2 GB of each, where its card declares 500 MB."""
    names = ["one", "two", "three"]
    routes = "".join(ROUTE.format(name).replace(f'model = "{name}"', 'model = "leaking"') for name in names)
    with (
        installed_model(tmp_path / "leaking", "leaking", LEAKING),
        running_node(tmp_path / "node", peers=PEER, routes=routes, settings={"gathering.quiet_s": "1"}) as node,
    ):
        jobs = ran(node, tmp_path / "study", len(names))
        with node.ledger() as ledger, ledger.read() as connection:
            noted = [
                row.message for row in connection.execute(schema.event.select()) if row.name == "model-worker-renewed"
            ]
            outcomes = [row.outcome for row in connection.execute(schema.attempt.select())]

    assert {one.state for one in jobs.values()} == {JobState.ENCODED.value}
    assert outcomes == ["done"] * 9
    assert len(noted) == 1
    assert noted[0].startswith("after model leaking its process holds ")
    assert [(one["process"], one["slot"]) for one in told(node, "process-renewed")] == [("model", 0)]
    assert not told(node, "process-died")


CROWDING = DOING.replace("{does}", "self.kept = []; [self.kept.append(os.dup(0)) for _ in range(10**7)]")


def test_a_worker_whose_files_are_used_up_ends_and_the_others_keep_their_results(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    write_bright(folder / "config" / "models" / "bright")
    with (
        installed_model(tmp_path / "crowding", "crowding", CROWDING),
        running_node(
            folder,
            peers=PEER,
            routes=ROUTE.format("crowding") + ROUTE.format("bright"),
            settings={"gathering.quiet_s": "1", "jobs.crash_attempts": "3"},
        ) as node,
    ):
        jobs = ran(node, tmp_path / "study", 2)

    assert (jobs["crowding"].state, jobs["bright"].state) == (JobState.FAILED.value, JobState.ENCODED.value)
    assert jobs["crowding"].message.startswith("the process died 3 times in this stage; what it printed is in ")
    (printed,) = (node.home / "run").glob("*.printed")
    assert "used up the files" in printed.read_text()
