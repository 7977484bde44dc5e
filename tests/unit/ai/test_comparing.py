"""What check_model sees of detections, maps and derived series: not only how many there are, but where."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ai.device import Device
from ai.findings import Classification, DerivedSeries, Detection, Findings, Map, Measurement, Segment, Shape
from ai.testing.checking import check_model
from ai.testing.comparing import AS_SEEN, EXACT, differences
from ai.testing.samples import views
from ai.volume import Facts, Inputs, Volume
from tests.unit.ai.networks.test_cascade import SPACING, oblique
from tests.unit.ai.networks.test_cascade import image as ball
from tests.unit.ai.networks.test_detected import Centroid, Everywhere, made
from tests.unit.ai.networks.test_model import DERIVED, DETECTION, MAP

POINTS = 'finds = "detections"\nactivation = "sigmoid"\ncolumns = ["slice", "row", "column", "score"]\n'
ORIENT = '[[prepare]]\nstep = "orient"\naxes = "SPR"\n'
INPUTS = Inputs({"image": Volume(ball(), oblique(), SPACING, Facts(modality="CT"))}, "image")


class Middle(Centroid):
    """Says that it is in the middle of the first slice, wherever that was in the patient."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[[0.0, 30.0, 25.0, 2.0]]]) + 0 * x.sum()


class Ramp(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.linspace(0, 1, x.shape[2])[None, None, :, None, None]


@pytest.mark.parametrize(
    ("network", "lines", "findings", "chain", "seen"),
    [
        (Centroid(), POINTS, DETECTION, ORIENT, ""),
        (Middle(), POINTS, DETECTION, "", "detection box at (slice, row, column) 0.0, 30.0, 25.0: the nearest lies"),
        (Everywhere(), 'finds = "maps"\n', MAP, ORIENT, ""),
        (Ramp(), 'finds = "maps"\n', MAP, "", "map map: "),
        (Ramp(), 'finds = "derived"\n', DERIVED, "", "derived series doubled: "),
    ],
)
def test_places_are_compared_from_every_side(
    tmp_path: Path, network: torch.nn.Module, lines: str, findings: str, chain: str, seen: str
) -> None:
    verdicts = list(check_model(made(tmp_path / "m", network, lines, findings, chain), [INPUTS], Device()))
    turned = [one for one in verdicts if one.name == "orientation: slices in reverse order"]

    assert seen or all(one.holds for one in verdicts if not one.name.startswith(("refusal", "memory")))
    assert [one.holds for one in turned] == [not seen]
    assert turned[0].seen.startswith(seen or "the same")
    assert ("orient" in turned[0].mend) == bool(seen)


def test_nothing_found_is_said_to_prove_little(tmp_path: Path) -> None:
    model = made(tmp_path / "m", Centroid(), POINTS, DETECTION.replace("0.4", "0.99"))
    (found,) = [one for one in check_model(model, [INPUTS], Device()) if one.name == "findings"]

    assert found.holds
    assert "give a study in which it finds something" in found.seen


ONE = Findings(
    segments=(Segment("a", ball() > 0.5, "image"),),
    measurements=(Measurement("m", 2.0),),
    classifications=(Classification("c", 0.5),),
    detections=(Detection("d", Shape.BOX, np.array([[1.0, 2, 3], [4, 9, 8]]), "image", 0.5),),
    maps=(Map("p", ball(), "image"),),
    derived=(DerivedSeries("s", ball(), "image"),),
)
OTHERS = {
    "segment a: Dice 0": Findings(segments=(Segment("a", ball() > 2, "image"),)),
    "measurement m: 2.1, was 2": Findings(measurements=(Measurement("m", 2.1),)),
    "classification c: 0.6000, was 0.5000": Findings(classifications=(Classification("c", 0.6),)),
    "0 detections, were 1": Findings(),
    "the nearest lies 5.0 voxels away": Findings(
        detections=(Detection("d", Shape.BOX, np.array([[1.0, 2, 3], [4, 9, 13]]), "image", 0.5),)
    ),
    "detection d: score 0.9000, was 0.5000": Findings(
        detections=(Detection("d", Shape.BOX, ONE.detections[0].points, "image", 0.9),)
    ),
    "map p: not there": Findings(),
    "derived series s: 100.00% of its range": Findings(derived=(DerivedSeries("s", ball() + 1, "image"),)),
}


@pytest.mark.parametrize("words", OTHERS)
def test_each_difference_is_said(words: str) -> None:
    assert any(words in line for line in differences(OTHERS[words], ONE, AS_SEEN, None))
    assert not list(differences(ONE, ONE, EXACT, None))


def test_places_of_a_view_are_those_of_its_voxels(tmp_path: Path) -> None:
    card = made(tmp_path / "m", Centroid(), POINTS).card
    for view in views(INPUTS, card):
        array = view.inputs.reference_volume.array
        at = np.argwhere(array == array.max())[:5]
        back = view.places_back(at.astype(np.float64), "image").astype(int)

        assert (ball()[tuple(back.T)] == ball().max()).all()
