"""The model lung-ct: finds both lungs in a chest CT without weights, with their volume and density."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ai.card import read_card
from ai.contract import ModelCard, Predict
from ai.device import Device
from ai.errors import ModelRefused
from ai.findings import Findings, Mask, Segment
from ai.models.lung_ct.lungs import find_lungs
from ai.models.lung_ct.measures import (
    LEFT_LUNG,
    LOW_ATTENUATION,
    RIGHT_LUNG,
    in_words,
    low_attenuation,
    measure,
)
from ai.models.lung_ct.morphology import Blocks, block_means, block_steps, times
from ai.models.lung_ct.orientation import turn
from ai.models.lung_ct.outline import outlines
from ai.preparation.images import bounded_threads
from ai.volume import Inputs, Volume

BLOCK_MM = 2.0
"""Blocks of this size are small beside main bronchi and vessels, large beside noise; details follow in full size."""
AIR_HU = -900.0
SOFT_TISSUE_HU = (-200.0, 300.0)
LEAST_SOFT_TISSUE = 0.05
UNEQUAL = 0.6
"""One lung smaller than this share of the other is remarked on."""


class LungCt:
    """The model; its digest covers its card and every module beside it."""

    def __init__(self) -> None:
        here = Path(__file__).parent
        self.card: ModelCard = read_card(here / "card.toml", decided_by=here.glob("*.py"))

    @contextmanager
    def open(self, device: Device) -> Iterator[Predict]:
        """Bound SimpleITK's threads while the model is open; there is nothing else to load."""
        with bounded_threads(device.threads):
            yield predict


def predict(inputs: Inputs) -> Findings:
    """Both lungs, their low attenuation and measurements, on the grid of the reference input.

    Raises ModelRefused where the input is no chest CT with two whole lungs in it.
    """
    volume = inputs.reference_volume
    _check_values(volume)
    turned = turn(volume)
    steps = block_steps(turned.spacing_mm, BLOCK_MM)
    blocks = block_means(turned.hu, steps)
    _check_hounsfield(blocks)
    lungs = find_lungs(blocks, turned.left_mm(blocks.shape, steps), times(turned.spacing_mm, steps))
    right, left = (turned.restore(mask) for mask in outlines(turned.hu, lungs, steps, turned.spacing_mm))
    low = low_attenuation(volume.array, right | left)
    measurements = measure(volume.array, volume.voxel_ml, right, left, low)
    return Findings(
        segments=(
            Segment(RIGHT_LUNG, right, inputs.reference),
            Segment(LEFT_LUNG, left, inputs.reference),
            Segment(LOW_ATTENUATION, low, inputs.reference),
        ),
        measurements=measurements,
        summary=(*in_words(measurements), *_remarks(volume, lungs.cut_mm2, right, left)),
    )


def _check_values(volume: Volume) -> None:
    if volume.facts.modality not in (None, "CT"):
        raise ModelRefused(f"the images are {volume.facts.modality}, not CT")
    if not np.issubdtype(volume.array.dtype, np.number) or not np.all(np.isfinite(volume.array)):
        raise ModelRefused("the images hold values that are not numbers")


def _check_hounsfield(blocks: Blocks) -> None:
    low, high = SOFT_TISSUE_HU
    soft = float(np.mean((blocks > low) & (blocks < high)))
    if blocks.min() > AIR_HU or soft < LEAST_SOFT_TISSUE:
        raise ModelRefused(
            "the values are not Hounsfield units of a body: air and soft tissue are not where they must be"
        )


def _remarks(volume: Volume, cut_mm2: float, right: Mask, left: Mask) -> Iterator[str]:
    """What a reader of the numbers should know about this study."""
    if cut_mm2 > 0:
        yield f"The first or last slice cuts the lungs ({cut_mm2 / 100:.0f} cm²): their volumes are too small."
    share = np.count_nonzero(left) / np.count_nonzero(right)
    if not UNEQUAL < share < 1 / UNEQUAL:
        smaller = "left" if share < 1 else "right"
        yield f"The {smaller} lung is much the smaller: effusion, collapse or consolidation there would be left out."
    if volume.facts.contrast:
        yield "Contrast medium was given: lung density reads higher than without it, low attenuation lower."


MODEL = LungCt()
