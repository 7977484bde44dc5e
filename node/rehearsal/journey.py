"""The whole journey, step by step: a phantom through a node of its own to a stand-in PACS, and what arrived judged."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from node.core.job import JOB_ENDED, DeliveryState, JobState, Stage
from node.rehearsal.modality import send_study
from node.rehearsal.pacs import StandInPacs
from node.rehearsal.phantom import DEMO, truth, write_study
from node.rehearsal.running import TITLE, RehearsalFailed, RunningNode, running_node
from node.rehearsal.verdict import Verdict, judge
from node.state import outbox, schema, work
from node.state.ledger import Ledger
from node.state.rows import DeliveryRow, JobRow

PACS_TITLE, MODALITY_TITLE = "DEMO-PACS", "DEMO-CT"
PEERS = '[[peer]]\nname = "pacs"\nae_title = "{title}"\naddress = "127.0.0.1"\nport = {port}\n'
ROUTES = """
[[route]]
name = "lung-ct"
when = "'CT' in study.modalities"
model = "lung-ct"
destinations = ["pacs"]
"""
SETTINGS = {"gathering.quiet_s": "2"}
JOURNEY_LIMIT_S = 150.0


class Step(Enum):
    """What is done, in its order, as a person reads it."""

    PHANTOM = "make a phantom: a chest with known lungs"
    START = "start a node of its own, on free ports and in an empty home"
    RECEIVE = "send the phantom to its receiver by C-STORE"
    GATHER = "wait until the study is complete"
    PREPARE = "read and check the images"
    INFER = "let the model analyse them"
    ENCODE = "make and check the result objects"
    DELIVER = "send them to a test destination"
    COMPARE = "compare what arrived with the truth"


Tell = Callable[[Step, str], None]
"""Called as each step begins, with no words, and as it ends, with what was seen; of the last, the verdict says that."""

OF_STAGE = {Stage.PREPARE: Step.PREPARE, Stage.INFER: Step.INFER, Stage.ENCODE: Step.ENCODE}


@dataclass(frozen=True)
class Rehearsed:
    """What became of it. stages: seconds by name, in their order. arrived: what the stand-in PACS kept."""

    verdict: Verdict
    stages: dict[str, float]
    arrived: tuple[Path, ...]


def rehearse(folder: Path, tell: Tell) -> Rehearsed:
    """Make the journey in an empty folder; the node's log is `node/node.log` in it. Raises RehearsalFailed."""
    with ExitStack() as stack:
        pacs = stack.enter_context(StandInPacs(folder / "pacs", PACS_TITLE))
        peers = PEERS.format(title=PACS_TITLE, port=pacs.port)
        node = stack.enter_context(running_node(folder / "node", peers=peers, routes=ROUTES, settings=SETTINGS))
        tell(Step.PHANTOM, "")
        began = time.monotonic()
        files = write_study(folder / "phantom", DEMO)
        made_s = time.monotonic() - began
        tell(Step.PHANTOM, f"{len(files)} images")
        tell(Step.START, "")
        node.wait_until_ready()
        tell(Step.START, "every process is ready")
        sent_s = _send(node, files, tell)
        stages = {"make phantom": made_s, "send": sent_s, **_follow(node, tell)}
        tell(Step.COMPARE, "")
        arrived = tuple(one.path for one in pacs.arrivals)
        verdict = judge(arrived, files, truth(DEMO))
        return Rehearsed(verdict, stages, arrived)


def _send(node: RunningNode, files: Sequence[Path], tell: Tell) -> float:
    tell(Step.RECEIVE, "")
    began = time.monotonic()
    answers = send_study(files, "127.0.0.1", node.port, MODALITY_TITLE, TITLE)
    refused = [f"{status!r}" for _, status in answers if status != 0]
    if refused:
        raise RehearsalFailed(f"the node refused {len(refused)} images (status {refused[0]}); see {node.log}")
    tell(Step.RECEIVE, f"{len(answers)} images answered 0000")
    return time.monotonic() - began


def _follow(node: RunningNode, tell: Tell) -> dict[str, float]:
    """Watch the ledger until the study's results are delivered; seconds of each stage."""
    tell(Step.GATHER, "")
    told: set[Stage] = set()
    is_complete = False
    with node.ledger() as ledger:
        for _ in node.until(JOURNEY_LIMIT_S, "the results did not come back"):
            job, delivery = _look(ledger)
            if job is None:
                continue
            if not is_complete:
                is_complete = True
                tell(Step.GATHER, f"route {job.route} took it")
                tell(Step.PREPARE, "")
            _tell_stages(ledger, told, tell)
            if job.state in JOB_ENDED - {JobState.ENCODED}:
                raise RehearsalFailed(f"the job ended as {job.state.value}: {job.reason}: {job.message}")
            if delivery is not None and delivery.state is DeliveryState.ACCEPTED:
                tell(Step.DELIVER, delivery.message or "every object was taken")
                return _stages(ledger, job, delivery)
    raise AssertionError("unreachable: the wait ends by success or RehearsalFailed")


def _tell_stages(ledger: Ledger, told: set[Stage], tell: Tell) -> None:
    """Tell of each stage that was done since the last look, and what comes after it."""
    following = (*OF_STAGE.values(), Step.DELIVER)
    for number, (stage, step) in enumerate(OF_STAGE.items(), 1):
        if stage in told:
            continue
        seconds = _seconds(ledger).get(stage.value)
        if seconds is None:
            return
        told.add(stage)
        tell(step, f"done in {seconds:.1f} s")
        tell(following[number], "")


def _look(ledger: Ledger) -> tuple[JobRow | None, DeliveryRow | None]:
    with ledger.read() as connection:
        row = connection.execute(schema.job.select()).mappings().first()
        if row is None:
            return None, None
        job = work.get_job(connection, row["id"])
        return job, next(iter(outbox.deliveries_of(connection, job.id)), None)


def _seconds(ledger: Ledger) -> dict[str, float]:
    """By stage: how long its attempt took that was done."""
    with ledger.read() as connection:
        attempts = connection.execute(schema.attempt.select().order_by(schema.attempt.c.id)).mappings().all()
    return {
        one["stage"]: (one["ended_at"] - one["started_at"]).total_seconds()
        for one in attempts
        if one["outcome"] == "done"
    }


def _stages(ledger: Ledger, job: JobRow, delivery: DeliveryRow) -> dict[str, float]:
    """Seconds of each stage: quiet time, the work of the stages, sending, and what lay between them."""
    with ledger.read() as connection:
        last_at = connection.execute(schema.study.select()).mappings().one()["last_at"]
    found = {"gather (quiet time)": (job.created_at - last_at).total_seconds(), **_seconds(ledger)}
    sending = delivery.first_try_at or delivery.created_at
    found["deliver"] = (delivery.changed_at - sending).total_seconds()
    worked = sum(found.values())
    found["between stages"] = (delivery.changed_at - last_at).total_seconds() - worked
    return found
