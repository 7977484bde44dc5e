"""The step that lays one input over another whose patient lay otherwise: found by ITK, applied as one affine."""

from dataclasses import replace
from typing import Any

import numpy as np

from ai.errors import ModelFailed
from ai.preparation.geometry import lowest
from ai.preparation.images import bounded_threads, itk
from ai.preparation.placed import Placed
from ai.preparation.sampling import resampled
from ai.volume import Affine

RIGID, AFFINE = KINDS = ("rigid", "affine")
BINS = 50
SHRINK, SMOOTH_MM = (4, 2, 1), (4.0, 2.0, 0.0)
"""Resolutions, coarse first (Mattes 2003)."""
SAMPLE_MM = 2.0
"""Both images are compared on voxels of about this size: finer ones cost time and gain nothing."""


def register(
    placed: Placed, *, to: Placed, kind: str, iterations: int, interpolation: str, value: float | None
) -> Placed:
    """Resample onto the grid of another input, by the rigid or affine motion that makes both most alike."""
    motion = find_motion(placed, to, kind, iterations)
    to_old: Affine = np.linalg.inv(placed.affine_lps) @ motion @ to.affine_lps
    array = resampled(placed.array, to_old, to.shape, interpolation, lowest(placed, value))
    moved = placed.moved(array, to_old)
    there = replace(
        moved.volume,
        affine_lps=to.affine_lps,
        spacing_mm=to.spacing_mm,
        frame_of_reference=to.volume.frame_of_reference,
    )
    return replace(moved, volume=there)


def find_motion(moving: Placed, fixed: Placed, kind: str, iterations: int) -> Affine:
    """4 x 4: maps a place (LPS, mm) in the fixed image to the same place of the body in the moving one."""
    target, image = _coarse(fixed), _coarse(moving)
    middle = itk.CenteredTransformInitializerFilter.GEOMETRY
    # Sums of several threads differ in their last digits from run to run: one thread gives one answer.
    with bounded_threads(1):
        try:
            start = itk.CenteredTransformInitializer(target, image, itk.Euler3DTransform(), middle)
            found = _improved(target, image, start, iterations)
            if kind == AFFINE:
                found = _improved(target, image, _as_affine(found), iterations)
        except RuntimeError as error:
            why = str(error).strip().splitlines()[-1]
            raise ModelFailed(f"the inputs could not be registered: {why}") from error
    return _matrix(found)


def _improved(target: Any, image: Any, start: Any, iterations: int) -> Any:
    method = itk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, iterations, 0.5, 1e-8)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(list(SHRINK))
    method.SetSmoothingSigmasPerLevel(list(SMOOTH_MM))
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInterpolator(itk.sitkLinear)
    method.SetInitialTransform(start, inPlace=False)
    return method.Execute(target, image)


def _as_affine(rigid: Any) -> Any:
    """The same motion, free to scale and shear."""
    found = itk.AffineTransform(3)
    matrix = _matrix(rigid)
    found.SetMatrix(matrix[:3, :3].ravel().tolist())
    found.SetTranslation(matrix[:3, 3].tolist())
    return found


def _coarse(placed: Placed) -> Any:
    """The image in its place in the patient, on voxels of about SAMPLE_MM."""
    image = itk.GetImageFromArray(np.ascontiguousarray(placed.values))
    spacing = placed.spacing_mm
    image.SetSpacing([float(one) for one in spacing[::-1]])
    image.SetOrigin(placed.affine_lps[:3, 3].tolist())
    image.SetDirection((placed.affine_lps[:3, :3] / np.array(spacing))[:, ::-1].ravel().tolist())
    return itk.BinShrink(image, [max(1, round(SAMPLE_MM / one)) for one in spacing[::-1]])


def _matrix(transform: Any) -> Affine:
    """Four places, moved, say what an affine is."""
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    made = np.eye(4)
    made[:3, 3] = origin
    for axis in range(3):
        unit = [0.0, 0.0, 0.0]
        unit[axis] = 1.0
        made[:3, axis] = np.array(transform.TransformPoint(unit)) - origin
    return made
