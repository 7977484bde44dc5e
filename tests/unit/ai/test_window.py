"""Our sliding window gives what MONAI's gives, for every way in which windows meet an image."""

import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference
from scipy import ndimage

from ai.window import Window, even_places, even_weights, places, predict_in_windows


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv3d(2, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv3d(4, 3, 1)).eval()


@pytest.mark.parametrize("blend", ["gaussian", "constant"])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize(
    "shape", [(24, 31, 40), (16, 16, 16), (5, 40, 17), (5, 6, 7)], ids=["larger", "equal", "thin", "smaller"]
)
def test_output_equals_monai(network: torch.nn.Module, shape: tuple[int, ...], overlap: float, blend: str) -> None:
    image = torch.randn(2, *shape)

    with torch.inference_mode():
        ours = predict_in_windows(network, image, Window((16, 16, 16), overlap, blend, 3))
        theirs = sliding_window_inference(image[None], (16, 16, 16), 3, network, overlap=overlap, mode=blend)

    torch.testing.assert_close(ours, theirs[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [(16, 0, 16), (0, 0, 0), (0, 40, 8)])
def test_a_whole_axis_equals_monai(network: torch.nn.Module, size: tuple[int, ...]) -> None:
    """There it is written as -1."""
    image = torch.randn(2, 24, 31, 40)
    theirs = tuple(one or -1 for one in size)

    with torch.inference_mode():
        ours = predict_in_windows(network, image, Window(size, 0.5, "gaussian", 3))
        expected = sliding_window_inference(image[None], theirs, 3, network, overlap=0.5, mode="gaussian")

    torch.testing.assert_close(ours, expected[0], rtol=1e-5, atol=1e-5)


def test_two_dimensions_equal_monai() -> None:
    network = torch.nn.Conv2d(1, 2, 3, padding=1).eval()
    image = torch.randn(1, 50, 33)

    with torch.inference_mode():
        ours = predict_in_windows(network, image, Window((32, 32), 0.25, "gaussian", 4))
        theirs = sliding_window_inference(image[None], (32, 32), 4, network, overlap=0.25, mode="gaussian")

    torch.testing.assert_close(ours, theirs[0], rtol=1e-5, atol=1e-5)


def test_windows_cover_the_image_and_end_at_its_end() -> None:
    found = places((10, 4), (4, 4), 0.25)

    assert [(one[0].start, one[0].stop) for one in found] == [(0, 4), (3, 7), (6, 10)]
    assert all(one[1] == slice(0, 4) for one in found)


def test_batch_does_not_change_the_output(network: torch.nn.Module) -> None:
    image = torch.randn(2, 24, 24, 24)

    with torch.inference_mode():
        one, many = (
            predict_in_windows(network, image, Window((16, 16, 16), 0.5, "gaussian", count)) for count in (1, 8)
        )

    torch.testing.assert_close(one, many, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("whole", "starts"), [(110, [0, 23, 46]), (64, [0]), (65, [0, 1]), (96, [0, 32])])
def test_even_windows_lie_where_nnunet_puts_them(whole: int, starts: list[int]) -> None:
    """Its compute_steps_for_sliding_window, of which the first is its own example."""
    assert [one[0].start for one in even_places((whole,), (64,), 0.5)] == starts


def test_even_windows_weigh_as_nnunets() -> None:
    """Its compute_gaussian: a point behind the middle, filtered by scipy; never 0."""
    size = (7, 12)
    point = np.zeros(size)
    point[3, 6] = 1
    expected = ndimage.gaussian_filter(point, [one / 8 for one in size], 0, mode="constant", cval=0)
    expected[expected == 0] = expected[expected > 0].min()

    found = even_weights(size, torch.device("cpu")).numpy()

    np.testing.assert_allclose(found, expected / expected.max(), rtol=1e-5)
