"""A folder with a card and a network's file is a model: what comes out is what the network says, where it says it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ai.contract import Model
from ai.device import Device
from ai.errors import CardInvalid, ModelFailed, ModelUnknown
from ai.findings import Findings
from ai.networks.architectures import build
from ai.networks.model import NetworkModel
from ai.networks.opening import load_weights
from ai.registry import find_model, model_names
from ai.volume import Inputs, Volume
from tests.makers.networks import (
    SEGMENT,
    UNET,
    Bright,
    exported,
    scripted,
    unet_weights,
    write_bright,
    write_model,
)

CPU = Device(threads=2)


def volume(array: np.ndarray, spacing_mm: tuple[float, float, float] = (2.0, 1.0, 1.0)) -> Inputs:
    return Inputs({"image": Volume(array, np.diag([*spacing_mm, 1.0])[[2, 1, 0, 3]], spacing_mm)}, "image")


def image(shape: tuple[int, int, int] = (20, 30, 40)) -> np.ndarray:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def predict(model: Model, inputs: Inputs) -> Findings:
    with model.open(CPU) as predicts:
        return predicts(inputs)


@pytest.mark.parametrize("window", ["", "\n[network.window]\nsize = [16, 16, 16]\noverlap = 0.5\nbatch = 3\n"])
def test_torchscript_and_export_find_what_is_bright(tmp_path: Path, window: str) -> None:
    shape = (16, 16, 16) if window else (20, 30, 40)
    kinds = {"torchscript": scripted(Bright()), "export": exported(Bright(), torch.zeros(2, 1, *shape))}
    for kind, content in kinds.items():
        write_model(tmp_path / kind, content, f'kind = "{kind}"\nfinds = "segments"\n{window}')

        found = predict(NetworkModel(tmp_path / kind), volume(image()))

        np.testing.assert_array_equal(found.segments[0].mask, image() > 0.5)


def test_safetensors_say_what_the_network_says(tmp_path: Path) -> None:
    parameters = "\n".join(f"{key} = {value}" for key, value in UNET.items())
    lines = f'kind = "safetensors"\narchitecture = "unet"\nfinds = "segments"\n[network.parameters]\n{parameters}'
    model = NetworkModel(write_model(tmp_path / "unet", unet_weights(), lines))
    array = image((16, 32, 32))

    found = predict(model, volume(array)).segments[0].mask

    network = load_weights(build("unet", UNET), unet_weights(), "").eval()
    with torch.inference_mode():
        said = network(torch.from_numpy(array)[None, None])[0].numpy()
    np.testing.assert_array_equal(found, said[1] > said[0])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_channels_last_says_the_same(tmp_path: Path, dimensions: int) -> None:
    torch.manual_seed(0)
    layers = {2: torch.nn.Conv2d, 3: torch.nn.Conv3d}[dimensions]
    content = scripted(torch.nn.Sequential(layers(1, 4, 3, padding=1), layers(4, 2, 1)))
    lines = f'kind = "torchscript"\nfinds = "segments"\ndimensions = {dimensions}\n'
    found = []
    for number, more in enumerate(("", "channels_last = true\ncompile = true\n")):
        model = NetworkModel(write_model(tmp_path / f"m{number}", content, lines + more))
        found.append(predict(model, volume(image((6, 20, 16)))).segments[0].mask)

    assert 0.02 < found[0].mean() < 0.98
    np.testing.assert_array_equal(found[1], found[0])


def test_the_same_input_gives_the_same_bits(tmp_path: Path) -> None:
    lines = 'kind = "torchscript"\nfinds = "maps"\n[network.window]\nsize = [16, 16, 16]\noverlap = 0.5'
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv3d(8, 1, 1))
    model = NetworkModel(write_model(tmp_path / "maps", scripted(network), lines, findings=MAP, chains=""))

    first, second = (predict(model, volume(image())).maps[0].values for _ in range(2))

    assert first.tobytes() == second.tobytes()


MAP = """
[[map]]
key = "map"
label = "Map"
quantity = ["110821", "DCM", "Probability"]
unit = ["1", "UCUM", "no units"]
shown = [0, 1]
"""
CLASSES = """
[[classification]]
key = "{}"
label = "One"
finding = ["36118008", "SCT", "Pneumothorax"]
site = ["39607008", "SCT", "Lung"]
threshold = 0.5
"""
MEASUREMENT = """
[[measurement]]
key = "mean"
label = "Mean"
name = ["373098007", "SCT", "Mean"]
unit = ["1", "UCUM", "no units"]
digits = 2
"""
DERIVED = """
[[derived]]
key = "doubled"
label = "Doubled"
derivation = ["113072", "DCM", "Multiplication"]
"""
DETECTION = """
[[detection]]
key = "box"
label = "Box"
type = ["27925004", "SCT", "Nodule"]
site = ["39607008", "SCT", "Lung"]
threshold = 0.4
"""


class Mean(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.flatten(1).mean(1, keepdim=True)
        return torch.cat([mean, 2 * mean], dim=1)


class Boxes(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = [[1.0, 2.0, 3.0, 5.0, 6.0, 7.0, 0.9, 0.0], [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.1, 0.0]]
        return torch.tensor(rows)[None] + 0 * x.sum()


class Doubled(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


class NaN(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, x / 0 * 0], dim=1)


def made(folder: Path, network: torch.nn.Module, finds: str, findings: str, **more: str) -> NetworkModel:
    lines = f'kind = "torchscript"\nfinds = "{finds}"\n{more.pop("lines", "")}'
    return NetworkModel(write_model(folder, scripted(network), lines, findings=findings, **{"chains": "", **more}))


def test_classification(tmp_path: Path) -> None:
    two = CLASSES.format("one") + CLASSES.format("two")
    model = made(tmp_path / "m", Mean(), "classifications", two, lines='activation = "sigmoid"')

    found = predict(model, volume(image())).classifications

    mean = image().mean()
    assert [one.key for one in found] == ["one", "two"]
    assert found[1].probability == pytest.approx(1 / (1 + np.exp(-2 * mean)), abs=1e-5)


def test_a_channel_without_a_key_is_left_out(tmp_path: Path) -> None:
    lines = 'activation = "softmax"\nchannels = ["", "one"]'
    model = made(tmp_path / "m", Mean(), "classifications", CLASSES.format("one"), lines=lines)

    (found,) = predict(model, volume(image())).classifications

    assert found.probability == pytest.approx(1 / (1 + np.exp(-image().mean())), abs=1e-5)


def test_regression(tmp_path: Path) -> None:
    model = made(tmp_path / "m", Mean(), "measurements", MEASUREMENT, lines='channels = ["mean", ""]')

    assert predict(model, volume(image())).measurements[0].value == pytest.approx(image().mean(), abs=1e-5)


def test_image_to_image_comes_back_to_the_images_own_grid(tmp_path: Path) -> None:
    chain = '[[prepare]]\nstep = "orient"\naxes = "RAS"\n'
    model = made(tmp_path / "m", Doubled(), "derived", DERIVED, chains=chain)

    np.testing.assert_allclose(predict(model, volume(image())).derived[0].values, 2 * image(), rtol=1e-6)


def test_where_nothing_was_made_of_an_image_it_is_its_own(tmp_path: Path) -> None:
    """In a CT, 0 would be water."""
    chain = '[[prepare]]\nstep = "crop"\nbefore = [3, 0, 5]\nafter = [0, 4, 0]\n'
    model = made(tmp_path / "m", Doubled(), "derived", DERIVED, chains=chain)
    expected = image() - 2
    expected[3:, :-4, 5:] *= 2

    np.testing.assert_allclose(predict(model, volume(image() - 2)).derived[0].values, expected, rtol=1e-6)


def test_detection_boxes_come_back_to_the_images_own_grid(tmp_path: Path) -> None:
    chain = '[[prepare]]\nstep = "resample"\nspacing_mm = [1.0, 1.0, 1.0]\n'
    model = made(tmp_path / "m", Boxes(), "detections", DETECTION, chains=chain)

    (found,) = predict(model, volume(image())).detections

    assert found.score == pytest.approx(0.9)
    np.testing.assert_allclose(found.points[1] - found.points[0], [2.0, 4.0, 4.0])


def test_overlapping_segments(tmp_path: Path) -> None:
    class Two(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x, 1 - x], dim=1)

    chain = '[[finish]]\nstep = "threshold"\nat_least = 0.3\n'
    both = SEGMENT + SEGMENT.replace('"bright"', '"dark"')
    model = made(tmp_path / "m", Two(), "segments", both, chains=chain)

    bright, dark = predict(model, volume(image())).segments

    np.testing.assert_array_equal(bright.mask, image() >= np.float32(0.3))
    np.testing.assert_array_equal(dark.mask, 1 - image() >= np.float32(0.3))


def test_a_network_of_slices(tmp_path: Path) -> None:
    lines = "dimensions = 2\n[network.window]\nsize = [16, 16]\nbatch = 4\n"
    model = NetworkModel(write_bright(tmp_path / "m", lines))

    np.testing.assert_array_equal(predict(model, volume(image())).segments[0].mask, image() > 0.5)


def test_values_that_are_no_numbers_become_no_result(tmp_path: Path) -> None:
    model = made(tmp_path / "m", NaN(), "segments", SEGMENT, chains='[[finish]]\nstep = "argmax"\n')

    with pytest.raises(ModelFailed, match="not numbers"):
        predict(model, volume(np.arange(256, dtype=np.float32).reshape(4, 8, 8)))


WINDOW = "[network.window]\nsize = [8, 8, 8]\n"


@pytest.mark.parametrize("shape", ["(batch, slices, rows, columns)", "(batch, 2, 1, 1, 1)", "half the size"])
def test_what_is_said_of_no_voxel_becomes_no_result(tmp_path: Path, shape: str) -> None:
    """It would be spread over the windows: labels as scores that are all alike, of which each voxel is background."""

    class Decided(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x[:, 0] > 0.5).float()

    class Pooled(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x, 1 - x], dim=1).mean(dim=(2, 3, 4), keepdim=True)

    class Halved(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x, 1 - x], dim=1)[:, :, ::2, ::2, ::2]

    network = {"(batch, slices, rows, columns)": Decided(), "(batch, 2, 1, 1, 1)": Pooled(), "half the size": Halved()}
    lines = f'kind = "torchscript"\nfinds = "segments"\n{WINDOW}'
    model = NetworkModel(write_model(tmp_path / "m", scripted(network[shape]), lines))

    with pytest.raises(ModelFailed, match="something of every voxel"):
        predict(model, volume(image()))


@pytest.mark.parametrize("step", ["argmax", "threshold"])
def test_a_segment_that_no_channel_finds_is_no_negative(tmp_path: Path, step: str) -> None:
    keys = ["bright", "dark", "grey"] if step == "threshold" else ["bright", "dark"]
    segments = "".join(SEGMENT.replace('"bright"', f'"{key}"') for key in keys)
    model = NetworkModel(write_bright(tmp_path / "m", findings=segments, chains=f'[[finish]]\nstep = "{step}"\n'))

    with pytest.raises(ModelFailed, match=r"gave 2 channels.*has [23] segments"):
        predict(model, volume(image()))


class Unbatched(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, 1 - x], dim=1)[0]


class Scalar(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean()


class Complex(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.complex(torch.cat([x, 1 - x], dim=1), torch.cat([x, 1 - x], dim=1))


@pytest.mark.parametrize("network", [Unbatched(), Scalar(), Complex()])
def test_what_is_no_batch_of_numbers_becomes_no_result(tmp_path: Path, network: torch.nn.Module) -> None:
    model = made(tmp_path / "m", network, "segments", SEGMENT, chains='[[finish]]\nstep = "argmax"\n')

    with pytest.raises(ModelFailed, match="the first axis must be the batch's"):
        predict(model, volume(image()))


def test_a_script_that_raises_is_a_model_that_failed(tmp_path: Path) -> None:
    class Raising(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.numel() > 0:
                raise ValueError("too many voxels")
            return x

    with pytest.raises(ModelFailed, match=r"the network failed: .*too many voxels"):
        predict(made(tmp_path / "m", Raising(), "segments", SEGMENT), volume(image()))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('kind = "torchscript"', 'kind = "pickle"', "must be one of safetensors, torchscript"),
        ('weights = "model.bin"', 'weights = "../model.bin"', "in the model's own folder"),
        ('weights = "model.bin"', 'weights = "/etc/passwd"', "in the model's own folder"),
        ('finds = "segments"', 'finds = "maps"', "declare it in the card"),
        ('finds = "segments"', 'finds = "segments"\nfind = 1', "unknown key 'find'"),
        ('finds = "segments"', 'finds = "segments"\narchitecture = "unet"', "holds its own architecture"),
        ('finds = "segments"', 'finds = "segments"\nchannels = ["dark"]', "names 'dark'"),
        ('finds = "segments"', 'finds = "segments"\ninputs = ["mr"]', "names 'mr'"),
        ('sha256 = "', 'sha256 = "A', "64 hexadecimal digits"),
        ('step = "argmax"', 'step = "argmx"', "argmax"),
        ('modality = "CT"', 'modality = "ct"', r"\[\[input\]\] 1: modality is a code of DICOM"),
        ('"axial"', '"axia"', "orientations are of axial"),
        ("memory_mb = 500", "memory_mb = 0", "memory_mb must be from 1 to"),
        ("timeout_s = 60", "timeout_s = -1", "timeout_s must be from 1 to"),
        ("#4fa8e8", "blue", r"\[\[segment\]\] 1: colour must be written as"),
        ('finds = "segments"', "", "finds is missing"),
    ],
)
def test_a_card_that_cannot_be_used_says_why(tmp_path: Path, old: str, new: str, words: str) -> None:
    card = write_bright(tmp_path / "m") / "card.toml"
    card.write_text(card.read_text().replace(old, new))

    with pytest.raises(CardInvalid, match=words):
        NetworkModel(tmp_path / "m")


def test_models_of_the_site_are_found_by_their_folder(tmp_path: Path) -> None:
    write_bright(tmp_path / "bright")

    assert {"bright", "lung-ct"} <= set(model_names(tmp_path))
    assert find_model("bright", tmp_path).card.title == "A network for tests"
    with pytest.raises(ModelUnknown, match="lung-ct"):
        find_model("dark", tmp_path)


def test_a_folder_called_otherwise_than_its_model_is_refused(tmp_path: Path) -> None:
    write_bright(tmp_path / "bright", name="dark")

    with pytest.raises(CardInvalid, match="is called as the model is"):
        find_model("bright", tmp_path)


def test_a_site_cannot_replace_a_model_that_ships(tmp_path: Path) -> None:
    write_bright(tmp_path / "lung-ct")

    with pytest.raises(CardInvalid, match="rename the folder"):
        find_model("lung-ct", tmp_path)


def test_reading_cards_imports_no_torch(tmp_path: Path) -> None:
    write_bright(tmp_path / "bright")
    program = (
        "import sys; from pathlib import Path; from ai.registry import find_model; import node.service.model_worker; "
        f"find_model('bright', Path({str(tmp_path)!r})); sys.exit('torch' in sys.modules or 'monai' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
