"""Bundles that do not segment run as MONAI runs them, too: classification, regression, image to image, radiographs."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor

from ai.errors import CardInvalid, ModelFailed, ModelRefused
from ai.findings import Findings
from ai.networks.model import NetworkModel
from ai.volume import Inputs, Volume
from tests.makers.bundles import configuration, network, write_bundle
from tests.makers.networks import SEGMENT
from tests.unit.ai.networks.test_bundle import inputs
from tests.unit.ai.networks.test_model import CLASSES, DERIVED, MAP, MEASUREMENT, predict

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:monai.*")
DENSENET = {
    "_target_": "DenseNet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 2,
    "init_features": 4,
    "growth_rate": 2,
    "block_config": [1, 1],
}
UNET = {"_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 1, "channels": [4, 8], "strides": [2]}
RESIZED = {"_target_": "Resized", "keys": "image", "spatial_size": [32, 32, 16]}
SCALED = {"_target_": "ScaleIntensityd", "keys": "image"}
INVERTED = {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image"}
TWO = CLASSES.format("one") + CLASSES.format("two")
RADIOGRAPH = np.random.default_rng(1).random((1, 50, 70), dtype=np.float32)


def content(definition: dict[str, Any], steps: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[str, Any]:
    """A bundle that reads, resamples and scales its image, and asks its network about the whole of it."""
    made = configuration()
    reading = made["preprocessing"]["transforms"][:2]
    made["network_def"] = definition
    made["preprocessing"]["transforms"] = [*reading, *steps]
    made["postprocessing"]["transforms"] = [*after, {"_target_": "SaveImaged", "keys": "pred", "output_dir": "eval"}]
    made["inferer"] = {"_target_": "SimpleInferer"}
    return made


def by_monai(made: dict[str, Any], image: MetaTensor) -> np.ndarray:
    """The same configuration run by MONAI alone. image: as its own reader would give it."""
    made = copy.deepcopy(made)
    made["preprocessing"]["transforms"].pop(0)
    made["postprocessing"]["transforms"].pop()
    parser = ConfigParser({key: made[key] for key in ("preprocessing", "postprocessing")})
    items = parser.get_parsed_content("preprocessing")({"image": image})
    with torch.inference_mode():
        items["pred"] = network(made["network_def"])(items["image"][None])[0]
    return np.asarray(parser.get_parsed_content("postprocessing")(items)["pred"])


def read_by_monai(volume: Volume) -> MetaTensor:
    affine = np.diag([-1, -1, 1, 1]) @ volume.affine_lps[:, [2, 1, 0, 3]]
    meta = {"original_affine": affine, "original_channel_dim": "no_channel"}
    return MetaTensor(volume.array.transpose(2, 1, 0), affine=affine, meta=meta)


def found(folder: Path, made: dict[str, Any], lines: str, findings: str, given: Inputs | None = None) -> Findings:
    folder = write_bundle(folder, made, lines=lines, findings=findings, definition=made["network_def"])
    return predict(NetworkModel(folder), given or inputs())


def test_classification(tmp_path: Path) -> None:
    made = content(DENSENET, [RESIZED, SCALED], [{"_target_": "Activationsd", "keys": "pred", "softmax": True}])
    expected = by_monai(made, read_by_monai(inputs().volumes["image"]))

    said = found(tmp_path / "m", made, 'finds = "classifications"\n', TWO).classifications

    assert [one.key for one in said] == ["one", "two"]
    np.testing.assert_allclose([one.probability for one in said], expected, rtol=1e-6)
    assert sum(one.probability for one in said) == pytest.approx(1)


def test_logits_of_a_bundle_become_probabilities_by_the_cards_activation(tmp_path: Path) -> None:
    made = content(DENSENET, [RESIZED, SCALED], [])
    logits = by_monai(made, read_by_monai(inputs().volumes["image"]))
    lines = 'finds = "classifications"\nactivation = "sigmoid"\n'

    said = found(tmp_path / "m", made, lines, TWO).classifications

    np.testing.assert_allclose([one.probability for one in said], 1 / (1 + np.exp(-logits)), rtol=1e-5)


def test_regression(tmp_path: Path) -> None:
    made = content({**DENSENET, "out_channels": 1}, [RESIZED, SCALED], [])
    expected = by_monai(made, read_by_monai(inputs().volumes["image"]))

    (said,) = found(tmp_path / "m", made, 'finds = "measurements"\n', MEASUREMENT).measurements

    assert said.value == pytest.approx(float(expected[0]), rel=1e-6)


@pytest.mark.parametrize(("finds", "findings"), [("derived", DERIVED), ("maps", MAP)])
def test_image_to_image_lies_on_the_images_own_voxels(tmp_path: Path, finds: str, findings: str) -> None:
    turned = {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"}
    made = content(UNET, [turned, RESIZED, SCALED], [{**INVERTED, "nearest_interp": False, "to_tensor": True}])
    expected = by_monai(made, read_by_monai(inputs().volumes["image"]))

    said = found(tmp_path / "m", made, f'finds = "{finds}"\n', findings)

    values = (said.derived or said.maps)[0].values
    assert values.std() > 0
    np.testing.assert_allclose(values, expected[0].transpose(2, 1, 0), rtol=1e-4, atol=1e-5)


def radiograph(array: np.ndarray = RADIOGRAPH) -> Inputs:
    return Inputs({"image": Volume(array, None, None)}, "image")


FLAT = {**DENSENET, "spatial_dims": 2}
FLAT_RESIZED = {**RESIZED, "spatial_size": [32, 24]}


def test_a_bundle_classifies_a_radiograph(tmp_path: Path) -> None:
    made = content(FLAT, [FLAT_RESIZED, SCALED], [{"_target_": "Activationsd", "keys": "pred", "sigmoid": True}])
    meta = {"original_channel_dim": "no_channel"}
    expected = by_monai(made, MetaTensor(RADIOGRAPH[0].T, affine=np.eye(4), meta=meta))
    lines = 'finds = "classifications"\ndimensions = 2\n'

    said = found(tmp_path / "m", made, lines, TWO, radiograph()).classifications

    np.testing.assert_allclose([one.probability for one in said], expected, rtol=1e-6)
    with pytest.raises(ModelRefused, match="takes one image"):
        found(tmp_path / "n", made, lines, TWO, radiograph(np.concatenate([RADIOGRAPH] * 2)))


def test_a_bundle_segments_a_radiograph(tmp_path: Path) -> None:
    definition = {**UNET, "spatial_dims": 2, "out_channels": 2}
    decided = {"_target_": "AsDiscreted", "keys": "pred", "argmax": True}
    made = content(definition, [SCALED], [decided])
    made["inferer"] = {"_target_": "SlidingWindowInferer", "roi_size": [70, 50], "overlap": 0.0}
    meta = {"original_channel_dim": "no_channel"}
    expected = by_monai(made, MetaTensor(RADIOGRAPH[0].T, affine=np.eye(4), meta=meta))

    (said,) = found(tmp_path / "m", made, 'finds = "segments"\ndimensions = 2\n', SEGMENT, radiograph()).segments

    assert 0.02 < expected.mean() < 0.98
    np.testing.assert_array_equal(said.mask, expected[0].T[None] == 1)


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    made = content(DENSENET, [RESIZED, SCALED], [])

    with pytest.raises(ModelFailed, match="no probability: set the activation"):
        found(tmp_path / "a", made, 'finds = "classifications"\n', TWO, Inputs(inputs().volumes, "image"))
    with pytest.raises(ModelFailed, match="gave 2 channels, and the card names 1"):
        found(tmp_path / "b", made, 'finds = "measurements"\n', MEASUREMENT)
    with pytest.raises(ModelRefused, match="need"):
        found(tmp_path / "c", made, 'finds = "measurements"\n', MEASUREMENT, radiograph())
    with pytest.raises(CardInvalid, match="neither detections nor peaks"):
        found(
            tmp_path / "d",
            made,
            'finds = "peaks"\n',
            CLASSES.format("one").replace("[[classification]]", "[[detection]]").replace("finding =", "type ="),
        )
