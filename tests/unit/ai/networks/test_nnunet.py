"""An nnU-Net v2 folder runs as nnU-Net runs it: its network, its preparation, its labels on the images' own voxels."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from scipy import ndimage
from skimage.transform import resize

from ai.errors import CardInvalid
from ai.networks.model import NetworkModel
from ai.networks.nnunet import prepare_as_planned
from ai.preparation.restoring import restore_argmax, restore_mask
from ai.volume import Inputs, Volume
from ai.window import Window, predict_in_windows
from tests.makers.networks import write_model
from tests.unit.ai.networks.test_model import predict

SPACING, TARGET = (2.5, 1.0, 1.0), (2.0, 1.5, 1.5)
PARAMETERS: dict[str, Any] = {
    "n_stages": 2,
    "features_per_stage": [4, 8],
    "conv_op": "torch.nn.modules.conv.Conv3d",
    "kernel_sizes": [[3, 3, 3], [3, 3, 3]],
    "strides": [[1, 1, 1], [2, 2, 2]],
    "n_conv_per_stage": [1, 1],
    "n_conv_per_stage_decoder": [1],
    "conv_bias": True,
    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
    "norm_op_kwargs": {"eps": 1e-05, "affine": True},
    "dropout_op": None,
    "dropout_op_kwargs": None,
    "nonlin": "torch.nn.LeakyReLU",
    "nonlin_kwargs": {"inplace": True},
}
DENSITY = {"mean": 40.0, "std": 30.0, "percentile_00_5": -60.0, "percentile_99_5": 120.0, "min": -99.0, "max": 200.0}


def plans() -> dict[str, Any]:
    """As nnU-Net 2.8 writes them, what is read of it."""
    return {
        "dataset_name": "Dataset001_Test",
        "transpose_forward": [0, 2, 1],
        "transpose_backward": [0, 2, 1],
        "foreground_intensity_properties_per_channel": {"0": DENSITY},
        "configurations": {
            "3d_fullres": {
                "patch_size": [16, 16, 16],
                "spacing": list(TARGET),
                "normalization_schemes": ["CTNormalization"],
                "use_mask_for_norm": [False],
                "preprocessor_name": "DefaultPreprocessor",
                "resampling_fn_data": "resample_data_or_seg_to_shape",
                "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None},
                "architecture": {
                    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
                    "arch_kwargs": dict(PARAMETERS),
                    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
                },
            },
            "3d_lowres": {"inherits_from": "3d_fullres"},
            "3d_cascade_fullres": {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"},
        },
    }


def network() -> PlainConvUNet:
    torch.manual_seed(1)
    layers = {"conv_op": torch.nn.Conv3d, "norm_op": torch.nn.InstanceNorm3d, "nonlin": torch.nn.LeakyReLU}
    return PlainConvUNet(1, num_classes=2, **{**PARAMETERS, **layers}, deep_supervision=True).eval()


def trained(folder: Path, planned: dict[str, Any] | None = None, configuration: str = "3d_fullres") -> Path:
    """The folder of a trained model with a card; its checkpoint holds all that nnU-Net's trainer writes."""
    state = network().state_dict()
    checkpoint = {
        "network_weights": state,
        "optimizer_state": torch.optim.SGD(network().parameters(), 0.01, momentum=0.99).state_dict(),
        "grad_scaler_state": None,
        "logging": {"mean_fg_dice": [np.float64(0.5)], "dice_per_class": [np.arange(3)]},
        "_best_ema": np.float32(0.5),
        "current_epoch": 1000,
        "init_args": {"plans": plans(), "configuration": "3d_fullres", "fold": 0},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1, 2),
    }
    made = io.BytesIO()
    torch.save(checkpoint, made)
    lines = f'kind = "nnunet"\nconfiguration = "{configuration}"\nfinds = "segments"'
    write_model(folder, made.getvalue(), lines, weights="fold_0/checkpoint_final.pth")
    (folder / "plans.json").write_text(json.dumps(planned or plans()))
    dataset = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "bright": 1}, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(dataset))
    return folder


def inputs() -> Inputs:
    """Smooth, so that interpolation is a matter of taste at the rim alone; air that is zero around it."""
    array = ndimage.gaussian_filter(np.random.default_rng(0).normal(40, 400, (18, 30, 36)), 2).astype(np.float32)
    array = np.pad(array, [(0, 0), (3, 2), (0, 4)])
    return Inputs({"image": Volume(array, np.diag([*SPACING, 1.0])[[2, 1, 0, 3]], SPACING)}, "image")


def by_nnunet(array: np.ndarray) -> np.ndarray:
    """default_preprocessor.py: transposed, cut to what is not zero, CTNormalization, resized by a cubic spline."""
    image = array[:, 3:33, :36].transpose(0, 2, 1)
    image = (np.clip(image, DENSITY["percentile_00_5"], DENSITY["percentile_99_5"]) - DENSITY["mean"]) / DENSITY["std"]
    shape = [round(old / new * size) for old, new, size in zip(SPACING, TARGET, image.shape, strict=True)]
    return resize(image, shape, order=3, mode="edge", anti_aliasing=False)


def test_images_are_prepared_as_nnunet_prepares_them(tmp_path: Path) -> None:
    model = NetworkModel(trained(tmp_path / "m"))
    given = inputs()

    found = prepare_as_planned(given, model.card, model.network, model.plan).placed["image"]
    expected = by_nnunet(given.reference_volume.array)

    assert found.shape == expected.shape
    np.testing.assert_allclose(found.spacing_mm, [2.5 * 18 / 22, 1.5, 1.5], rtol=0.02)
    inner = (slice(3, -3),) * 3
    assert np.abs(found.array - expected)[inner].max() < 0.02 * expected.std()


