"""Maps that explain a classifier peak where its answer comes from, and are empty where it comes from nowhere."""

import gc
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from onnx import helper, numpy_helper

from ai.contract import Predict
from ai.device import Device
from ai.errors import CardInvalid, ModelFailed, ModelRefused
from ai.findings import Findings
from ai.networks.architectures import build
from ai.networks.model import NetworkModel
from ai.networks.saliency import MOST_PLACES, places
from ai.volume import Inputs, Volume
from tests.makers.networks import scripted, write_model
from tests.makers.portable import model

SHAPE, SPACING = (18, 36, 30), (4.0, 1.5, 2.0)
SPOT = (slice(10, 13), slice(8, 16), slice(18, 24))
DARK = (slice(2, 7), slice(22, 32), slice(4, 14))
CENTRE = (11.0, 11.5, 20.5)

FINDINGS = """
[[classification]]
key = "spot"
label = "Spot"
finding = ["36118008", "SCT", "Pneumothorax"]
site = ["39607008", "SCT", "Lung"]
threshold = {threshold}

[[map]]
key = "why-spot"
label = "Where the answer on a spot comes from"
quantity = ["{code}", "DCM", "{meaning}"]
unit = ["1", "UCUM", "no units"]
shown = [0.0, 1.0]
"""
SALIENCY = {"code": "130404", "meaning": "Saliency"}
CAM = {"code": "130403", "meaning": "Gradient-weighted class activation"}
RESAMPLED = '[[prepare]]\nstep = "orient"\naxes = "RAS"\n[[prepare]]\nstep = "resample"\nspacing_mm = [2.0, 2.0, 2.0]\n'
TABLE = '[network.explain]\nmaps = {spot = "why-spot"}\n'
OCCLUSION = f'{TABLE}by = "occlusion"\nbox_mm = 8.0\nstride_mm = 4.0\nbatch = 4\n'
DENSENET: dict[str, object] = {
    "spatial_dims": 3, "in_channels": 1, "out_channels": 1, "init_features": 4, "growth_rate": 4, "block_config": [1],
}  # fmt: skip


class Brightness(torch.nn.Module):
    """How much is brighter than zero: of `spotted`, one known region; what is dark does not count."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.relu().mean(dim=(1, 2, 3, 4), keepdim=True).flatten(1) * 4.0


class Blind(torch.nn.Module):
    """The same answer to every image."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)[:, :1] * 0.0 + 0.7


def oblique(array: np.ndarray) -> Inputs:
    """Slices that lie askew in the patient, with three different spacings."""
    turn, tilt = np.deg2rad(20), np.deg2rad(12)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    affine = np.eye(4)
    affine[:3, :3] = (about_z @ about_x)[:, [2, 1, 0]] * SPACING
    affine[:3, 3] = (-30.0, 12.0, 5.0)
    return Inputs({"image": Volume(array.astype(np.float32), affine, SPACING)}, "image")


def spotted() -> Inputs:
    array = np.zeros(SHAPE)
    array[SPOT], array[DARK] = 1.0, -3.0
    return oblique(array)


def centroid(values: np.ndarray) -> np.ndarray:
    """Of what is at least half as high as the highest, in voxels."""
    high = np.where(values >= values.max() / 2, values, 0)
    return np.array([(index * high).sum() for index in np.indices(values.shape)]) / high.sum()


def densenet_of_brightness() -> bytes:
    """A DenseNet whose every feature before the pooling is what the first convolution says: brightness."""
    network = build("densenet", DENSENET)
    state = {name: torch.zeros_like(one) for name, one in network.state_dict().items()}
    for name, one in state.items():
        if name.endswith("running_var") or (".norm" in name and name.endswith(".weight")):
            one.fill_(1)
    state["features.conv0.weight"][:, :, 3, 3, 3] = 1.0
    state["class_layers.out.weight"].fill_(1.0)
    return safetensors.torch.save(state)


