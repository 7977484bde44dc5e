"""Detections and several outputs of a network: what it found lies where it was, whatever form its rows have."""

from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import helper, numpy_helper

from ai.contract import Model
from ai.errors import CardInvalid, ModelFailed
from ai.findings import Detection, Shape
from ai.networks.detected import overlap
from ai.networks.model import NetworkModel
from ai.volume import Inputs, Volume
from tests.makers.networks import SEGMENT, scripted, write_model
from tests.makers.portable import model as portable
from tests.unit.ai.networks.test_cascade import CENTRE, SHAPE, SPACING, oblique
from tests.unit.ai.networks.test_cascade import image as ball
from tests.unit.ai.networks.test_model import CLASSES, DETECTION, predict

RADIOGRAPH = np.zeros((1, 60, 80), np.float32)
RADIOGRAPH[0, 20:30, 40:60] = 1.0
EDGES = [[0, 20, 40], [0, 29, 59]]
"""First and last pixel of what is bright in it."""
SQUARE = '[[prepare]]\nstep = "resize"\nshape = [0, 120, 120]\ninterpolation = "nearest"\n'
BOXES = 'dimensions = 2\nchannels = ["", "box"]\ncolumns = ["column", "row", "column", "row", "class", "score"]\n'


class Detector(torch.nn.Module):
    """As detectors of photographs answer: boxes (left, top, right, bottom), labels from 1 on, scores; no batch."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        there = (x[0, 0] > 0.5).nonzero().float()
        low, high = there.amin(0), there.amax(0)
        box = torch.stack([low[1], low[0], high[1], high[0]])
        return torch.stack([box, 0 * box]), torch.tensor([1, 1]), torch.tensor([0.9, 0.1])


class Named(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        there = (x[0, 0] > 0.5).nonzero().float()
        low, high = there.amin(0), there.amax(0)
        box = torch.stack([low[1], low[0], high[1], high[0]])
        return {"boxes": box[None], "labels": torch.tensor([1]), "scores": torch.tensor([0.9])}


class Centroid(torch.nn.Module):
    """One row of (slice, row, column, logit) with a batch: the middle of what is bright."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        middle = (x[0, 0] > 0.9).nonzero().float().mean(0)
        return torch.cat([middle, torch.tensor([2.0])])[None, None]


class Rows(torch.nn.Module):
    def __init__(self, *rows: list[float]) -> None:
        super().__init__()
        self.register_buffer("rows", torch.tensor(rows))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rows + 0 * x.sum()


