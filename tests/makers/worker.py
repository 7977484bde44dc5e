"""A worker process whose stages only wait, to be killed: python -m tests.makers.worker HOME URL SLOT STAGE_S."""

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from node.core.job import Stage
from node.jobs.engine import Engine, Work
from node.jobs.runner import Assignment, Runner, StageWork
from node.service.executor import now
from node.settings import JobsTable
from node.state.bells import Bells
from node.state.ledger import Ledger
from node.state.queue import Queue

POLL_S = 0.05


def leave_a_mark(assignment: Assignment, stage_s: float) -> None:
    """The stage's work: a file that says whose it was."""
    time.sleep(stage_s)
    (assignment.folder / "mark").write_text(f"{assignment.job.id} {assignment.job.run}")


def main(home: Path, url: str, slot: str, stage_s: float) -> None:
    # Before there are threads: what a handler interrupts may hold the very lock that the handler waits for.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    ledger, bells = Ledger(url), Bells(home)
    stages = {stage: StageWork(lambda one: leave_a_mark(one, stage_s), lambda _job: 30.0) for stage in Stage}
    runner = Runner(
        ledger,
        Queue(ledger.engine, bells),
        home=home,
        executor=slot,
        limits=JobsTable(crash_attempts=100),
        stages=stages,
        clock=now,
    )
    bodies = {stage.value: body(runner, stage) for stage in Stage}
    engine = Engine(url, executor=slot, work=Work(stages=bodies), poll_s=POLL_S, bells=bells)
    engine.start()
    signal.sigwait({signal.SIGTERM})
    engine.stop(5)


def body(runner: Runner, stage: Stage) -> Callable[[str, int, int], None]:
    return lambda job_id, run, turn: runner.run(stage, job_id, run, turn)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]))
