"""Random changes of a case: the labels go with the image, and bending bends as far as it says."""

import numpy as np
import numpy.typing as npt
import torch

from ai.training.augment import augmentation
from ai.training.plan import Augmentation

SIZE = (32, 40, 32)
NOTHING = {
    "rotation_deg": 0, "scale": 0, "shift": 0, "flip_axes": (), "noise_sd": 0, "blur_sd": (0, 1e-6),
    "contrast": 0, "gamma": (1, 1),
}  # fmt: skip


def changed(image: npt.NDArray[np.float32], seed: int, **how: object) -> tuple[npt.NDArray[np.float32], ...]:
    """Image and label, where the label is what is above a half in the image."""
    change = augmentation(Augmentation.model_validate(NOTHING | how), SIZE)
    change.set_random_state(seed=seed)
    case = change({"image": torch.from_numpy(image[None]), "label": torch.from_numpy(image[None] > 0.5)})
    return tuple(np.asarray(case[key])[0] for key in ("image", "label"))


def test_nothing_asked_for_changes_nothing() -> None:
    image = np.random.default_rng(1).random(SIZE).astype(np.float32)

    found, label = changed(image, 1)

    assert np.allclose(found, image, atol=1e-5)
    assert np.array_equal(label, image > 0.5)


def test_bending_moves_voxels_as_far_as_the_plan_says() -> None:
    """The image holds its own coordinates, so that what is found there tells how far it came."""
    place = np.broadcast_to(np.arange(SIZE[1], dtype=np.float32)[:, None], SIZE).copy()
    inside = (slice(8, -8),) * 3

    moved = [(changed(place, seed, elastic=1.5)[0] - place)[inside] for seed in range(24)]
    spread = [float(one.std()) for one in moved]

    assert 0.7 < max(spread) < 2.0
    assert min(spread) < 0.5
    assert max(np.abs(np.diff(one, axis=0)).max() for one in moved) < 1.0, "neighbours fold over one another"


def test_labels_go_with_the_image() -> None:
    """A ball, turned, scaled, shifted and bent: what is bright is what is labelled."""
    axes = np.meshgrid(*(np.arange(n) - n / 2 for n in SIZE), indexing="ij")
    ball = (9.5 - np.sqrt(sum(axis**2 for axis in axes))).clip(0, 1).astype(np.float32)

    for seed in range(8):
        how = {"elastic": 1.5, "rotation_deg": 25, "scale": 0.2, "shift": 4, "flip_axes": (0,)}
        image, label = changed(ball, seed, **how)
        both, either = ((image > 0.5) & (label > 0)).sum(), ((image > 0.5) | (label > 0)).sum()
        assert either > 1000
        assert both / either > 0.9


def test_an_image_may_be_seen_as_a_coarse_one() -> None:
    """Noise loses its finest part in about one of five; its mean stays."""
    image = np.random.default_rng(1).normal(size=SIZE).astype(np.float32)

    spread = [float(changed(image, seed, coarse=(0.5, 0.5))[0].std()) for seed in range(40)]

    assert 2 <= sum(one < 0.9 for one in spread) <= 20
