"""Makes findings of what a network said: on the images' own grid, under the keys of the card."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from itertools import chain

import numpy as np

from ai.contract import ModelCard
from ai.errors import ModelFailed
from ai.findings import Classification, DerivedSeries, Findings, Map, Measurement
from ai.networks.declared import NetworkCard
from ai.networks.detected import apart, detections_of, peaks_of, rows_of
from ai.networks.heads import Activation, Finds, HeadCard
from ai.networks.parts import Part
from ai.networks.running import SAID_OF_EACH_SLICE
from ai.postprocessing.finishing import check_channels, finish, segments_of
from ai.preparation.images import Values
from ai.preparation.pipeline import Prepared
from ai.preparation.restoring import restore_image, restore_probability


def findings_of(said: Values, prepared: Prepared, card: ModelCard, head: HeadCard) -> Findings:
    """said: float32 (channels, …), on the prepared grid. Raises ModelFailed for another shape."""
    match head.finds:
        case Finds.SEGMENTS:
            check_channels(card, said)
            return Findings(segments=segments_of(card, finish(prepared, said, card.finish)))
        case Finds.CLASSIFICATIONS | Finds.MEASUREMENTS:
            return findings_of_values(said, head)
        case Finds.MAPS | Finds.DERIVED:
            restore = restore_image if head.finds is Finds.DERIVED else restore_probability
            there = ((key, restore(prepared, one)) for key, one in named(said, head))
            return findings_of_volumes(there, prepared.reference, head)
    _check_channels(said, head)  # peaks: rows of detections are no channels
    return Findings(detections=tuple(peaks_of(said, prepared, card, head)))


def findings_of_outputs(parts: Sequence[Part], prepared: Prepared, card: ModelCard, network: NetworkCard) -> Findings:
    """Of a network with several outputs, or of detections. parts: of the image, in all of which it was asked.

    Each head has one output, in their order; that of detections takes those that are left over. Raises ModelFailed.
    """
    count = len(parts[0].said)
    found, first, spare = Findings(), 0, count - len(network.heads)
    if spare < 0:
        raise ModelFailed(f"the network gave {count} outputs, and the card names {len(network.heads)}")
    for head in network.heads:
        last = first + 1 + (spare if head.finds is Finds.DETECTIONS else 0)
        found = _both(found, _of_head([Part(one.first, one.said[first:last]) for one in parts], prepared, card, head))
        first = last
    return found


def _of_head(parts: list[Part], prepared: Prepared, card: ModelCard, head: HeadCard) -> Findings:
    if head.finds is Finds.DETECTIONS:
        each = (detections_of(rows_of(one.said, head), prepared, card, head, one.first) for one in parts)
        return Findings(detections=apart(chain.from_iterable(each), head.most_overlap))
    outputs = [one.said[0] for one in parts]
    if any(one.ndim < 2 or len(one) != 1 for one in outputs):
        raise ModelFailed(f"the network gave an output of shape {outputs[0].shape} for one image: no batch of one")
    if head.is_of_places:
        whole = outputs[0][0] if outputs[0].ndim == 5 else np.stack([one[0] for one in outputs], axis=1)
    elif len(outputs) > 1:
        raise ModelFailed(SAID_OF_EACH_SLICE)
    else:
        whole = outputs[0][0]
    return findings_of(activated(whole, head), prepared, card, head)


def activated(said: Values, head: HeadCard) -> Values:
    """said: (channels, …)."""
    from scipy.special import expit, softmax  # loaded late: cards of networks are read where none is run

    match head.activation:
        case Activation.SOFTMAX:
            return np.asarray(softmax(said, axis=0), np.float32)
        case Activation.SIGMOID:
            return np.asarray(expit(said), np.float32)
        case Activation.NONE:
            return said


def _both(one: Findings, other: Findings) -> Findings:
    return Findings(**{field.name: getattr(one, field.name) + getattr(other, field.name) for field in fields(Findings)})


def with_disagreement(findings: Findings, spread: Values | None, prepared: Prepared, network: NetworkCard) -> Findings:
    """The findings with how far the answers to mirrored images differ, where the card names it."""
    if spread is None or not network.disagreement:
        return findings
    if network.finds is Finds.SEGMENTS:
        there = Map(network.disagreement, restore_probability(prepared, spread), prepared.reference)
        return replace(findings, maps=(*findings.maps, there))
    return replace(findings, measurements=(*findings.measurements, Measurement(network.disagreement, float(spread))))


def with_explanation(
    findings: Findings, maps: Sequence[tuple[str, Values]], prepared: Prepared, card: ModelCard, network: NetworkCard
) -> Findings:
    """The findings with the maps (on the prepared grid) that explain them, and words that say of what each one is."""
    if network.explanation is None:
        return findings
    there = tuple(Map(key, restore_probability(prepared, one), prepared.reference) for key, one in maps)
    said = {one.key: one.probability for one in findings.classifications}
    words = tuple(_of_what(card, key, name, said[key]) for key, name in network.explanation.maps)
    return replace(findings, maps=(*findings.maps, *there), summary=(*findings.summary, *words))


def _of_what(card: ModelCard, key: str, name: str, probability: float) -> str:
    asserted = card.classification(key)
    answer = f"{asserted.label} {'present' if probability >= asserted.threshold else 'absent'}"
    title = card.map(name).label
    return f"{title}: where the answer {answer} (probability {probability:.3f}) comes from; it outlines no finding."


def findings_of_values(said: Values, head: HeadCard) -> Findings:
    """Findings of an output that says one number per channel of the whole study."""
    if said.ndim != 1:
        raise ModelFailed(f"the network gave an array of shape {said.shape}, where one number per channel was expected")
    pairs = [(key, float(one)) for key, one in named(said, head)]
    if head.finds is Finds.MEASUREMENTS:
        return Findings(measurements=tuple(Measurement(key, value) for key, value in pairs))
    for key, value in pairs:
        if not 0 <= value <= 1:
            raise ModelFailed(
                f"the network gave {value:g} for {key!r}, which is no probability: set the activation that makes one"
            )
    return Findings(classifications=tuple(Classification(key, value) for key, value in pairs))


def findings_of_volumes(volumes: Iterable[tuple[str, Values]], grid: str, head: HeadCard) -> Findings:
    """Maps or derived series. volumes: their keys, and values on the source grid of an input."""
    if head.finds is Finds.MAPS:
        return Findings(maps=tuple(Map(key, one, grid) for key, one in volumes))
    return Findings(derived=tuple(DerivedSeries(key, one, grid) for key, one in volumes))


def named(said: Values, head: HeadCard) -> Iterator[tuple[str, Values]]:
    """Channels with their keys, but those that are not used. Raises ModelFailed where there are more or fewer."""
    _check_channels(said, head)
    return ((key, one) for key, one in zip(head.channels, said, strict=True) if key)


def _check_channels(said: Values, head: HeadCard) -> None:
    if len(said) != len(head.channels):
        raise ModelFailed(f"the network gave {len(said)} channels, and the card names {len(head.channels)}")
