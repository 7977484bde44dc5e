"""Random changes to a case each time it is seen: scale, rotation, shift, bending, flip, noise, blur, contrast."""

from collections.abc import Sequence
from math import pi, radians, sqrt

from monai.transforms.compose import Compose
from monai.transforms.intensity.dictionary import (
    RandAdjustContrastd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandScaleIntensityd,
)
from monai.transforms.spatial.dictionary import Rand3DElasticd, RandFlipd, RandSimulateLowResolutiond

from ai.training.plan import Augmentation

BOTH = ("image", "label")
SMOOTHNESS_VOXELS = 6.0
"""Standard deviation of the Gaussian by which neighbouring voxels move together."""


def augmentation(how: Augmentation, window: Sequence[int]) -> Compose:
    """The changes, which end in one window of that size about the image's centre; beyond the image lies its mean."""
    return Compose(
        [
            Rand3DElasticd(
                BOTH,
                sigma_range=(SMOOTHNESS_VOXELS,) * 2,
                magnitude_range=(0.0, how.elastic / _left_by_smoothing()),
                prob=1.0,
                rotate_range=(radians(how.rotation_deg),) * 3,
                scale_range=(how.scale,) * 3,
                translate_range=(how.shift,) * 3,
                spatial_size=(window[0], window[1], window[2]),
                mode=("bilinear", "nearest"),
                padding_mode="zeros",
            ),
            *(RandFlipd(BOTH, prob=0.5, spatial_axis=axis) for axis in how.flip_axes),
            RandGaussianNoised("image", prob=0.3, std=how.noise_sd),
            RandGaussianSmoothd("image", prob=0.2, sigma_x=how.blur_sd, sigma_y=how.blur_sd, sigma_z=how.blur_sd),
            RandScaleIntensityd("image", prob=0.5, factors=how.contrast),
            RandAdjustContrastd("image", prob=0.3, gamma=how.gamma),
            *([RandSimulateLowResolutiond("image", prob=0.2, zoom_range=how.coarse)] if how.coarse else []),
        ]
    )


def _left_by_smoothing() -> float:
    """Standard deviation of noise between -1 and 1, one value a voxel, after the smoothing in three axes."""
    return sqrt(1 / 3 / (2 * sqrt(pi) * SMOOTHNESS_VOXELS) ** 3)
