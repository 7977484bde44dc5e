"""Refuses several inputs whose places in the patient are to be compared, and cannot be."""

from collections.abc import Mapping
from itertools import product

import numpy as np

from ai.errors import ModelRefused
from ai.volume import Volume

APART = 0.5
"""Of the smallest voxel edge: channels of one image that lie further apart than this show different places."""


def refuse_other_space(one: Volume, other: Volume) -> None:
    """Raises ModelRefused where both lie in frames of reference that are known, and not the same (PS3.3 C.7.4.1)."""
    known = {space for space in (one.frame_of_reference, other.frame_of_reference) if space is not None}
    if len(known) > 1:
        raise ModelRefused(
            "the inputs lie in different frames of reference, so that a place in one is not known in the other: "
            "the model's card must `register` them, or the route must choose images of one frame of reference"
        )


def refuse_other_places(volumes: Mapping[str, Volume]) -> None:
    """Of inputs of one shape that become channels of one image. Raises ModelRefused where two of them lie apart."""
    placed = [(name, one, one.affine_lps) for name, one in volumes.items() if one.affine_lps is not None]
    for name, volume, affine in placed[1:]:
        first_name, first, there = placed[0]
        refuse_other_space(first, volume)
        corners = np.array([[*corner, 1.0] for corner in product(*((0, size - 1) for size in first.array.shape))])
        apart_mm = float(np.linalg.norm((corners @ (affine - there).T)[:, :3], axis=1).max())
        if apart_mm > APART * float(np.linalg.norm(there[:3, :3], axis=0).min()):
            raise ModelRefused(
                f"the inputs {first_name} and {name} lie up to {apart_mm:.1f} mm apart in the patient, and the model "
                "takes them as channels of one image: its card must `match` one to the other"
            )
