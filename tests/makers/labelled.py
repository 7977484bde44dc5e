"""A folder of labelled images: balls in noise, the upper half bright and label 1, the lower dark and label 2."""

from pathlib import Path

import numpy as np
import SimpleITK as Sitk

SHAPE = (20, 18, 16)
"""(slices, rows, columns), of 1 mm."""


def labelled_folder(folder: Path, cases: int) -> Path:
    """The folder, with `images` and `labels` of so many cases; the same every time."""
    random = np.random.default_rng(0)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number in range(cases):
        centre, radius = np.array(SHAPE) / 2 + random.uniform(-2, 2, 3), random.uniform(4, 6)
        place = np.moveaxis(np.indices(SHAPE), 0, -1) - centre
        ball = np.linalg.norm(place, axis=-1) < radius
        label = np.where(ball, np.where(place[..., 0] > 0, 1, 2), 0).astype(np.uint8)
        image = (60 * (label == 1) - 60 * (label == 2) + random.normal(0, 5, SHAPE)).astype(np.float32)
        write(folder / "images" / f"case_{number:02}.nii.gz", image)
        write(folder / "labels" / f"case_{number:02}.nii.gz", label)
    return folder


def write(file: Path, array: np.ndarray, spacing_mm: float = 1.0) -> None:
    """As a cut-out of the decathlon: axes to the right, anterior, superior."""
    image = Sitk.GetImageFromArray(array)
    image.SetSpacing([spacing_mm] * 3)
    image.SetDirection([-1, 0, 0, 0, -1, 0, 0, 0, 1])
    image.SetOrigin([-1, -1, 1])
    Sitk.WriteImage(image, file)
