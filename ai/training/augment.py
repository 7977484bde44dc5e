"""Random changes to a case each time it is seen: scale, rotation, shift, flip, noise, blur, contrast."""

from collections.abc import Sequence
from math import radians

from monai.transforms.compose import Compose
from monai.transforms.intensity.dictionary import (
    RandAdjustContrastd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandScaleIntensityd,
)
from monai.transforms.spatial.dictionary import RandAffined, RandFlipd

from ai.training.plan import Augmentation

BOTH = ("image", "label")


def augmentation(how: Augmentation, window: Sequence[int]) -> Compose:
    """The changes, which end in one window of that size about the image's centre; beyond the image lies its mean."""
    return Compose(
        [
            RandAffined(
                BOTH,
                prob=1.0,
                rotate_range=(radians(how.rotation_deg),) * 3,
                scale_range=(how.scale,) * 3,
                translate_range=(how.shift,) * 3,
                spatial_size=tuple(window),
                mode=("bilinear", "nearest"),
                padding_mode="zeros",
            ),
            *(RandFlipd(BOTH, prob=0.5, spatial_axis=axis) for axis in how.flip_axes),
            RandGaussianNoised("image", prob=0.3, std=how.noise_sd),
            RandGaussianSmoothd("image", prob=0.2, sigma_x=how.blur_sd, sigma_y=how.blur_sd, sigma_z=how.blur_sd),
            RandScaleIntensityd("image", prob=0.5, factors=how.contrast),
            RandAdjustContrastd("image", prob=0.3, gamma=how.gamma),
        ]
    )
