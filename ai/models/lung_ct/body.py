"""Finds the inside of the body: everything a slice across the body encloses, without table and blankets."""

import numpy as np

from ai.errors import ModelRefused
from ai.findings import Mask
from ai.models.lung_ct.morphology import Blocks, Spacing, at_least_a_voxel, components, filled_sections, grown, shrunk

TISSUE_HU = -250.0
"""Above it: fat, muscle, bone; the shell of a table and blankets, averaged over a block, mostly fall below."""
THIN_MM = 3.0
"""What is thinner than twice this (table, tubes, skin folds on it) is cut from the body where they touch."""
SMALLEST_BODY_ML = 3000.0


def body_inside(hu: Blocks, spacing_mm: Spacing) -> Mask:
    """The body with all it encloses in slices across it.

    hu: (head, back, left). Raises ModelRefused where there is no body.
    """
    tissue = hu > TISSUE_HU
    thin_mm = at_least_a_voxel(THIN_MM, spacing_mm)
    labels, counts = components(shrunk(tissue, thin_mm, spacing_mm))
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    if len(counts) < 2 or counts[1] * voxel_ml < SMALLEST_BODY_ML / 3:
        raise ModelRefused("no body was found: the images hold too little soft tissue for a chest")
    # Grown back a little farther than it was shrunk, so that thin chest walls return; only tissue is taken.
    body = grown(labels == 1, 3 * thin_mm, spacing_mm) & tissue
    inside = filled_sections(body)
    if inside.sum() * voxel_ml < SMALLEST_BODY_ML:
        raise ModelRefused("no body was found: the images hold too little soft tissue for a chest")
    return inside
