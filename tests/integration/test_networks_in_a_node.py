"""Models without code in a running node: what fails is said, the worker is replaced, and the next job runs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from node.core.job import JobState
from node.rehearsal.modality import send_study
from node.rehearsal.running import RunningNode, running_node
from node.service.isolation import can_leave_network
from node.state import schema
from tests.makers.installed import DOING, installed_model
from tests.makers.networks import scripted, write_bright, write_model
from tests.makers.series import ct_series

pytestmark = pytest.mark.slow
LIMIT_S = 120
PEER = '[[peer]]\nname = "pacs"\nae_title = "PACS"\naddress = "127.0.0.1"\nport = 9\n'
ROUTE = '[[route]]\nname = "{0}"\nmodel = "{0}"\ndestinations = ["pacs"]\n'


class NaN(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, torch.zeros_like(x) / 0], dim=1)


class Hanging(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while bool(x.isfinite().all()):
            x = x * 1
        return x


class Greedy(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.ones(1 << 46)[0]


CRASHING = DOING.format(does="resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.kill(os.getpid(), signal.SIGSEGV)")
"""A model with code that ends its process as native code may."""
FAILING = {"broken": NaN(), "hanging": Hanging(), "greedy": Greedy()}
REASONS = {
    "broken": ("model-failed", "not numbers"),
    "hanging": ("timeout", "longer than 3 s"),
    "greedy": ("out-of-memory", "does not fit in the memory"),
    "changed": ("model-failed", "the card pins"),
    "crashing": ("model-failed", "the process died 3 times in this stage"),
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node that has done its best with every model, each on the same study."""
    folder = tmp_path_factory.mktemp("networks")
    models = folder / "node" / "config" / "models"
    write_bright(models / "bright")
    for name, network in FAILING.items():
        write_model(models / name, scripted(network), 'kind = "torchscript"\nfinds = "segments"')
    card = models / "hanging" / "card.toml"
    card.write_text(card.read_text().replace("timeout_s = 60", "timeout_s = 3"))
    (write_bright(models / "changed") / "model.bin").write_bytes(b"another network")
    routes = "".join(ROUTE.format(name) for name in ("crashing", "hanging", "bright", "broken", "greedy", "changed"))
    settings = {"gathering.quiet_s": "1", "jobs.error_attempts": "1", "jobs.crash_attempts": "3"}
    with installed_model(folder / "installed", "crashing", CRASHING):
        yield from ran(folder, routes, settings)


def ran(folder: Path, routes: str, settings: dict[str, str]) -> Iterator[RunningNode]:
    with running_node(folder / "node", peers=PEER, routes=routes, settings=settings) as node:
        node.wait_until_ready()
        send_study(ct_series(folder / "study", slices=8), "127.0.0.1", node.port, "PACS", "ISOCENTER")
        with node.ledger() as ledger:
            for _ in node.until(LIMIT_S, "not every job ended"):
                with ledger.read() as connection:
                    states = [row.state for row in connection.execute(schema.job.select())]
                if len(states) == 6 and not {"queued", "prepared", "inferred"} & set(states):
                    break
        yield node


def jobs(node: RunningNode) -> dict[str, object]:
    with node.ledger() as ledger, ledger.read() as connection:
        return {row.route: row for row in connection.execute(schema.job.select())}


@pytest.mark.parametrize("name", sorted(REASONS))
def test_what_fails_says_why(node: RunningNode, name: str) -> None:
    reason, words = REASONS[name]
    job = jobs(node)[name]

    assert (job.state, job.reason) == (JobState.FAILED.value, reason)
    assert words in job.message


def test_the_worker_is_replaced_and_the_others_run(node: RunningNode) -> None:
    assert jobs(node)["bright"].state == JobState.ENCODED.value
    died = [line for line in node.log.read_text().splitlines() if "process-died" in line]
    assert {json.loads(line)["process"] for line in died} == {"model"}
    assert len(died) in (3, 4)  # the one that hangs may end the process in which the one that crashes waits its turn


@pytest.mark.skipif(not can_leave_network(), reason="this system lets nobody leave the network")
def test_model_workers_have_no_network(node: RunningNode) -> None:
    told = [json.loads(line) for line in node.log.read_text().splitlines() if '"model-network"' in line]

    assert {one["reachable"] for one in told} == {False}


def test_every_opening_is_told(node: RunningNode) -> None:
    told = [json.loads(line) for line in node.log.read_text().splitlines() if '"model-' in line]

    assert {one["model"] for one in told if one["event"] == "model-opened"} == {"bright", "crashing", *FAILING}
    assert {one["model"] for one in told if one["event"] == "model-not-opened"} == {"changed"}
