"""A node as its operator meets it: starts, says how it is, refuses a second one, comes back, stops."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from node.rehearsal.modality import send_study
from node.rehearsal.running import RunningNode, running_node
from tests.makers.networks import write_bright
from tests.makers.series import ct_series

PEER = '[[peer]]\nname = "pacs"\nae_title = "PACS"\naddress = "127.0.0.1"\nport = 1\n'
ROUTE = '[[route]]\nname = "lung-ct"\nmodel = "lung-ct"\ndestinations = ["pacs"]\n'
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with running_node(tmp_path_factory.mktemp("node"), peers=PEER, routes=ROUTE) as found:
        found.wait_until_ready()
        yield found


def isocenter(node: RunningNode, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "node", *arguments]
    return subprocess.run(command, env={**node.environment, **changes}, capture_output=True, text=True, timeout=60)


def status(node: RunningNode) -> dict:
    return json.loads(isocenter(node, "status", "--json").stdout)


def test_status_names_every_process(node: RunningNode) -> None:
    found = status(node)

    assert found["ready"] is True
    assert [(one["role"], one["state"]) for one in found["processes"]] == [
        ("receiver", "ready"), ("receiver", "ready"), ("service", "ready"), ("worker", "ready"), ("model", "ready"),
    ]  # fmt: skip
    assert found["queues"] == {"prepare": 0, "infer": 0, "encode": 0, "deliver": 0}
    assert found["disk_free_mb"] > 0


def test_health_and_metrics_are_served(node: RunningNode) -> None:
    base = f"http://127.0.0.1:{node.admin_port}"

    assert httpx.get(f"{base}/live").json() == {"status": "alive"}
    assert httpx.get(f"{base}/ready").json() == {"status": "ready", "why": ""}
    assert "isocenter_ready 1.0" in httpx.get(f"{base}/metrics").text


def test_a_second_node_on_the_same_home_is_refused(node: RunningNode) -> None:
    second = isocenter(node, "serve")

    assert second.returncode == 1
    assert "another node is running in" in second.stderr


def test_a_second_node_on_the_same_port_is_refused(node: RunningNode, tmp_path: Path) -> None:
    second = isocenter(node, "serve", ISOCENTER_HOME=str(tmp_path / "home"))

    assert second.returncode == 1
    assert f"port {node.port} on 127.0.0.1 cannot be opened" in second.stderr


def test_a_ledger_that_was_lost_is_made_anew_from_the_spool(tmp_path: Path) -> None:
    """What was acknowledged is not forgotten without a word."""
    files = ct_series(tmp_path / "images", slices=2)
    with running_node(tmp_path / "node", peers=PEER, routes="", settings={"gathering.quiet_s": "1"}) as own:
        own.wait_until_ready()
        send_study(files, "127.0.0.1", own.port, "PACS", "ISOCENTER")
        for _ in own.until(60, "the images were not indexed"):
            if [one["instances"] for one in studies(own)] == [2]:
                break
        own.stop()
        for path in own.home.glob("ledger.sqlite*"):
            path.unlink()
        own.start()
        own.wait_until_ready()
        for _ in own.until(60, "the images were not indexed again"):
            if [(one["instances"], one["state"]) for one in studies(own)] == [(2, "complete")]:
                break
        assert (own.home / "ledger.sqlite").stat().st_mode & 0o077 == 0


def test_a_node_that_cannot_use_its_ledger_says_so_in_a_line(tmp_path: Path) -> None:
    """Each time that its service is started again, while images are taken."""
    home = tmp_path / "node" / "home"
    home.mkdir(parents=True)
    (home / "ledger.sqlite").write_bytes(b"this is no database at all" * 1000)
    with running_node(tmp_path / "node", peers=PEER, routes="") as own:
        for _ in own.until(60, "the service did not say why it ends"):
            told = [line for line in own.log.read_text().splitlines() if "process-unable" in line]
            if len(told) > 1:
                break
        files = ct_series(tmp_path / "images", slices=2)
        answers = send_study(files, "127.0.0.1", own.port, "PACS", "ISOCENTER")

    assert [status for _, status in answers] == [0, 0]
    assert json.loads(told[0])["why"].endswith("cannot be read (file is not a database): restore a backup")
    assert "Traceback" not in own.log.read_text()


def studies(node: RunningNode) -> list[dict]:
    return json.loads(isocenter(node, "studies", "--json").stdout)["items"]


@pytest.mark.parametrize("role", ["receiver", "service", "worker", "model"])
def test_a_process_that_is_killed_comes_back(node: RunningNode, role: str) -> None:
    first = next(one for one in status(node)["processes"] if one["role"] == role)
    before = first["pid"]
    subprocess.run(["kill", "-9", str(before)], check=True)

    for _ in node.until(60, f"{role} did not come back"):
        (now,) = [one for one in status(node)["processes"] if (one["role"], one["slot"]) == (role, first["slot"])]
        if now["pid"] != before and now["state"] == "ready":
            return


def test_a_node_whose_receivers_hang_is_not_ready_until_they_go_on(node: RunningNode) -> None:
    """They have not died, so that nobody starts them again; but no study can be sent."""
    receivers = [one["pid"] for one in status(node)["processes"] if one["role"] == "receiver"]
    ready = f"http://127.0.0.1:{node.admin_port}/ready"
    try:
        for pid in receivers:
            os.kill(pid, signal.SIGSTOP)
        for _ in node.until(40, "nobody noticed that the receivers hang"):
            if httpx.get(ready).status_code == 503:
                break
        assert httpx.get(ready).json()["why"] == "receiver 1 is silent: no study can be sent here by DICOM"
    finally:
        for pid in receivers:
            os.kill(pid, signal.SIGCONT)
    for _ in node.until(20, "nobody noticed that they went on"):
        if httpx.get(ready).status_code == 200:
            return


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["job", "nonsense"], 4, "no job 'nonsense' is known"),
        (["complete", "1.2.3"], 4, "no study '1.2.3' is known"),
        (
            ["run", "nonsense", ".", "--out", "x"],
            4,
            "no model is called 'nonsense'; installed are: hippocampus",
        ),
        (["--config", "/nonexistent", "status"], 2, "no such folder"),
        (["nonsense"], 2, "No such command"),
        (["studies", "--limit", "99999999999999999999999"], 2, "Invalid value for"),
        (["serve", "--only", "nonsense"], 2, "there is no process 'nonsense'"),
    ],
)
def test_errors_are_one_line_and_an_exit_code(node: RunningNode, arguments: list[str], code: int, told: str) -> None:
    found = isocenter(node, *arguments)

    assert found.returncode == code
    assert told in found.stderr
    assert "Traceback" not in found.stderr


def test_without_a_node_its_status_says_so(node: RunningNode, tmp_path: Path) -> None:
    found = isocenter(node, "status", ISOCENTER_HOME=str(tmp_path))

    assert found.returncode == 5
    assert "not ready: no node runs in this home" in found.stdout
    assert "disk: 0 MB free" not in found.stdout
    assert "queues" not in found.stdout


def test_without_a_node_the_lists_say_so(node: RunningNode, tmp_path: Path) -> None:
    found = isocenter(node, "studies", ISOCENTER_HOME=str(tmp_path))

    assert found.returncode == 5
    assert "no node has run in" in found.stderr


def test_a_command_that_does_not_know_the_nodes_database_says_so(tmp_path: Path) -> None:
    """Its URL was given to the node alone: that no node has run would be wrong."""
    (tmp_path / "home" / "spool").mkdir(parents=True)
    config = tmp_path / "config"
    config.mkdir()
    (config / "node.toml").write_text(f'[state]\nhome = "{tmp_path / "home"}"\n')
    command = [sys.executable, "-m", "node", "--config", str(config), "studies"]
    at_first = subprocess.run(command, capture_output=True, text=True, timeout=60)
    (tmp_path / "home" / "tenure").touch()
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert (at_first.returncode, found.returncode) == (5, 2)
    assert "set state.database_url (or ISOCENTER_DATABASE_URL) for commands as for the node" in found.stderr


def test_the_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    with running_node(tmp_path, peers=PEER, routes=ROUTE) as lone:
        lone.wait_until_ready()
        pids = [one["pid"] for one in status(lone)["processes"]]
        lone.process.send_signal(signal.SIGKILL)
        lone.process.wait(10)
        wait_until_gone(pids)


def test_a_node_ends_when_what_started_it_is_killed(tmp_path: Path) -> None:
    """`isocenter demo`, a self-test or a test run: nobody would be left to stop it."""
    program = "import sys; from tests.integration.test_node import hold_node; hold_node(sys.argv[1])"
    with subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"ready\n"
        told = json.loads((tmp_path / "home" / "run" / "processes.json").read_text())
        starter.kill()
    wait_until_gone([told["pid"], *(one["pid"] for one in told["processes"])])


def hold_node(folder: str) -> None:
    """A node's receiver runs until this process ends."""
    with running_node(Path(folder), peers="", routes="", only="receiver") as held:
        held.wait_until_ready()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        signal.pause()


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 40
    while left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def test_routes_that_are_replaced_hold_within_seconds_and_broken_ones_never(tmp_path: Path) -> None:
    """No process ends for them; what cannot be read changes nothing, and the log says why."""
    with running_node(tmp_path, peers=PEER, routes="", settings={"gathering.quiet_s": "1"}) as node:
        node.wait_until_ready()
        before = pids(node)
        faulty = ('[[route]]\nname = "lung-ct"\nmodell = "lung-ct"\n', '[[route]]\nname = "lung-ct"\nmodel = "lung"\n')
        for told, text in enumerate(faulty):
            replace(node, "routes.toml", text)
            for _ in node.until(20, "the fault was not told"):
                if node.log.read_text().count("configuration-unusable") > told:
                    break
        assert pids(node) == before

        replace(node, "routes.toml", ROUTE)
        for _ in node.until(60, "the service did not take the routes over"):
            if '"configuration-taken-over"' in node.log.read_text():
                break
        send_study(ct_series(tmp_path / "study", slices=2), "127.0.0.1", node.port, "PACS", "ISOCENTER")
        for _ in node.until(60, "the new route was not asked"):
            jobs = json.loads(isocenter(node, "jobs", "--json").stdout)["items"]
            if jobs:
                break
        assert pids(node) == before
        assert "route lung-ct: taken" in isocenter(node, "route", "try", jobs[0]["study_id"]).stdout
        assert isocenter(node, "route", "try", "nothing").returncode == 4


