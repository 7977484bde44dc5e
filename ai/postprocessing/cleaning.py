"""Steps that clean what was decided: pieces, holes, sizes, outlines, and labels that become one."""

from dataclasses import replace

import numpy as np

from ai.errors import ModelFailed, ModelRefused
from ai.findings import Mask
from ai.postprocessing.decided import Decided
from ai.preparation.images import Spacing, array_of, image_of, itk

Asked = tuple[int, ...] | None
"""Labels that a step is applied to; None means all."""


def largest_component(decided: Decided, *, labels: Asked, count: int) -> Decided:
    """Keep the largest pieces of each label."""

    def clean(region: Mask) -> Mask:
        pieces = itk.RelabelComponent(itk.ConnectedComponent(image_of(region)))
        found: Mask = array_of(itk.BinaryThreshold(pieces, 1, count)).astype(np.bool_)
        return found

    return decided.cleaned(labels, clean)


def minimum_size(decided: Decided, *, labels: Asked, least_ml: float) -> Decided:
    """Drop pieces that are smaller."""
    voxels = int(np.ceil(least_ml * 1000 / float(np.prod(_spacing(decided))) - 1e-9))

    def clean(region: Mask) -> Mask:
        pieces = itk.RelabelComponent(itk.ConnectedComponent(image_of(region)), max(1, voxels))
        return array_of(pieces) > 0

    return decided.cleaned(labels, clean)


def fill_holes(decided: Decided, *, labels: Asked, within: str) -> Decided:
    """Fill what a label encloses in the volume or in each slice."""

    def whole(region: Mask) -> Mask:
        return array_of(itk.BinaryFillhole(image_of(region))).astype(np.bool_)

    def each(region: Mask) -> Mask:
        return np.concatenate([whole(one[None]) if one.any() else one[None] for one in region])

    return decided.cleaned(labels, whole if within == "volume" else each)


def smooth(decided: Decided, *, labels: Asked, sigma_mm: float) -> Decided:
    """Blur each label's region and take it again from half on."""
    spacing = _spacing(decided)

    def clean(region: Mask) -> Mask:
        image = itk.Cast(image_of(region, spacing), itk.sitkFloat32)
        blurred = itk.DiscreteGaussian(image, sigma_mm**2, maximumKernelWidth=128, useImageSpacing=True)
        return array_of(blurred) >= 0.5

    return decided.cleaned(labels, clean)


def merge(decided: Decided, *, labels: tuple[int, ...], into: int) -> Decided:
    """Give several labels the name of one."""
    target = decided.layer(into)
    made, scores, merged = decided.labels.copy(), decided.scores, decided.merged.copy()
    for label in labels:
        layer = decided.layer(label)
        region = made[layer] == label
        if label == into or merged[label] != label:
            raise ModelFailed(f"a step of the card merges label {label} into {into}, but it has no region of its own")
        made[layer][region] = 0
        made[target][region] = into
        merged[merged == label] = into
        if layer != target:
            scores[target] = np.maximum(scores[target], scores[layer])
    return replace(decided, labels=made, scores=scores, merged=merged)


def _spacing(decided: Decided) -> Spacing:
    if decided.spacing_mm is None:
        raise ModelRefused("the images carry no calibration, so that sizes in mm and mL cannot be told")
    return decided.spacing_mm