def test_what_its_network_says_comes_back_to_the_images_voxels(tmp_path: Path) -> None:
    given = inputs()

    (found,) = predict(NetworkModel(trained(tmp_path / "m")), given).segments

    image = torch.from_numpy(by_nnunet(given.reference_volume.array).astype(np.float32))[None]
    with torch.inference_mode():
        said = predict_in_windows(
            lambda one: network()(one)[0], image, Window((16, 16, 16), 0.5, "gaussian", 1, even=True)
        )
    back = resize(said.numpy(), (2, 18, 36, 30), order=1, mode="edge", anti_aliasing=False)
    expected = np.zeros(found.mask.shape, bool)
    expected[:, 3:33, :36] = (back[1] > back[0]).transpose(0, 2, 1)
    dice = 2 * (found.mask & expected).sum() / (found.mask.sum() + expected.sum())
    assert 0.05 < expected.mean() < 0.95
    assert dice > 0.97


@pytest.mark.parametrize(
    ("spacing", "planned"),
    [
        pytest.param((5.0, 1.0, 1.0), [3.1, 1.5, 1.5], id="the images' are thick"),
        pytest.param((2.0, 1.0, 1.0), [5.0, 1.5, 1.5], id="the plan's are thick"),
    ],
)
def test_between_slices_far_apart_nothing_is_interpolated(
    tmp_path: Path, spacing: tuple[float, float, float], planned: list[float]
) -> None:
    """default_resampling.py: where they are more than three times as thick as wide, each for itself, both ways."""
    content = plans()
    content["configurations"]["3d_fullres"]["spacing"] = planned
    model = NetworkModel(trained(tmp_path / "m", content))
    chance = np.random.default_rng(3)
    array = ndimage.gaussian_filter(chance.normal(40, 900, (20, 30, 36)), (0.8, 2, 2)).astype(np.float32)
    given = Inputs({"image": Volume(array, np.diag([*spacing, 1.0])[[2, 1, 0, 3]], spacing)}, "image")

    prepared = prepare_as_planned(given, model.card, model.network, model.plan)
    made = prepared.placed["image"]
    scores = ndimage.gaussian_filter(chance.normal(0, 1, (3, *made.shape)), (0, 0.5, 2, 2)).astype(np.float32)
    found = restore_argmax(prepared, scores)
    masks = [restore_mask(prepared, one, 0.05) for one in scores]

    image = (np.clip(array.transpose(0, 2, 1), -60, 120) - 40) / 30
    count = round(spacing[0] / planned[0] * 20)
    expected = nearest_slices(in_slices(image, (24, 20), order=3), count)
    assert np.abs(made.array - expected)[:, 3:-3, 3:-3].max() < 0.1 * expected.std()
    back = np.stack([nearest_slices(in_slices(one, (36, 30), order=1), 20).transpose(0, 2, 1) for one in scores])
    assert (found == back.argmax(axis=0)).mean() > 0.999
    assert all((one == (there >= 0.05)).mean() > 0.999 for one, there in zip(masks, back, strict=True))


def in_slices(array: np.ndarray, shape: tuple[int, int], order: int) -> np.ndarray:
    return np.stack([resize(one, shape, order=order, mode="edge", anti_aliasing=False) for one in array])


def nearest_slices(array: np.ndarray, count: int) -> np.ndarray:
    """As many slices, each the nearest of these."""
    places = len(array) / count * (np.arange(count) + 0.5) - 0.5
    return array[np.clip(np.floor(places + 0.5).astype(int), 0, len(array) - 1)]


def changed(key: str, value: object) -> dict[str, Any]:
    content = plans()
    content["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"].update({key: value})
    return content


def preparing(**differing: object) -> dict[str, Any]:
    made = plans()
    made["configurations"]["3d_fullres"].update(differing)
    return made


@pytest.mark.parametrize(
    ("plan", "configuration", "words"),
    [
        (changed("conv_op", "os.system"), "3d_fullres", "'os.system', which is not among"),
        (changed("nonlin", "torch.hub.load"), "3d_fullres", "torch.hub.load"),
        (plans(), "3d_cascade_fullres", "needs the result of another configuration"),
        (plans(), "2d", "cannot be read"),
        (plans(), "", "configuration names one"),
        (preparing(preprocessor_name="TwoWindows"), "3d_fullres", "name is 'TwoWindows'"),
        (preparing(resampling_fn_data="no_resampling_hack"), "3d_fullres", "data is 'no_resampling_hack'"),
        (preparing(resampling_fn_data_kwargs={"order": 1}), "3d_fullres", "order is 1"),
        ({"configurations": {"3d_fullres": {"inherits_from": "3d_fullres"}}}, "3d_fullres", "in a circle"),
    ],
)
def test_a_plan_that_cannot_be_run_says_why(
    tmp_path: Path, plan: dict[str, Any], configuration: str, words: str
) -> None:
    with pytest.raises(CardInvalid, match=words):
        NetworkModel(trained(tmp_path / "m", plan, configuration))


def test_a_plan_that_is_changed_gives_another_digest(tmp_path: Path) -> None:
    one = NetworkModel(trained(tmp_path / "m")).card.digest
    (tmp_path / "m" / "plans.json").write_text(json.dumps(changed("conv_bias", value=False)))

    assert NetworkModel(tmp_path / "m").card.digest != one
