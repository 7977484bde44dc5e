"""Maps and derived series as a model returns them: declared in its card, finite, and whole on the other side."""

from pathlib import Path

import numpy as np
import pytest

from ai.agreement import check_findings
from ai.card import read_card
from ai.errors import CardInvalid, ModelFailed
from ai.exchange import load_findings, load_inputs, save_findings, save_inputs
from ai.findings import DerivedSeries, Detection, Findings, Map, Segment, Shape
from ai.volume import Inputs, Volume
from tests.makers.models import Told

CARD = """
name = "maps"
version = "1"
vendor = "Isocenter"
title = "A map"
intended_use = ""
licence = "Apache-2.0"
memory_mb = 1
timeout_s = 1
reference = "ct"

[[input]]
name = "ct"
modality = "CT"

[[map]]
key = "suspicion"
label = "Suspicion"
quantity = ["130404", "DCM", "Saliency"]
unit = ["1", "UCUM", "no units"]
shown = [0, 1]

[[detection]]
key = "spot"
label = "Spot"
type = ["27925004", "SCT", "Nodule"]
site = ["39607008", "SCT", "Lung"]

[[derived]]
key = "denoised"
label = "Denoised"
derivation = ["113087", "DCM", "Smoothing"]
"""


def volume(dtype: type = np.float64) -> np.ndarray:
    return np.arange(24, dtype=dtype).reshape(2, 3, 4) / 7


def test_a_card_declares_maps_and_derived_series(tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text(CARD)
    card = read_card(tmp_path / "card.toml")

    assert (card.map("suspicion").shown, card.map("suspicion").unit.value) == ((0.0, 1.0), "1")
    assert card.derived_series("denoised").derivation.value == "113087"
    with pytest.raises(CardInvalid, match=r"declares no map 'other'; add a \[\[map\]\]"):
        card.map("other")


@pytest.mark.parametrize("shown", ["[1, 0]", "[0]", "[0, true]", '["0", "1"]'])
def test_the_ends_of_a_maps_colours_are_two_numbers_in_order(tmp_path: Path, shown: str) -> None:
    (tmp_path / "card.toml").write_text(CARD.replace("[0, 1]", shown))

    with pytest.raises(CardInvalid, match=r"\[\[map\]\] 1: shown must be \[lowest, highest\]"):
        read_card(tmp_path / "card.toml")


def test_maps_and_derived_series_come_through_files_as_float32(tmp_path: Path) -> None:
    findings = Findings(
        maps=(Map("suspicion", volume(), "ct"),), derived=(DerivedSeries("denoised", volume() * -100, "ct"),)
    )
    save_findings(findings, tmp_path)
    found = load_findings(tmp_path)

    assert np.array_equal(found.maps[0].values, volume().astype(np.float32))
    assert np.array_equal(found.derived[0].values, (volume() * -100).astype(np.float32))
    assert (found.maps[0].key, found.derived[0].grid) == ("suspicion", "ct")


@pytest.mark.parametrize("values", [np.full((1, 2, 2), np.nan), np.full((1, 2, 2), 1e300), np.zeros((2, 2))])
@pytest.mark.parametrize("kind", [Map, DerivedSeries])
def test_values_that_no_voxel_can_have_are_refused(kind: type, values: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"finite|3D"), np.errstate(over="ignore"):
        kind("suspicion", values, "ct")


@pytest.mark.parametrize(
    "slip",
    [
        Findings(maps=(Map("other", volume(), "ct"),)),
        Findings(maps=(Map("suspicion", volume()[:1], "ct"),)),
        Findings(derived=(DerivedSeries("denoised", volume(), "mr"),)),
        Findings(derived=(DerivedSeries("other", volume(), "ct"),)),
        Findings(detections=(Detection("spot", Shape.POINT, np.zeros((1, 3)), "mr"),)),
    ],
)
def test_a_models_slip_is_its_failure(tmp_path: Path, slip: Findings) -> None:
    """What the card does not declare, or what does not lie on an input's grid."""
    (tmp_path / "card.toml").write_text(CARD)
    model = Told(read_card(tmp_path / "card.toml"), lambda _inputs: Findings())
    inputs = Inputs({"ct": Volume(volume(), None, None)}, "ct")

    check_findings(Findings(maps=(Map("suspicion", volume(), "ct"),)), model, inputs)
    with pytest.raises(ModelFailed):
        check_findings(slip, model, inputs)


def test_findings_that_can_be_gone_through_but_once_are_no_findings() -> None:
    """Whoever came second would find nothing, and that looks like a negative."""
    spot = Detection("spot", Shape.POINT, np.zeros((1, 3)), "ct")
    with pytest.raises(TypeError, match="detections is a tuple, not a generator"):
        Findings(detections=(one for one in [spot]))
    with pytest.raises(TypeError, match="summary is a tuple, not a str"):
        Findings(summary="nothing was found")

    assert Findings(detections=[spot]).detections == (spot,)


def test_a_masked_array_is_no_array_whose_values_all_count() -> None:
    hidden = np.ma.masked_less(volume(), 1)
    with pytest.raises(TypeError, match="plain array of numpy, not a MaskedArray"):
        Map("suspicion", hidden, "ct")
    with pytest.raises(TypeError, match="plain array of numpy, not a MaskedArray"):
        Segment("x", np.ma.array(hidden > 2), "ct")


def test_what_is_no_findings_is_told(tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text(CARD)
    model = Told(read_card(tmp_path / "card.toml"), lambda _inputs: Findings())
    with pytest.raises(ModelFailed, match="maps returned a NoneType where findings are expected"):
        check_findings(None, model, Inputs({"ct": Volume(volume(), None, None)}, "ct"))


def test_a_model_cannot_move_the_volume_that_it_is_given(tmp_path: Path) -> None:
    """What the card has measured after it would be of other voxels."""
    save_inputs(Inputs({"ct": Volume(volume(), np.eye(4), (1.0, 1.0, 1.0))}, "ct"), tmp_path)
    loaded = load_inputs(tmp_path)

    with pytest.raises(ValueError, match="read-only"):
        loaded.reference_volume.affine_lps[:3, :3] /= 2
    with pytest.raises(TypeError, match="does not support item assignment"):
        loaded.volumes["ct"] = loaded.reference_volume