def grad_cam(folder: Path, layer: str, threshold: float = 0.5, chains: str = RESAMPLED) -> Path:
    parameters = "".join(f"{key} = {value}\n" for key, value in DENSENET.items())
    lines = 'kind = "safetensors"\narchitecture = "densenet"\nfinds = "classifications"\nactivation = "sigmoid"\n'
    lines += f'{TABLE}by = "grad-cam"\nlayer = "{layer}"\n[network.parameters]\n{parameters}'
    findings = FINDINGS.format(threshold=threshold, **CAM)
    return write_model(folder, densenet_of_brightness(), lines, findings=findings, chains=chains)


def occlusion(
    folder: Path, network: torch.nn.Module, explain: str = OCCLUSION, chains: str = RESAMPLED, **findings: str
) -> Path:
    lines = f'kind = "torchscript"\nfinds = "classifications"\n{explain}'
    described = FINDINGS.format(**{"threshold": "0.5", **SALIENCY, **findings})
    return write_model(folder, scripted(network), lines, findings=described, chains=chains)


def predicted(folder: Path, inputs: Inputs) -> Findings:
    with NetworkModel(folder).open(Device(threads=2)) as predict:
        return predict(inputs)


def test_hiding_the_one_region_that_matters_shows_where_it_lies(tmp_path: Path) -> None:
    found = predicted(occlusion(tmp_path / "bright", Brightness(), OCCLUSION + "fill = 0.0\n"), spotted())

    values = found.maps[0].values
    assert values.shape == SHAPE
    assert centroid(values) == pytest.approx(CENTRE, abs=1.0)
    assert 0 < values.max() <= found.classifications[0].probability
    assert np.abs(values[:6]).max() == pytest.approx(0, abs=1e-6)


