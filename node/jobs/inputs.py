"""Reads what a model gets of a study: each input's stack gated, decoded and kept as files for the model's process."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from ai.contract import InputCard, ModelCard
from ai.exchange import save_inputs
from ai.quality import Quality, quality_of
from ai.volume import Inputs, Volume
from node.core.identity import InstanceUID, StudyUID
from node.core.study import SourceGrid, Stack
from node.errors import ReasonCode, Refused
from node.jobs import gate
from node.jobs.quality import save_quality
from node.jobs.reading import read_volume

GRID: TypeAdapter[SourceGrid] = TypeAdapter(SourceGrid)
GRID_FILE = "grid.json"


def read_inputs(
    stacks: Mapping[str, Stack],
    siblings: Mapping[str, list[Stack]],
    card: ModelCard,
    paths: Mapping[InstanceUID, Path],
    study_uid: StudyUID,
) -> tuple[Inputs, SourceGrid]:
    """Gate and read every input of a model; the grid is the reference's. Raises node.errors.Refused."""
    cards: dict[str, InputCard] = {one.name: one for one in card.inputs}
    volumes: dict[str, Volume] = {}
    grids: dict[str, SourceGrid] = {}
    _check_apart(stacks)
    for name, stack in stacks.items():
        gate.check(stack, cards[name], siblings[name])
    for name, stack in stacks.items():
        volumes[name], grids[name] = read_volume(stack, paths, study_uid)
    others = {name: one for name, one in stacks.items() if name != card.reference}
    grid = replace(
        grids[card.reference],
        left_out_note=_left_out(stacks.values(), siblings[card.reference]),
        further_note=_further(others),
        further=tuple(instance for one in others.values() for instance in one.instances),
    )
    return Inputs(volumes=volumes, reference=card.reference), grid


def _check_apart(stacks: Mapping[str, Stack]) -> None:
    """A model that asks for two things and is shown one of them twice answers all the same."""
    taken: dict[str, str] = {}
    for name, stack in stacks.items():
        other = taken.setdefault(stack.name, name)
        if other != name:
            raise Refused(
                ReasonCode.OUT_OF_DECLARED_LIMITS,
                f"the inputs {other} and {name} would be the same images: "
                f"the route must tell them apart ([route.input.{name}] where)",
            )


def _left_out(chosen: Iterable[Stack], siblings: Iterable[Stack]) -> str | None:
    """Whoever reads "none was found" must know of images in which nothing was looked for; localizers never count."""
    used = {one.name for one in chosen}
    series = [one for one in siblings if not gate.is_localizer(one)]
    analysed = sum(one.slice_count for one in series if one.name in used)
    total = sum(one.slice_count for one in series)
    if analysed == total:
        return None
    return (
        f"{analysed} of the {total} images of the series were analysed: "
        "the others differ from them in orientation, size, kind or phase."
    )


def _further(others: Mapping[str, Stack]) -> str | None:
    """Results refer to the series that they lie on; what they were made from besides is for a reader to know."""
    named = [
        f"series {one.series_number or 'without number'} ({one.modality}, {one.slice_count} images) as {name}"
        for name, one in others.items()
    ]
    return f"Read besides: {'; '.join(named)}." if named else None


def judged(inputs: Inputs, card: ModelCard) -> dict[str, Quality]:
    """The quality of each input. Raises node.errors.Refused where one is below what the card asks for."""
    found = {name: quality_of(volume) for name, volume in inputs.volumes.items()}
    for one in card.inputs:
        gate.check_quality(found[one.name], one)
    return found


def prepare_inputs(
    stacks: Mapping[str, Stack],
    siblings: Mapping[str, list[Stack]],
    card: ModelCard,
    paths: Mapping[InstanceUID, Path],
    study_uid: StudyUID,
    folder: Path,
) -> None:
    """Write a model's inputs and their grid into an empty folder. Raises node.errors.Refused."""
    inputs, grid = read_inputs(stacks, siblings, card, paths, study_uid)
    save_quality(judged(inputs, card), folder)
    save_inputs(inputs, folder)
    (folder / GRID_FILE).write_bytes(GRID.dump_json(grid))