class Nothing(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return torch.zeros(0, 4) + 0 * x.sum(), torch.zeros(0), torch.zeros(0)


class Twofold(torch.nn.Module):
    """Segments and classifies: logits of what is bright, and of how much there is."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.cat([torch.zeros_like(x) + 0.5, x], dim=1), x.flatten(1).mean(1, keepdim=True)


class Everywhere(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def radiograph(array: np.ndarray = RADIOGRAPH) -> Inputs:
    return Inputs({"image": Volume(array, None, None)}, "image")


def oblique_inputs() -> Inputs:
    return Inputs({"image": Volume(ball(), oblique(), SPACING)}, "image")


def made(folder: Path, network: torch.nn.Module, lines: str, findings: str = DETECTION, chains: str = "") -> Model:
    lines = f'kind = "torchscript"\n{lines}'
    return NetworkModel(write_model(folder, scripted(network), lines, findings=findings, chains=chains))


def detected(model: Model, inputs: Inputs) -> tuple[Detection, ...]:
    return predict(model, inputs).detections


@pytest.mark.parametrize("network", [Detector(), Named()])
def test_boxes_of_a_radiograph_come_back_to_its_own_pixels(tmp_path: Path, network: torch.nn.Module) -> None:
    model = made(tmp_path / "m", network, f'finds = "detections"\n{BOXES}', chains=SQUARE)

    (found,) = detected(model, radiograph())

    assert (found.key, found.shape, found.score) == ("box", Shape.BOX, pytest.approx(0.9))
    np.testing.assert_allclose(found.points, EDGES, atol=0.5)


def test_an_onnx_detector_has_several_outputs_without_a_batch(tmp_path: Path) -> None:
    said = {"boxes": [[1.0, 2, 3, 4, 5, 6]], "labels": [0.0], "scores": [0.75]}
    arrays = {name: numpy_helper.from_array(np.array(one, np.float32)) for name, one in said.items()}
    nodes = [helper.make_node("Constant", [], [name], value=one) for name, one in arrays.items()]
    columns = '["slice", "row", "column", "slice", "row", "column", "class", "score"]'
    lines = f'kind = "onnx"\nfinds = "detections"\ncolumns = {columns}\n'
    content = portable(nodes, said=list(said)).SerializeToString()

    (found,) = detected(
        NetworkModel(write_model(tmp_path / "m", content, lines, findings=DETECTION, chains="")), oblique_inputs()
    )

    assert found.score == 0.75
    np.testing.assert_allclose(found.points, [[1, 2, 3], [4, 5, 6]], atol=1e-9)


def test_a_network_of_slices_finds_on_each_slice(tmp_path: Path) -> None:
    stack = np.concatenate([RADIOGRAPH, np.roll(RADIOGRAPH, 5, axis=1), RADIOGRAPH])
    model = made(tmp_path / "m", Named(), f'finds = "detections"\n{BOXES}')

    found = detected(model, radiograph(stack))

    assert [one.points[0].tolist() for one in found] == [[0, 20, 40], [1, 25, 40], [2, 20, 40]]


def test_a_point_lies_where_it_was_seen(tmp_path: Path) -> None:
    """On a coarser grid than the images', which are cut obliquely: within half of one of their voxels."""
    lines = 'finds = "detections"\nactivation = "sigmoid"\ncolumns = ["slice", "row", "column", "score"]\n'
    chain = '[[prepare]]\nstep = "orient"\naxes = "SPR"\n[[prepare]]\nstep = "resample"\nspacing_mm = [3, 2, 2]\n'

    (found,) = detected(made(tmp_path / "m", Centroid(), lines, chains=chain), oblique_inputs())

    assert found.shape is Shape.POINT
    assert found.score == pytest.approx(1 / (1 + np.exp(-2.0)))
    np.testing.assert_allclose(found.points[0], CENTRE, atol=0.5)


@pytest.mark.parametrize("window", ["", "[network.window]\nsize = [24, 24, 24]\noverlap = 0.5\n"])
def test_a_landmark_is_where_its_channel_is_highest(tmp_path: Path, window: str) -> None:
    array = ball()
    array[7, 31, 12] = 3.0
    model = made(tmp_path / "m", Everywhere(), f'finds = "peaks"\n{window}', chains=SQUARE.replace("120, 120", "0, 0"))

    (found,) = detected(model, Inputs({"image": Volume(array, oblique(), SPACING)}, "image"))

    assert (found.shape, found.score) == (Shape.POINT, 1.0)
    np.testing.assert_allclose(found.points, [[7, 31, 12]], atol=1e-6)
    assert not detected(model, Inputs({"image": Volume(np.minimum(array, 0.3), oblique(), SPACING)}, "image"))


def test_what_reaches_beyond_the_images_ends_there_and_what_lies_beside_them_is_left_out(tmp_path: Path) -> None:
    rows = [-9.0, 4.0, -3.0, 5.0, 90.0, 9.0, 0.9], [50.0, 0.0, 0.0, 52.0, 5.0, 5.0, 0.9]
    columns = '["slice", "row", "column", "slice", "row", "column", "score"]'
    model = made(tmp_path / "m", Rows(*rows), f'finds = "detections"\ncolumns = {columns}\n')

    (found,) = detected(model, oblique_inputs())

    np.testing.assert_allclose(found.points, [[0, 4, -0.5], [5, SHAPE[1] - 0.5, 9]])


class Seen(torch.nn.Module):
    """The box around what is bright in what it gets, the surer the more of it there is."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        there = (x[0, 0] > 0.9).nonzero().float()
        if there.numel() == 0:
            return torch.zeros(1, 0, 6), torch.zeros(1, 0), torch.zeros(1, 0)
        box = torch.cat([there.amin(0), there.amax(0)])
        return box[None, None], torch.tensor([[there.shape[0] / 9999.0]]), torch.zeros(1, 1)


WINDOWS = """
finds = "detections"
most_overlap = {}
[network.window]
size = [24, 24, 24]
overlap = 0.5
"""


@pytest.mark.parametrize(("most", "count"), [(0.1, 1), (0.999, 2)])
def test_what_two_windows_see_is_found_once(tmp_path: Path, most: float, count: int) -> None:
    """A block that several windows see, whole or cut off."""
    array = np.zeros(SHAPE, np.float32)
    array[14:18, 26:34, 20:24] = 1.0
    model = made(tmp_path / "m", Seen(), WINDOWS.format(most), DETECTION.replace("threshold = 0.4", ""))

    found = detected(model, Inputs({"image": Volume(array, oblique(), SPACING)}, "image"))

    assert len({str(one.points) for one in found}) == count
    np.testing.assert_array_equal(found[0].points, [[14, 26, 20], [17, 33, 23]])


def test_things_of_two_kinds_may_lie_at_one_place(tmp_path: Path) -> None:
    box = [1.0, 2, 3, 4, 5, 6]
    rows = Rows([*box, 0.6, 0.0], [*box, 0.8, 1.0], [*box, 0.7, 0.0])
    both = DETECTION + DETECTION.replace('"box"', '"other"')

    found = detected(made(tmp_path / "m", rows, 'finds = "detections"\nmost_overlap = 0.0\n', both), oblique_inputs())

    assert [(one.key, round(one.score or 0, 6)) for one in found] == [("other", 0.8), ("box", 0.7)]


def test_an_image_that_is_smaller_than_the_window_keeps_its_places(tmp_path: Path) -> None:
    lines = WINDOWS.format(0.1).replace("[24, 24, 24]", "[64, 64, 64]")
    model = made(tmp_path / "m", Seen(), lines, DETECTION.replace("threshold = 0.4", ""))
    there = np.argwhere(ball() > 0.9)

    (found,) = detected(model, oblique_inputs())

    np.testing.assert_array_equal(found.points, [there.min(axis=0), there.max(axis=0)])


@pytest.mark.parametrize(
    ("other", "share"),
    [
        ([[0, 0, 0], [1, 1, 1]], 1.0),
        ([[0, 0, 1], [1, 1, 2]], 1 / 3),
        ([[0, 0, 2], [1, 1, 3]], 0.0),
        ([[1, 1, 1], [0, 0, 0]], 1.0),
        ([[0, 0, 0], [0, 1, 1]], 0.5),
    ],
)
def test_overlap_is_intersection_over_union(other: list[list[float]], share: float) -> None:
    assert overlap(np.array([[0.0, 0, 0], [1, 1, 1]]), np.array(other, np.float64)) == pytest.approx(share)


def test_nothing_found_is_nothing(tmp_path: Path) -> None:
    assert detected(made(tmp_path / "m", Nothing(), f'finds = "detections"\n{BOXES}'), radiograph()) == ()


def test_a_network_that_segments_and_classifies_at_once(tmp_path: Path) -> None:
    outputs = """
[[network.output]]
finds = "segments"
activation = "softmax"
[[network.output]]
finds = "classifications"
activation = "sigmoid"
"""
    chain = '[[prepare]]\nstep = "orient"\naxes = "RAS"\n[[finish]]\nstep = "argmax"\n'
    model = made(tmp_path / "m", Twofold(), outputs, SEGMENT + CLASSES.format("one"), chain)

    found = predict(model, oblique_inputs())

    np.testing.assert_array_equal(found.segments[0].mask, ball() > 0.5)
    assert found.classifications[0].probability == pytest.approx(1 / (1 + np.exp(-ball().mean())), abs=1e-6)


def test_the_same_of_a_radiograph(tmp_path: Path) -> None:
    outputs = 'dimensions = 2\n[[network.output]]\nfinds = "segments"\n[[network.output]]\nfinds = "classifications"\n'
    chain = '[[finish]]\nstep = "argmax"\n'
    model = made(tmp_path / "m", Twofold(), outputs, SEGMENT + CLASSES.format("one"), chain)

    found = predict(model, radiograph())

    np.testing.assert_array_equal(found.segments[0].mask, RADIOGRAPH > 0.5)
    assert found.classifications[0].probability == pytest.approx(RADIOGRAPH.mean())
    with pytest.raises(ModelFailed, match="take one image"):
        predict(model, radiograph(np.concatenate([RADIOGRAPH] * 2)))


@pytest.mark.parametrize(
    ("network", "lines", "words"),
    [
        (Rows([1.0, 2, 3, 4, 5, 6, 7.0, 0]), 'finds = "detections"', 'set activation = "sigmoid"'),
        (Rows([1.0, 2, 3, 4, 5, 6, 0.7, 4]), 'finds = "detections"', "of channel 4, which the card does not name"),
        (Rows([1.0, 2, 3, 4, 5, 6]), 'finds = "detections"', r"gave \(1, 6\); the card's columns .* slice, row"),
        (Nothing(), '[[network.output]]\nfinds = "peaks"\n' * 2, "no batch of one"),
        (Everywhere(), '[[network.output]]\nfinds = "peaks"\n' * 2, "gave 1 outputs, and the card names 2"),
    ],
)
def test_what_a_network_gave_amiss_is_said(tmp_path: Path, network: torch.nn.Module, lines: str, words: str) -> None:
    with pytest.raises(ModelFailed, match=words):
        detected(made(tmp_path / "m", network, lines), oblique_inputs())


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('columns = ["x", "y"]', "columns are of slice, row, column, score, class"),
        ('columns = ["row", "column", "score"]', "must name slice, row and column"),
        ('columns = ["slice", "row", "column", "row", "column"]', "once for points or twice for boxes"),
        ('dimensions = 2\ncolumns = ["slice", "row", "column"]', "row and column, and no slice"),
        ('columns = ["slice", "row", "column", "score", "score"]', "score and class once"),
        ('columns = ["slice", "row", "column"]', "no score to hold against the threshold of 'box'"),
        ('columns = ["slice", "row", "column", "score"]\nchannels = ["box", ""]', "columns name no class"),
        ('activation = "softmax"', "activation is sigmoid or none"),
        ("[network.window]\nsize = [8, 8, 8]", "most_overlap, above which those of two windows are one"),
        ("most_overlap = 1.0", "from 0 to below 1, of boxes that have a score"),
        ('most_overlap = 0.1\ncolumns = ["slice", "row", "column", "score"]', "of boxes that have a score"),
        ('flips = ["left-right"]', "with one output, of segments or classifications"),
        ('[[network.output]]\nfinds = "detections"', "unknown key 'finds'"),
    ],
)
def test_a_card_that_cannot_be_used_says_why(tmp_path: Path, lines: str, words: str) -> None:
    with pytest.raises(CardInvalid, match=words):
        made(tmp_path / "m", Nothing(), f'finds = "detections"\n{lines}\n')
