"""A cascade's second network sees what lies around the first one's find, and its result lies where it was seen."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from ai.errors import CardInvalid, ModelRefused
from ai.networks.model import NetworkModel
from ai.volume import Inputs, Volume
from node.jobs.installing import install
from tests.makers.networks import Bright, scripted, write_model
from tests.unit.ai.networks.test_model import predict

SHAPE, SPACING = (40, 60, 50), (2.0, 1.0, 1.0)
CENTRE = np.array([18.0, 22.0, 30.0])
"""Of a core of 1 with a shell of 0.4 around it; a decoy of 0.4 lies in a corner."""
CORE_MM, SHELL_MM, MARGIN_MM = 8.0, 12.0, 6.0


class Faint(torch.nn.Module):
    """Finds what is above 0.3, and takes no more than half of the image."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.numel() < 60000, "the second network got the whole images"
        return torch.cat([torch.zeros_like(x) + 0.3, x], dim=1)


def oblique() -> np.ndarray:
    """(slice, row, column) to LPS, turned about two axes."""
    a, b = 0.3, -0.2
    turned = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]) @ np.array(
        [[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]
    )
    affine = np.eye(4)
    affine[:3, :3] = (turned @ np.diag(SPACING[::-1]))[:, ::-1]
    affine[:3, 3] = -30, 12, 5
    return affine


def image() -> np.ndarray:
    places = np.stack(np.meshgrid(*(np.arange(size) for size in SHAPE), indexing="ij"), axis=-1)
    distance = np.linalg.norm((places - CENTRE) * SPACING, axis=-1)
    made = np.where(distance <= CORE_MM, 1.0, np.where(distance <= SHELL_MM, 0.4, 0.0)).astype(np.float32)
    made[35:39, 50:58, 2:10] = 0.4
    return made


def cascade(folder: Path, region: str = f"margin_mm = {MARGIN_MM}", **more: str) -> Path:
    first, second = scripted(Bright()), scripted(Faint())
    lines = f'kind = "torchscript"\nfinds = "segments"\n{more.pop("network", "")}'
    chains = f"""
[[prepare]]
step = "orient"
axes = "RAS"
[[finish]]
step = "argmax"
[region]
{region}
[[region.prepare]]
step = "resample"
spacing_mm = [3, 3, 3]
[region.network]
kind = "torchscript"
weights = "first.bin"
sha256 = "{hashlib.sha256(first).hexdigest()}"
{more.pop("first", "")}
[[region.finish]]
step = "argmax"
"""
    made = write_model(folder, second, lines, chains=chains, **more)
    (made / "first.bin").write_bytes(first)
    return made


def inputs(array: np.ndarray) -> Inputs:
    return Inputs({"image": Volume(array, oblique(), SPACING)}, "image")


def test_the_second_network_finds_what_lies_around_the_firsts_find(tmp_path: Path) -> None:
    array = image()

    (found,) = predict(NetworkModel(cascade(tmp_path / "cascade")), inputs(array)).segments

    expected = array > 0.3
    expected[35:] = False  # the decoy, which only a network that sees everything would find
    np.testing.assert_array_equal(found.mask, expected)


def test_the_margin_bounds_what_is_seen(tmp_path: Path) -> None:
    array = image()

    (found,) = predict(NetworkModel(cascade(tmp_path / "cascade", "margin_mm = 0")), inputs(array)).segments

    there = np.argwhere(found.mask)
    assert np.all(array[found.mask] > 0.3)
    assert np.all(np.abs((there - CENTRE) * SPACING) <= CORE_MM + max(SPACING) + 1.5)
    assert found.mask[array == 1].mean() > 0.95


def test_nothing_found_first_is_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="found nothing around which"):
        predict(NetworkModel(cascade(tmp_path / "cascade")), inputs(image() * np.float32(0.45)))


def test_another_input_is_cut_at_the_same_place_in_the_patient(tmp_path: Path) -> None:
    """The second input lies on a finer grid that begins elsewhere; matched to the first, it is what was there."""
    second = '[[input]]\nname = "other"\nmodality = "MR"\norientations = ["axial"]\n'
    folder = cascade(tmp_path / "two", more=second, first='inputs = ["image"]', network='inputs = ["other"]')
    card = folder / "card.toml"
    card.write_text(
        card.read_text().replace(
            '[[prepare]]\nstep = "orient"\naxes = "RAS"',
            '[[prepare]]\nstep = "match"\ninput = "other"\nto = "image"\ninterpolation = "nearest"',
        )
    )
    array = image()
    moved = oblique()
    moved[:3, 3] -= moved[:3, :3] @ (4, 6, 8)
    other = np.pad(array, [(4, 3), (6, 0), (8, 5)])
    both = {"image": Volume(array, oblique(), SPACING), "other": Volume(other, moved, SPACING)}

    (found,) = predict(NetworkModel(folder), Inputs(both, "image")).segments

    expected = array > 0.3
    expected[35:] = False
    np.testing.assert_array_equal(found.mask, expected)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("margin_mm = 6.0", "margin_mm = -1.0", "from 0 to 1000"),
        ("margin_mm = 6.0", "", "margin_mm is missing"),
        ("margin_mm = 6.0", "margin_mm = 6.0\nlabels = [0]", "from 1 to 255"),
        ("margin_mm = 6.0", "margin_mm = 6.0\nlabel = 1", "unknown key 'label'"),
        ('weights = "first.bin"', 'weights = "../first.bin"', "in the model's own folder"),
    ],
)
def test_a_region_that_cannot_be_used_says_why(tmp_path: Path, old: str, new: str, words: str) -> None:
    card = cascade(tmp_path / "cascade") / "card.toml"
    card.write_text(card.read_text().replace(old, new))

    with pytest.raises(CardInvalid, match=words):
        NetworkModel(tmp_path / "cascade")


def test_both_files_are_pinned_when_it_is_installed(tmp_path: Path) -> None:
    source = cascade(tmp_path / "cascade")

    assert install(source, tmp_path / "models", lambda _: True) is not None
    (source / "first.bin").write_bytes(b"another")
    with pytest.raises(CardInvalid, match=r"first\.bin: its SHA-256 is"):
        install(source, tmp_path / "others", lambda _: True)
