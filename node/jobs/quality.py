"""The quality of a job's inputs: what its route asks for, kept beside them, and in words for whoever reads of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ai.contract import InputCard
from ai.quality import Quality
from node.settings import Route

QUALITY_FILE = "quality.json"
POOR = 0.5
"""A score below it is remarked on in the results."""
REMARKED = ("noise", "motion", "artefact")
"""What coverage must be depends on the organ: routes and models ask for it themselves."""


def asked_for(inputs: Sequence[InputCard], route: Route | None) -> tuple[InputCard, ...]:
    """The inputs of a card with the higher of what the card and the route ask of each quality."""
    return tuple(replace(one, min_quality=_higher(one, route)) for one in inputs)


def _higher(card: InputCard, route: Route | None) -> tuple[tuple[str, float], ...]:
    found: dict[str, float] = dict(card.min_quality)
    given = route.input.get(card.name) if route is not None else None
    for name, least in (given.min_quality if given is not None else {}).items():
        found[name] = max(least, found.get(name, 0.0))
    return tuple(found.items())


def save_quality(quality: Mapping[str, Quality], folder: Path) -> None:
    """Write the scores of each input into an artefact's folder."""
    (folder / QUALITY_FILE).write_text(json.dumps({name: one.scores for name, one in quality.items()}))


def load_quality(folder: Path) -> dict[str, dict[str, float]]:
    """By input, the scores that could be told; empty for an artefact that has none."""
    file = folder / QUALITY_FILE
    if not file.is_file():
        return {}
    found: dict[str, dict[str, float]] = json.loads(file.read_text())
    return found


def in_words(quality: Mapping[str, Mapping[str, float]]) -> str:
    """For a job's history: every score."""
    return "; ".join(
        f"{name}: {', '.join(f'{what} {score:.2f}' for what, score in scores.items()) or 'nothing could be scored'}"
        for name, scores in quality.items()
    )


def remarks(quality: Mapping[str, Mapping[str, float]]) -> tuple[str, ...]:
    """For who reads the findings: a sentence for each input whose images are poor."""
    found = []
    for name, scores in quality.items():
        poor = [f"{what} {scores[what]:.2f}" for what in REMARKED if scores.get(what, 1.0) < POOR]
        if poor:
            found.append(f"The images ({name}) are of low quality: {', '.join(poor)} (1 is best).")
    return tuple(found)
