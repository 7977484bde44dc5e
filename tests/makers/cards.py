"""Cards of models without code, for tests."""

from pathlib import Path

BODY = """
name = "body"
version = "1.0.0"
vendor = "test"
title = "The body in a CT"
intended_use = "Tests."
not_validated_for = []
licence = "Apache-2.0"
kind = "classical"
memory_mb = 200
timeout_s = 60
reference = "ct"

[[input]]
name = "ct"
modality = "CT"
orientations = ["axial", "coronal", "sagittal", "oblique"]
min_slices = 10

[[segment]]
key = "body"
label = "Body"
category = ["91723000", "SCT", "Anatomical Structure"]
type = ["123037004", "SCT", "Body structure"]
site = ["38266002", "SCT", "Entire body"]
colour = "#4fa8e8"
"""
CHAIN = """
[[prepare]]
step = "orient"
axes = "SPL"
[[prepare]]
step = "resample"
spacing_mm = [4, 3, 3]
[[prepare]]
step = "between"
low = -250
[[finish]]
step = "largest-component"
"""


def classical_card(folder: Path, chain: str = CHAIN, card: str = BODY) -> Path:
    """A card that outlines the body, in a folder called as the model is; another chain may be given."""
    place = folder / "body"
    place.mkdir(parents=True, exist_ok=True)
    file = place / "card.toml"
    file.write_text(card + chain, encoding="utf-8")
    return file


DENSE = BODY.replace('name = "body"', 'name = "dense"').replace('["axial", "coronal", "sagittal", "oblique"]', "[]")
DENSE = DENSE.replace('modality = "CT"', 'modality = ["CR", "DX", "MG"]').replace("min_slices = 10", "min_slices = 1")
"""Of what is dense in a radiograph, of whichever kind."""


def dense_card(folder: Path) -> Path:
    """A card that outlines the bright mass of `tests.makers.series.mg_image`, in a folder called as the model is."""
    place = folder / "dense"
    place.mkdir(parents=True)
    file = place / "card.toml"
    chain = '[[prepare]]\nstep = "between"\nlow = 3000\n[[finish]]\nstep = "largest-component"\n'
    file.write_text(DENSE + chain, encoding="utf-8")
    return file
