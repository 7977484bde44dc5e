"""Which routes take a study, with which stacks, and why not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from node.core.study import InstanceFacts, InstanceKind, Stack

Value = None | bool | int | float | str | list[str]
Names = Mapping[str, Mapping[str, Value]]


class Verdict(str, Enum):
    """What a route says to a study."""

    TAKEN = "taken"
    NOT_TAKEN = "not-taken"
    UNDECIDED = "undecided"
    """The condition needs an attribute that is absent: the study is listed, nothing runs."""


@dataclass(frozen=True)
class Answer:
    """What a compiled condition says: true, false, or None with the reason why it cannot tell."""

    holds: bool | None
    why: str = ""


@dataclass(frozen=True)
class Rank:
    """What a compiled preference says of a stack: the higher the better; None where it cannot tell."""

    value: float | None


@dataclass(frozen=True)
class InputRule:
    """Which stack one input of the model gets."""

    name: str
    modalities: tuple[str, ...]
    where: Callable[[Names], Answer]
    prefer: tuple[Callable[[Names], Rank], ...]


@dataclass(frozen=True)
class RouteRule:
    """A route as the decision needs it: conditions compiled, peers resolved."""

    name: str
    enabled: bool
    sources: tuple[str, ...]
    to_ae: tuple[str, ...]
    when: Callable[[Names], Answer]
    inputs: tuple[InputRule, ...]


@dataclass(frozen=True)
class StackNote:
    """What was thought of one stack for one input."""

    stack: str
    input: str
    answer: Answer
    ranks: tuple[Rank, ...]
    chosen: bool


@dataclass(frozen=True)
class Decision:
    """A route's answer to a study, with the whole reasoning. `chosen` is empty unless the route takes it."""

    route: str
    verdict: Verdict
    why: str
    chosen: Mapping[str, Stack]
    notes: tuple[StackNote, ...] = ()


@dataclass(frozen=True)
class Arrival:
    """How the study came. peer: the name of the sender in peers.toml, None for an unknown caller."""

    peer: str | None
    calling_ae: str
    called_ae: str


def decide(rule: RouteRule, arrival: Arrival, study: Mapping[str, Value], stacks: Sequence[Stack]) -> Decision:
    """Whether the route takes the study, and which stack each of its inputs gets (design section 1, Routing)."""
    none: Mapping[str, Stack] = {}
    if not rule.enabled:
        return Decision(rule.name, Verdict.NOT_TAKEN, "the route is disabled", none)
    if rule.sources and arrival.peer not in rule.sources:
        came = f"it came from {arrival.peer or arrival.calling_ae}, the route takes from {', '.join(rule.sources)}"
        return Decision(rule.name, Verdict.NOT_TAKEN, came, none)
    if rule.to_ae and arrival.called_ae not in rule.to_ae:
        sent = f"it was sent to {arrival.called_ae}, the route listens to {', '.join(rule.to_ae)}"
        return Decision(rule.name, Verdict.NOT_TAKEN, sent, none)
    answer = rule.when({"study": study})
    if answer.holds is None:
        return Decision(rule.name, Verdict.UNDECIDED, answer.why, none)
    if not answer.holds:
        return Decision(rule.name, Verdict.NOT_TAKEN, "its condition is false", none)
    return _choose(rule, study, stacks)


def _choose(rule: RouteRule, study: Mapping[str, Value], stacks: Sequence[Stack]) -> Decision:
    chosen: dict[str, Stack] = {}
    notes: list[StackNote] = []
    for one in rule.inputs:
        looked_at = [(stack, _look(one, study, stack)) for stack in stacks]
        fitting = [(stack, note) for stack, note in looked_at if note.answer.holds]
        best = max(fitting, key=lambda pair: _order(*pair), default=None)
        notes += [_marked(note, chosen=best is not None and note is best[1]) for _, note in looked_at]
        if best is not None:
            chosen[one.name] = best[0]
            continue
        undecided = [note for _, note in looked_at if note.answer.holds is None]
        if undecided:
            why = f"input {one.name}: {undecided[0].answer.why}"
            return Decision(rule.name, Verdict.UNDECIDED, why, {}, tuple(notes))
        why = f"no stack suits input {one.name} ({len(stacks)} looked at)"
        return Decision(rule.name, Verdict.NOT_TAKEN, why, {}, tuple(notes))
    names = ", ".join(f"{name} = {stack.name}" for name, stack in chosen.items())
    return Decision(rule.name, Verdict.TAKEN, names, chosen, tuple(notes))


def _look(rule: InputRule, study: Mapping[str, Value], stack: Stack) -> StackNote:
    if stack.modality not in rule.modalities:
        answer = Answer(False, f"its modality is {stack.modality or 'absent'}, not {' or '.join(rule.modalities)}")
        return StackNote(stack.name, rule.name, answer, (), False)
    names = {"study": study, "stack": stack_names(stack)}
    return StackNote(stack.name, rule.name, rule.where(names), tuple(rank(names) for rank in rule.prefer), False)


def _order(stack: Stack, note: StackNote) -> tuple[tuple[float, ...], int, str]:
    """Preferences in their order, then the most slices, then the name: the same study gives the same choice."""
    ranks = tuple(float("-inf") if rank.value is None else rank.value for rank in note.ranks)
    return ranks, stack.slice_count, stack.name


def _marked(note: StackNote, *, chosen: bool) -> StackNote:
    return StackNote(note.stack, note.input, note.answer, note.ranks, chosen)


def study_names(instances: Sequence[InstanceFacts], stacks: Sequence[Stack], arrival: Arrival) -> dict[str, Value]:
    """What a condition sees as `study`; attributes that the source lacks are left out, so that they are undecided."""
    images = [one for one in instances if one.kind is InstanceKind.IMAGE]
    first = min(images or instances, key=lambda one: (one.series_number or 0, one.series_uid, one.instance_number or 0))
    found: dict[str, Value] = {
        "modalities": sorted({one.modality for one in images if one.modality}),
        "body_parts": sorted({one.body_part for one in images if one.body_part}),
        "description": first.study_description,
        "patient_age_y": first.patient_age_y,
        "patient_sex": first.patient_sex,
        "date": first.study_date,
        "accession": first.accession_number,
        "calling_ae": arrival.calling_ae,
        "called_ae": arrival.called_ae,
        "stack_count": len(stacks),
    }
    return {name: value for name, value in found.items() if value is not None}


def stack_names(stack: Stack) -> dict[str, Value]:
    """What a condition sees as `stack`; attributes that the source lacks are left out."""
    found: dict[str, Value] = {
        "modality": stack.modality,
        "description": stack.description,
        "body_part": stack.body_part,
        "image_type": list(stack.image_type),
        "orientation": None if stack.orientation is None else stack.orientation.value,
        "slice_count": stack.slice_count,
        "slice_thickness_mm": stack.slice_thickness_mm,
        "spacing_mm": stack.spacing_mm,
        "coverage_mm": stack.coverage_mm,
        "pixel_spacing_mm": None if stack.pixel_spacing_mm is None else stack.pixel_spacing_mm[1],
        "rows": stack.rows,
        "columns": stack.columns,
        "kernel": stack.kernel,
        "contrast": stack.contrast,
        "series_number": stack.series_number,
        "laterality": stack.laterality,
        "view": stack.view,
    }
    return {name: value for name, value in found.items() if value is not None}
