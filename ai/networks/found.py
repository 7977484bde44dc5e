"""Makes findings of what a network said: on the images' own grid, under the keys of the card."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ai.contract import ModelCard
from ai.errors import ModelFailed
from ai.findings import Classification, DerivedSeries, Detection, Findings, Map, Measurement, Shape
from ai.networks.declared import Finds, NetworkCard
from ai.postprocessing.finishing import finish, segments_of
from ai.preparation.images import Values
from ai.preparation.pipeline import Prepared
from ai.preparation.restoring import restore_probability

BOX_COLUMNS = 8
"""(slice, row, column) of two corners, score, number of the channel."""


def findings_of(said: Values, prepared: Prepared, card: ModelCard, network: NetworkCard) -> Findings:
    """said: float32 (channels, …), on the prepared grid. Raises ModelFailed for another shape."""
    grid = prepared.reference
    match network.finds:
        case Finds.SEGMENTS:
            return Findings(segments=segments_of(card, finish(prepared, said, card.finish)))
        case Finds.CLASSIFICATIONS | Finds.MEASUREMENTS:
            return findings_of_values(said, network)
        case Finds.MAPS:
            return Findings(maps=tuple(Map(key, one, grid) for key, one in _volumes(said, prepared, network)))
        case Finds.DERIVED:
            return Findings(
                derived=tuple(DerivedSeries(key, one, grid) for key, one in _volumes(said, prepared, network))
            )
        case Finds.DETECTIONS:
            return Findings(detections=tuple(_boxes(said, prepared, card, network)))


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


def findings_of_values(said: Values, network: NetworkCard) -> Findings:
    """Findings of a network that says one number per channel of the whole study."""
    pairs = list(_values(said, network))
    if network.finds is Finds.CLASSIFICATIONS:
        return Findings(classifications=tuple(Classification(key, value) for key, value in pairs))
    return Findings(measurements=tuple(Measurement(key, value) for key, value in pairs))


def _named(said: Values, network: NetworkCard) -> Iterator[tuple[str, Values]]:
    if len(said) != len(network.channels):
        raise ModelFailed(f"the network gave {len(said)} channels, and the card names {len(network.channels)}")
    return ((key, one) for key, one in zip(network.channels, said, strict=True) if key)


def _values(said: Values, network: NetworkCard) -> Iterator[tuple[str, float]]:
    if said.ndim != 1:
        raise ModelFailed(f"the network gave an array of shape {said.shape}, where one number per channel was expected")
    return ((key, float(one)) for key, one in _named(said, network))


def _volumes(said: Values, prepared: Prepared, network: NetworkCard) -> Iterator[tuple[str, Values]]:
    return ((key, restore_probability(prepared, one)) for key, one in _named(said, network))


def _boxes(said: Values, prepared: Prepared, card: ModelCard, network: NetworkCard) -> Iterator[Detection]:
    """Boxes of the prepared grid, as boxes along the axes of the source grid that hold them."""
    if said.ndim != 2 or said.shape[1] != BOX_COLUMNS:
        raise ModelFailed(f"the network gave {said.shape}; boxes are rows of two corners, a score and a channel")
    to_source = prepared.placed[prepared.reference].to_source
    for row in said.astype(np.float64):
        score, channel = float(row[6]), int(row[7])
        if not 0 <= channel < len(network.channels):
            raise ModelFailed(f"the network found something of channel {channel}, which the card does not name")
        key = network.channels[channel]
        threshold = card.detection(key).threshold if key else None
        if not key or (threshold is not None and score < threshold):
            continue
        corners = np.array([[z, y, x, 1.0] for z in row[[0, 3]] for y in row[[1, 4]] for x in row[[2, 5]]])
        there = (corners @ to_source.T)[:, :3]
        yield Detection(key, Shape.BOX, np.stack([there.min(axis=0), there.max(axis=0)]), prepared.reference, score)
