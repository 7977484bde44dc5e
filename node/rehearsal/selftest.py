"""The self-test: a phantom makes the whole journey beside the node's own work, and each step says what was seen."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from ai.errors import ModelError
from node.core.checkup import Seen
from node.errors import IsocenterError
from node.rehearsal.journey import Step, rehearse

LOG_LINES = 12


def run_selftest(tell: Callable[[Seen], None]) -> bool:
    """Make the journey in a temporary folder; True where every step did what it should.

    The node that is tested is another one, with its own home, configuration and ports: this one's stay as they are.
    """
    present = Step.PHANTOM

    def heard(step: Step, words: str) -> None:
        nonlocal present
        present = step
        tell(Seen(step.value, True if words else None, words))

    with tempfile.TemporaryDirectory(prefix="isocenter-selftest-") as name:
        try:
            verdict = rehearse(Path(name), heard).verdict
        except (IsocenterError, ModelError) as error:
            tell(Seen(present.value, False, f"{error}{_end_of_log(Path(name))}"))
            return False
    objects = ", ".join(f"{count} {kind}" for kind, count in verdict.objects.items())
    agree = f"{len(verdict.compared)} values agree with the truth; {objects} came back"
    tell(Seen(Step.COMPARE.value, verdict.ok, "; ".join(verdict.faults) or agree))
    return verdict.ok


def _end_of_log(folder: Path) -> str:
    """The last lines of the tested node's log, which goes with its folder."""
    log = folder / "node" / "node.log"
    lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.exists() else []
    return "".join(f"\n{line}" for line in ("; the end of its log:", *lines)) if lines else ""
