"""Steps that filter: each value with its neighbours; where a filter looks beyond the image, its edge is repeated."""

import itertools
from typing import Any

import numpy as np

from ai.errors import ModelRefused
from ai.preparation.images import Spacing, Values, along, array_of, filtered, image_of, itk
from ai.preparation.placed import Placed

Radius = tuple[int, int, int]
KERNEL_VOXELS = 256
KERNEL_ERROR = 1e-3
"""A Gaussian's kernel is cut where less than this share of it is left."""


def mean(values: Values, *, radius: Radius) -> Values:
    """The mean of a box around each voxel, along one axis after the other: ITK's takes as long as the box is large."""
    from scipy import ndimage  # loaded late, as SimpleITK is

    box = [2 * one + 1 for one in radius]
    found = ndimage.uniform_filter(values, box, output=np.float64, mode="nearest")  # type: ignore[attr-defined]
    return np.asarray(found, np.float32)


def median(values: Values, *, radius: Radius) -> Values:
    """The median of a box around each voxel."""
    return filtered(values, None, lambda image: itk.Median(image, along(radius, image)))


def minimum(values: Values, *, radius: Radius) -> Values:
    """The smallest value of a box around each voxel (erosion)."""
    return filtered(values, None, lambda image: itk.GrayscaleErode(image, along(radius, image), itk.sitkBox))


def maximum(values: Values, *, radius: Radius) -> Values:
    """The largest value of a box around each voxel (dilation)."""
    return filtered(values, None, lambda image: itk.GrayscaleDilate(image, along(radius, image), itk.sitkBox))


def opening(values: Values, *, radius: Radius) -> Values:
    """The largest of the smallest values: what is bright and smaller than the box goes."""
    return maximum(minimum(values, radius=radius), radius=radius)


def closing(values: Values, *, radius: Radius) -> Values:
    """The smallest of the largest values: what is dark and smaller than the box goes."""
    return minimum(maximum(values, radius=radius), radius=radius)


def gaussian(values: Values, spacing_mm: Spacing, *, sigma_mm: float) -> Values:
    """Convolve with a Gaussian (its discrete form, Lindeberg 1990)."""
    return filtered(values, spacing_mm, lambda image: _blurred(image, sigma_mm))


def _blurred(image: Any, sigma_mm: float) -> Any:
    return itk.DiscreteGaussian(image, sigma_mm**2, KERNEL_VOXELS, KERNEL_ERROR, True)


def sharpen(values: Values, spacing_mm: Spacing, *, amount: float, sigma_mm: float) -> Values:
    """Add what a Gaussian takes away (unsharp mask)."""
    return values + np.float32(amount) * (values - gaussian(values, spacing_mm, sigma_mm=sigma_mm))


def bilateral(values: Values, spacing_mm: Spacing, *, sigma_mm: float, sigma_value: float) -> Values:
    """A Gaussian of distance times one of difference (Tomasi and Manduchi 1998)."""
    return filtered(values, spacing_mm, lambda image: itk.Bilateral(image, sigma_mm, sigma_value))


def diffusion(values: Values, spacing_mm: Spacing, *, iterations: int, conductance: float) -> Values:
    """Even out what is flat and leave edges (Perona and Malik 1990), with the longest stable time step."""

    def call(image: Any) -> Any:
        step = min(image.GetSpacing()) / 2 ** (image.GetDimension() + 1)
        return itk.GradientAnisotropicDiffusion(image, step, conductance, 1, iterations)

    return filtered(values, spacing_mm, call)


def non_local_means(values: Values, *, patch_radius: Radius, search_radius: Radius, strength: float) -> Values:
    """The mean of the search window, weighted by how alike the patches are (Buades, Coll and Morel 2005)."""
    reach = tuple(min(one, size - 1) for one, size in zip(search_radius, values.shape, strict=True))
    wide = np.pad(values, [(one, one) for one in reach], mode="edge")
    total, weights = np.zeros_like(values), np.zeros_like(values)
    for shift in itertools.product(*(range(2 * one + 1) for one in reach)):
        other = wide[tuple(slice(start, start + size) for start, size in zip(shift, values.shape, strict=True))]
        weight = np.exp(mean((values - other) ** 2, radius=patch_radius) * np.float32(-1 / strength**2))
        total += weight * other
        weights += weight
    smoothed: Values = total / weights
    return smoothed


def low_pass(values: Values, spacing_mm: Spacing, *, shortest_mm: float, order: int) -> Values:
    """Keep what is coarser than a wavelength (Butterworth)."""
    return _passed(values, spacing_mm, None, shortest_mm, order)


def high_pass(values: Values, spacing_mm: Spacing, *, longest_mm: float, order: int) -> Values:
    """Keep what is finer than a wavelength (Butterworth); the mean goes."""
    return _passed(values, spacing_mm, longest_mm, None, order)