def test_a_model_that_is_installed_meanwhile_works_and_changed_peers_interrupt_no_job(tmp_path: Path) -> None:
    """Workers take peers and routes over as they are; only for other models they start again."""
    with running_node(tmp_path / "node", peers=PEER, routes="", settings={"gathering.quiet_s": "1"}) as node:
        node.wait_until_ready()
        before = pids(node)
        replace(node, "peers.toml", PEER.replace("[[peer]]", "[[peer]]\nlabel = 'Trial'"))
        for _ in node.until(150, "the peers were not taken over"):
            log = node.log.read_text()
            if log.count('"configuration-replaced"') >= 2 and '"configuration-taken-over"' in log:
                break
        after_peers = pids(node)
        models = Path(node.environment["ISOCENTER_CONFIG"]) / "models"
        models.mkdir(exist_ok=True)
        write_bright(tmp_path / "bright").rename(models / "bright")
        replace(node, "routes.toml", '[[route]]\nname = "bright"\nmodel = "bright"\ndestinations = ["pacs"]\n')
        for _ in node.until(150, "the model was not taken over"):
            now = pids(node)
            if now.keys() == before.keys() and all(now[one] != after_peers[one] for one in ("worker", "model")):
                break
        send_study(ct_series(tmp_path / "study", slices=8), "127.0.0.1", node.port, "PACS", "ISOCENTER")
        for _ in node.until(150, "the job was not inferred"):
            told = json.loads(isocenter(node, "jobs", "--json").stdout)
            if [one["state"] for one in told["items"]] == ["encoded"]:
                break

    assert after_peers == before


def pids(node: RunningNode) -> dict[str, int]:
    """What the supervisor says on disk; `status` needs a configuration that can be read."""
    told = json.loads((node.home / "run" / "processes.json").read_text())
    return {one["role"]: one["pid"] for one in told["processes"] if one["state"] == "ready"}


def replace(node: RunningNode, name: str, text: str) -> None:
    """As an editor does: written aside, then moved."""
    target = Path(node.environment["ISOCENTER_CONFIG"]) / name
    aside = target.with_suffix(".part")
    aside.write_text(text)
    aside.replace(target)
