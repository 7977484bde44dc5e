"""The stages of a job as the timeline of a study shows them: how long each took, and in how many attempts."""

from dataclasses import dataclass

from node.core.job import Stage
from node.state.story import Attempt, Story

STAGE_WORDS: dict[str, str] = {
    Stage.PREPARE.value: "read and checked",
    Stage.INFER.value: "analysed",
    Stage.ENCODE.value: "results made",
}


@dataclass(frozen=True)
class Step:
    """One stage of the present run. seconds: of its last attempt; None while it lasts. share: of the run's time."""

    words: str
    stage: str
    last: Attempt
    attempts: int
    share: float


def steps_of(story: Story) -> dict[str, tuple[Step, ...]]:
    """By job: the stages of its present run, in their order."""
    found = {}
    for told in story.jobs:
        of_run = [one for one in told.attempts if one.run == told.job.run]
        total = sum(one.seconds or 0.0 for one in of_run) or 1.0
        steps = []
        for stage in Stage:
            tries = [one for one in of_run if one.stage == stage.value]
            if tries:
                spent = sum(one.seconds or 0.0 for one in tries)
                steps.append(Step(STAGE_WORDS[stage.value], stage.value, tries[-1], len(tries), spent / total))
        found[told.job.id] = tuple(steps)
    return found
