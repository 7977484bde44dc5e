"""Standardised uptake from the header of a PET image, and nothing where the header does not say enough."""

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.makers.images import ct_dataset, write
from tests.unit.jobs.test_reading import read, read_one

HALF_LIFE_S = 6586.2


def pet(drug: dict[str, Any] | None = None, **changes: Any) -> Dataset:
    """An FDG scan of 80 kg: 400 MBq at 10:00, the scan begins one half-life later."""
    ds = ct_dataset()
    ds.Modality, ds.Units, ds.CorrectedImage, ds.DecayCorrection = "PT", "BQML", ["DECY", "ATTN", "SCAT"], "START"
    ds.PatientWeight, ds.SeriesDate, ds.SeriesTime = "80", "20260302", "114946.2"
    ds.AcquisitionDate, ds.AcquisitionTime = "20260302", "115500"
    item = Dataset()
    item.RadiopharmaceuticalStartTime = "100000.00"
    item.RadionuclideTotalDose, item.RadionuclideHalfLife = "400000000", str(HALF_LIFE_S)
    for one, values in ((item, drug or {}), (ds, changes)):
        for keyword, value in values.items():
            if value is None:
                delattr(one, keyword)
            else:
                setattr(one, keyword, value)
    ds.RadiopharmaceuticalInformationSequence = Sequence([item])
    return ds


@pytest.mark.parametrize(
    ("drug", "changes", "expected"),
    [
        ({}, {}, 80000 / (400e6 * 0.5)),
        ({}, {"DecayCorrection": "ADMIN"}, 80000 / 400e6),
        ({"RadiopharmaceuticalStartDateTime": "20260302100000.00+0100"}, {}, 80000 / (400e6 * 0.5)),
        ({"RadiopharmaceuticalStartDateTime": "20260302081013.8"}, {}, 80000 / (400e6 * 0.25)),
        (
            {"RadiopharmaceuticalStartDateTime": "20260302090000.00+0000"},
            {"TimezoneOffsetFromUTC": "+0100"},
            80000 / (400e6 * 0.5),
        ),
        (
            {"RadiopharmaceuticalStartDateTime": "20260301230000-0500", "RadiopharmaceuticalStartTime": None},
            {"TimezoneOffsetFromUTC": "+0600"},
            80000 / (400e6 * 0.5),
        ),
        ({"RadiopharmaceuticalStartDateTime": "20260302090000+0000"}, {}, None),
        ({"RadiopharmaceuticalStartDateTime": "20260302+0000"}, {}, None),
        ({}, {"Units": "GML"}, 1.0),
        ({}, {"Units": "GML", "SUVType": "LBM"}, None),
        ({}, {"Units": "CNTS"}, None),
        ({}, {"DecayCorrection": "NONE"}, None),
        ({}, {"CorrectedImage": ["DECY"]}, None),
        ({}, {"PatientWeight": None}, None),
        ({}, {"PatientWeight": "0"}, None),
        ({"RadionuclideTotalDose": None}, {}, None),
        ({"RadionuclideHalfLife": None}, {}, None),
        ({"RadionuclideTotalDose": "400"}, {}, None),
        ({"RadionuclideHalfLife": "109.77"}, {}, None),
        ({"RadionuclideHalfLife": "282240"}, {}, None),
        (
            {"RadionuclideHalfLife": "282240", "RadiopharmaceuticalStartDateTime": "20260302100000"},
            {},
            80000 / (400e6 * 0.5 ** (6586.2 / 282240)),
        ),
        ({"RadiopharmaceuticalStartTime": "120000"}, {}, None),
        ({"RadiopharmaceuticalStartTime": "noon"}, {}, None),
        ({}, {"SeriesTime": "130000"}, None),
        ({}, {"Modality": "CT"}, None),
    ],
)
def test_uptake_is_weight_by_dose_left_or_unknown(
    tmp_path: Path, drug: dict[str, Any], changes: dict[str, Any], expected: float | None
) -> None:
    factor = read_one(tmp_path, pet(drug, **changes)).facts.suv_bw_factor

    assert factor == (expected if expected is None else pytest.approx(expected, rel=1e-6))


def test_of_two_drugs_it_is_not_known_which_is_seen(tmp_path: Path) -> None:
    ds = pet()
    ds.RadiopharmaceuticalInformationSequence.append(ds.RadiopharmaceuticalInformationSequence[0])

    assert read_one(tmp_path, ds).facts.suv_bw_factor is None


@pytest.mark.parametrize(("first_acquired", "is_known"), [("115000", True), ("114000", False)])
def test_a_series_began_before_all_of_its_images_wherever_they_lie(
    tmp_path: Path, first_acquired: str, is_known: bool
) -> None:
    """Of a scan from the head down the lowest image is the last: the series may have been made in between."""
    for number, acquired in ((1, "115500"), (2, first_acquired)):
        image = pet(AcquisitionTime=acquired)
        image.SOPInstanceUID, image.InstanceNumber = f"1.2.3.4.{number}", number
        image.ImagePositionPatient = [-10, -20, 2 * number]
        write(tmp_path / f"{number}.dcm", image)

    assert (read(tmp_path)[0].facts.suv_bw_factor is not None) is is_known
