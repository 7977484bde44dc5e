"""Do findings fit the model's card and the grids of its inputs?"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ai.contract import Model, ModelCard
from ai.errors import CardInvalid, ModelFailed
from ai.findings import Classification, DerivedSeries, Findings, Map, Segment
from ai.volume import Inputs

MOST_DETECTIONS = 1000
"""No radiologist goes through more, and a report of them takes half a minute."""
HALF_A_PIXEL = np.array([0.0, -0.5, -0.5])
"""So far within a slice a place may lie before the centre of the first pixel, or behind that of the last."""


def check_findings(findings: Findings, model: Model, inputs: Inputs) -> None:
    """Compare findings with the card and the grid. Raises ModelFailed: a model's slip must not become a result."""
    card = model.card
    if not isinstance(findings, Findings):
        raise ModelFailed(f"{card.name} returned a {type(findings).__name__} where findings are expected")
    try:
        _check_declared(findings, card)
    except CardInvalid as error:
        raise ModelFailed(str(error)) from error
    if len(findings.detections) > MOST_DETECTIONS:
        raise ModelFailed(
            f"{card.name} returned {len(findings.detections)} detections, more than {MOST_DETECTIONS}: "
            "raise the threshold from which it reports them"
        )
    for what, key, on_grid, shape in _placed(findings):
        grid = inputs.volumes.get(on_grid)
        if grid is None or grid.array.shape != shape:
            raise ModelFailed(f"{card.name}: {what} {key!r} does not lie on the grid of input {on_grid!r}")
    for detection in findings.detections:
        grid = inputs.volumes.get(detection.grid)
        if grid is None:
            raise ModelFailed(f"{card.name}: detection {detection.key!r} lies on {detection.grid!r}, which is no input")
        places = np.column_stack([np.round(detection.points[:, 0]), detection.points[:, 1:]])
        if (places < HALF_A_PIXEL).any() or (places > np.array(grid.array.shape) - 1 - HALF_A_PIXEL).any():
            size = " x ".join(map(str, grid.array.shape))
            raise ModelFailed(
                f"{card.name}: detection {detection.key!r} leaves input {detection.grid!r}, which has {size} voxels"
            )


def _check_declared(findings: Findings, card: ModelCard) -> None:
    """Raises CardInvalid, or ModelFailed where one finding says what another denies."""
    for measurement in findings.measurements:
        card.measurement(measurement.key)
        for key in measurement.segments:
            card.segment(key)
    for one in findings.detections:
        card.detection(one.key)
    once: tuple[tuple[Callable[[str], object], Sequence[Segment | Classification | Map | DerivedSeries]], ...] = (
        (card.segment, findings.segments),
        (card.classification, findings.classifications),
        (card.map, findings.maps),
        (card.derived_series, findings.derived),
    )
    for declared, found in once:
        keys = [one.key for one in found]
        for key in keys:
            declared(key)
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            kind = type(found[0]).__name__.lower()
            raise ModelFailed(f"{card.name} returned {kind} {twice[0]!r} {keys.count(twice[0])} times: give each once")


def _placed(findings: Findings) -> Iterator[tuple[str, str, str, tuple[int, ...]]]:
    """Everything that fills a grid: what it is, its key, the grid it names, its shape."""
    for segment in findings.segments:
        yield "segment", segment.key, segment.grid, segment.mask.shape
    for one in findings.maps:
        yield "map", one.key, one.grid, one.values.shape
    for series in findings.derived:
        yield "derived series", series.key, series.grid, series.values.shape