def test_an_onnx_file_is_explained_as_any_other(tmp_path: Path) -> None:
    four = numpy_helper.from_array(np.array([[4.0]], np.float32), "four")
    nodes = [
        helper.make_node("Relu", ["image"], ["bright"]),
        helper.make_node("GlobalAveragePool", ["bright"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Mul", ["flat", "four"], ["said"]),
    ]
    portable = model(nodes, [four]).SerializeToString()
    lines = f'kind = "onnx"\nfinds = "classifications"\n{OCCLUSION}fill = 0.0\n'
    folder = write_model(tmp_path / "onnx", portable, lines, findings=FINDINGS.format(threshold=0.5, **SALIENCY),
                         chains=RESAMPLED, weights="m.onnx")  # fmt: skip
    same = occlusion(tmp_path / "scripted", Brightness(), OCCLUSION + "fill = 0.0\n")

    found, expected = (predicted(one, spotted()).maps[0].values for one in (folder, same))

    assert found == pytest.approx(expected, abs=1e-5)
    assert expected.any()


def test_the_fall_is_that_of_the_box_itself(tmp_path: Path) -> None:
    """One box that hides everything: what is left of the answer is the answer to nothing."""
    folder = occlusion(tmp_path / "all", Brightness(), f'{TABLE}by = "occlusion"\nbox_mm = 1000\nfill = 0.0\n')
    found = predicted(folder, spotted())

    inside = found.maps[0].values[1:-1, 2:-2, 2:-2]
    assert inside == pytest.approx(np.full_like(inside, found.classifications[0].probability))


def test_a_network_that_looks_nowhere_has_an_empty_map(tmp_path: Path) -> None:
    found = predicted(occlusion(tmp_path / "blind", Blind()), spotted())

    assert not found.maps[0].values.any()


@pytest.mark.parametrize("layer", ["features.conv0", "features.norm5", "class_layers.relu"])
def test_activations_that_speak_for_the_answer_lie_where_it_comes_from(tmp_path: Path, layer: str) -> None:
    found = predicted(grad_cam(tmp_path / "cam", layer), spotted())

    values = found.maps[0].values
    assert values.shape == SHAPE
    assert 0.5 < values.max() <= 1
    assert values.min() >= 0
    assert centroid(values) == pytest.approx(CENTRE, abs=2.0)


def test_activations_need_no_millimetres_and_boxes_do(tmp_path: Path) -> None:
    """Radiographs often have no calibration."""
    array = spotted().reference_volume.array
    uncalibrated = Inputs({"image": Volume(array, None, None)}, "image")

    found = predicted(grad_cam(tmp_path / "cam", "features", chains=""), uncalibrated)

    assert centroid(found.maps[0].values) == pytest.approx(CENTRE, abs=4.0)
    with pytest.raises(ModelRefused, match="no calibration"):
        predicted(occlusion(tmp_path / "boxes", Brightness(), chains=""), uncalibrated)


def test_what_speaks_for_nothing_is_zero(tmp_path: Path) -> None:
    found = predicted(
        grad_cam(tmp_path / "cam", "features.conv0"), oblique(np.where(spotted().volumes["image"].array < 0, -3.0, 0.0))
    )

    assert not found.maps[0].values.any()


@pytest.mark.parametrize(("threshold", "answer"), [(0.4, "present"), (0.99, "absent")])
def test_a_map_says_which_answer_it_explains(tmp_path: Path, threshold: float, answer: str) -> None:
    found = predicted(grad_cam(tmp_path / "cam", "features.conv0", threshold), spotted())

    assert f"where the answer Spot {answer} (probability" in found.summary[0]
    assert "outlines no finding" in found.summary[0]


def held(predict: Predict) -> int:
    predict(spotted())
    gc.collect()
    return sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects())


def test_gradients_are_computed_where_none_are_kept_and_leave_nothing_behind(tmp_path: Path) -> None:
    network = NetworkModel(grad_cam(tmp_path / "cam", "features.conv0"))
    with network.open(Device(threads=2)) as predict, torch.inference_mode():
        first = held(predict)
        assert held(predict) == first


def test_the_number_of_places_is_bounded_and_they_cover_everything() -> None:
    shape = (40, 50, 61)
    where = places(shape, (1.0, 1.0, 1.0), 2.0, 1.0)
    seen = np.zeros(shape, np.bool_)
    for place in where:
        seen[place] = True

    assert len(where) <= MOST_PLACES
    assert seen.all()


@pytest.mark.parametrize(
    ("explain", "findings", "words"),
    [
        (OCCLUSION.replace("spot =", "stain ="), {}, "no channel of the network: spot"),
        (OCCLUSION.replace("why-spot", "why"), {}, "no map 'why'"),
        (OCCLUSION.replace('"occlusion"', '"magic"'), {}, "one of occlusion, grad-cam"),
        (OCCLUSION.replace("stride_mm = 4.0", "stride_mm = 9.0"), {}, "stride_mm above 0"),
        (OCCLUSION + 'layer = "conv"\n', {}, "unknown key 'layer'"),
        (OCCLUSION, {"code": "110821"}, "its quantity must be"),
        (f'{TABLE}by = "grad-cam"\nlayer = "conv"\n', CAM, "has no layers to name"),
        ('flips = ["left-right"]\n' + OCCLUSION, {}, "none with flips"),
        (OCCLUSION.replace('maps = {spot = "why-spot"}', "maps = {}"), {}, "maps names for each"),
    ],
)
def test_an_explanation_that_makes_no_sense_is_refused(
    tmp_path: Path, explain: str, findings: dict[str, str], words: str
) -> None:
    folder = occlusion(tmp_path / "bright", Brightness(), explain, **findings)
    with pytest.raises(CardInvalid, match=words):
        NetworkModel(folder)


def test_a_layer_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(
        CardInvalid, match=r"no layer 'conv9'; its layers are features, features\.conv0, .*class_layers"
    ):
        predicted(grad_cam(tmp_path / "cam", "conv9"), spotted())


def test_a_layer_without_voxels_explains_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match="before the network's pooling"):
        predicted(grad_cam(tmp_path / "cam", "class_layers.flatten"), spotted())