def band_pass(values: Values, spacing_mm: Spacing, *, shortest_mm: float, longest_mm: float, order: int) -> Values:
    """Keep what lies between two wavelengths (Butterworth)."""
    return _passed(values, spacing_mm, longest_mm, shortest_mm, order)


def _passed(
    values: Values, spacing_mm: Spacing, longest_mm: float | None, shortest_mm: float | None, order: int
) -> Values:
    """In the Fourier domain, on the image mirrored at its ends, so that opposite ends do not meet."""
    reach = longest_mm or shortest_mm or 0.0
    margins = [
        min(size, int(np.ceil(reach / spacing))) if size > 1 else 0
        for size, spacing in zip(values.shape, spacing_mm, strict=True)
    ]
    wide = np.pad(values, [(one, one) for one in margins], mode="symmetric")
    axes = [np.fft.fftfreq(size, spacing) for size, spacing in zip(wide.shape[:2], spacing_mm, strict=False)]
    axes.append(np.fft.rfftfreq(wide.shape[2], spacing_mm[2]))
    frequency = np.sqrt(sum(one**2 for one in np.ix_(*axes)))
    response = np.ones_like(frequency)
    if shortest_mm is not None:
        response /= 1 + (frequency * shortest_mm) ** (2 * order)
    if longest_mm is not None:
        raised = (frequency * longest_mm) ** (2 * order)
        response *= raised / (1 + raised)
    passed = np.fft.irfftn(np.fft.rfftn(wide) * response, wide.shape, axes=(0, 1, 2))
    inner = tuple(slice(one, one + size) for one, size in zip(margins, values.shape, strict=True))
    return passed[inner].astype(np.float32)


def roberts(placed: Placed) -> Placed:
    """Differences across the corners of each slice's voxels; they lie between voxels, and so does the new grid."""
    if min(placed.shape[1:]) < 2:
        raise ModelRefused("the images are one voxel wide: they have no edges")
    values = placed.values
    falling = values[:, :-1, :-1] - values[:, 1:, 1:]
    rising = values[:, 1:, :-1] - values[:, :-1, 1:]
    to_old = np.eye(4)
    to_old[1:3, 3] = 0.5
    return placed.moved(np.sqrt(falling**2 + rising**2), to_old)


def sobel(values: Values, spacing_mm: Spacing) -> Values:
    """Size of the gradient, per mm: central differences, smoothed across."""
    total = np.zeros_like(values)
    for axis in range(3):
        part = values
        for across in range(3):
            before, here, after = _neighbours(part, across)
            if across == axis:
                part = (after - before) / np.float32(2 * spacing_mm[axis])
            else:
                part = (before + 2 * here + after) / np.float32(4)
        total += part**2
    return np.sqrt(total)


def _neighbours(values: Values, axis: int) -> tuple[Values, Values, Values]:
    size = values.shape[axis]
    index = np.arange(size)
    before: Values = np.take(values, np.maximum(index - 1, 0), axis=axis)
    after: Values = np.take(values, np.minimum(index + 1, size - 1), axis=axis)
    return before, values, after


def canny(values: Values, spacing_mm: Spacing, *, sigma_mm: float, low: float, high: float) -> Values:
    """1 on edges, 0 elsewhere (Canny 1986)."""

    def call(image: Any) -> Any:
        variance = [sigma_mm**2] * image.GetDimension()
        return itk.CannyEdgeDetection(image, low, high, variance, [0.01] * image.GetDimension())

    return filtered(values, spacing_mm, call)


def laplacian_of_gaussian(values: Values, spacing_mm: Spacing, *, sigma_mm: float) -> Values:
    """The Laplacian, per mm², of the values convolved with a Gaussian."""
    return filtered(values, spacing_mm, lambda image: itk.Laplacian(_blurred(image, sigma_mm), True))


def n4(values: Values, spacing_mm: Spacing, *, shrink: int, iterations: tuple[int, ...], above: float | None) -> Values:
    """Take out the coil's uneven brightness (Tustison 2010): found on a coarse grid, divided out on the whole."""
    if values.min() < 0:
        raise ModelRefused("bias correction takes logarithms, and the images hold values below 0")
    image = image_of(values, spacing_mm)
    mask = itk.OtsuThreshold(image, 0, 1) if above is None else image > above
    if not itk.GetArrayViewFromImage(mask).any():
        raise ModelRefused(f"no voxel of the images is above {above}")
    factors = [min(shrink, size) for size in image.GetSize()]
    correct = itk.N4BiasFieldCorrectionImageFilter()
    correct.SetMaximumNumberOfIterations(list(iterations))
    correct.Execute(itk.Shrink(image, factors), itk.Shrink(mask, factors))
    field: Values = np.exp(array_of(correct.GetLogBiasFieldAsImage(image)).astype(np.float32))
    return values / field
