"""Refuses inputs that no model can take, before anything is computed: of another modality, empty, or not numbers."""

import numpy as np

from ai.contract import ModelCard
from ai.errors import ModelRefused
from ai.volume import Inputs

THINNED = (slice(None, None, 4), slice(None, None, 8), slice(None, None, 8))
"""Where these voxels differ, not all are the same; the rest need not be looked at."""


def refuse_unsuitable(inputs: Inputs, card: ModelCard) -> None:
    """Raises ModelRefused, with the input's name and what is wrong with it."""
    for one in card.inputs:
        volume = inputs.volumes.get(one.name)
        if volume is None:
            raise ModelRefused(f"the input {one.name} is missing")
        modality, array = volume.facts.modality, volume.array
        if modality is not None and modality not in one.modalities:
            raise ModelRefused(f"input {one.name}: the images are {modality}, not {' or '.join(one.modalities)}")
        if not np.issubdtype(array.dtype, np.number):
            raise ModelRefused(f"input {one.name}: the images hold no numbers")
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise ModelRefused(f"input {one.name}: the images hold values that are not numbers")
        first = array.flat[0]
        if (array[THINNED] == first).all() and (array == first).all():
            raise ModelRefused(f"input {one.name}: the images are the same everywhere")
