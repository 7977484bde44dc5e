"""Mirrored images: what a network says of one side only cancels out, and what has a side is never mirrored."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ai.device import Device
from ai.errors import CardInvalid
from ai.networks.flips import asked
from ai.networks.model import NetworkModel
from ai.volume import Inputs, Volume
from tests.makers.networks import SEGMENT, scripted, write_model

ORIENT = '[[prepare]]\nstep = "orient"\naxes = "RAS"\n[[finish]]\nstep = "argmax"\n'
MAP = """
[[map]]
key = "doubt"
label = "Doubt"
quantity = ["110851", "DCM", "Uncertainty"]
unit = ["1", "UCUM", "no units"]
shown = [0.0, 0.5]
"""
LINES = 'kind = "torchscript"\nfinds = "segments"\nflips = ["left-right"]\ndisagreement = "doubt"\n'


class OneSided(torch.nn.Module):
    """Bright, but for what lies in the first half of the first axis: there it sees nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = x.clone()
        seen[:, :, : x.shape[2] // 2] = 0.0
        return torch.cat([torch.zeros_like(x) + 0.3, seen], dim=1)


def test_a_network_that_sees_one_half_sees_both_in_the_mirror_and_disagrees_where_it_was_blind(tmp_path: Path) -> None:
    array = np.zeros((6, 5, 8), np.float32)
    array[2:4, 1:4, 1:7] = 1.0
    affine = np.eye(4)[[2, 1, 0, 3]]  # slices towards the head, columns towards the left
    model = NetworkModel(write_model(tmp_path / "sided", scripted(OneSided()), LINES, findings=SEGMENT + MAP,
                                     chains=ORIENT))  # fmt: skip
    with model.open(Device()) as predict:
        found = predict(Inputs({"image": Volume(array, affine, (1.0, 1.0, 1.0))}, "image"))

    assert np.array_equal(found.segments[0].mask, array > 0)
    assert found.maps[0].values == pytest.approx(array * 0.5)


def test_every_combination_of_axes_is_asked_once() -> None:
    shown: list[tuple[float, ...]] = []

    def network(image: torch.Tensor) -> np.ndarray:
        shown.append(tuple(image[0, :, 0, 0].tolist()) + tuple(image[0, 0, :, 0].tolist()))
        return image[0, 0, 0, :1].numpy()

    image = torch.arange(8.0).reshape(1, 2, 2, 2)
    answer = asked(network, image, (0, 1), everywhere=False)

    assert len(set(shown)) == len(shown) == 4
    assert answer.values == pytest.approx([np.mean([0, 4, 2, 6])])
    assert float(answer.spread) == pytest.approx(np.std([0, 4, 2, 6]))


@pytest.mark.parametrize(
    ("lines", "findings", "chains", "words"),
    [
        (LINES, SEGMENT.replace('"Bright"', '"Left lung"') + MAP, ORIENT, "has a side"),
        (
            LINES,
            SEGMENT.replace("site = ", 'modifier = ["7771000", "SCT", "Left"]\nsite = ') + MAP,
            ORIENT,
            "has a side",
        ),
        (LINES.replace("left-right", "sideways"), SEGMENT + MAP, ORIENT, "flips are of left-right"),
        (LINES.replace('"doubt"', '"other"'), SEGMENT + MAP, ORIENT, "no map 'other'"),
        (LINES.replace('flips = ["left-right"]', ""), SEGMENT + MAP, ORIENT, "there are none"),
        (LINES, SEGMENT + MAP, '[[finish]]\nstep = "argmax"\n', "a step `orient`"),
    ],
)
def test_flips_that_make_no_sense_are_refused(
    tmp_path: Path, lines: str, findings: str, chains: str, words: str
) -> None:
    folder = write_model(tmp_path / "sided", scripted(OneSided()), lines, findings=findings, chains=chains)
    with pytest.raises(CardInvalid, match=words), NetworkModel(folder).open(Device()):
        pass
