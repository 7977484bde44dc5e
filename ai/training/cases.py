"""Labelled images in a folder: found, parted, and read as volumes with their labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ai.contract import ModelCard
from ai.errors import CasesInvalid
from ai.preparation.images import Array, array_of, itk
from ai.volume import Affine, Facts, Volume

Labels = npt.NDArray[np.uint8]
SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")


@dataclass(frozen=True)
class Case:
    """One image file and its label file of the same name."""

    name: str
    image: Path
    label: Path


def find_cases(folder: Path) -> tuple[Case, ...]:
    """Every file of `images` that has its like in `labels`, sorted by name. Raises CasesInvalid where there is none."""
    found = tuple(
        Case(_stem(image), image, folder / "labels" / image.name)
        for image in sorted((folder / "images").glob("[!.]*"))
        if image.name.endswith(SUFFIXES) and (folder / "labels" / image.name).is_file()
    )
    if not found:
        raise CasesInvalid(f"{folder}: no image in images/ has a file of the same name in labels/")
    return found


def choose(cases: Sequence[Case], every: int, rests: Sequence[int]) -> tuple[Case, ...]:
    """The cases whose place in their order, modulo `every`, is one of `rests`."""
    return tuple(case for place, case in enumerate(cases) if place % every in rests)


def read_case(case: Case, modality: str) -> tuple[Volume, Labels]:
    """The image as a volume of that modality, and its labels on the same grid.

    Raises CasesInvalid where a file cannot be read or holds values that are not numbers, or where labels are on another
    grid or no whole numbers from 0 to 255.
    """
    image, label = _read(case.image), _read(case.label)
    labels = array_of(label)
    if image.GetSize() != label.GetSize() or not np.allclose(_affine(image), _affine(label), atol=1e-3):
        raise CasesInvalid(f"{case.name}: image and labels are not on the same grid")
    if not np.array_equal(labels, labels.astype(np.uint8)):
        raise CasesInvalid(f"{case.name}: labels must be whole numbers from 0 to 255")
    values = array_of(image).astype(np.float32)
    if not np.isfinite(values).all():
        raise CasesInvalid(f"{case.name}: its image holds values that are not numbers")
    columns, rows, slices = image.GetSpacing()
    volume = Volume(
        array=values,
        affine_lps=_affine(image),
        spacing_mm=(slices, rows, columns),
        facts=Facts(modality=modality),
    )
    return volume, labels.astype(np.uint8)


def check_segments(case: Case, labels: Labels, card: ModelCard) -> None:
    """Raises CasesInvalid where a case has labels that the card has no segment for."""
    if labels.max(initial=0) > len(card.segments):
        raise CasesInvalid(f"{case.name}: has label {labels.max()}, and {card.name} has {len(card.segments)} segments")


def _stem(file: Path) -> str:
    suffix = next(one for one in SUFFIXES if file.name.endswith(one))
    return file.name.removesuffix(suffix)


def _read(file: Path) -> "itk.Image":
    try:
        image = itk.ReadImage(file)
    except RuntimeError as error:
        raise CasesInvalid(f"{file}: cannot be read as an image: {error}") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise CasesInvalid(f"{file}: an image of three axes with one value a voxel is needed")
    return image


def _affine(image: "itk.Image") -> Affine:
    """From (slice, row, column, 1) to LPS in mm; SimpleITK's indices are (column, row, slice), its world is LPS."""
    affine: Affine = np.eye(4)
    steps: Array = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, :3] = steps[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return affine
