"""What turns a PET image's activity into standardised uptake by body weight, as far as its header says."""

from datetime import datetime, timedelta

from pydicom.valuerep import DA, TM

from node.state.attributes import Attributes
from node.state.part10 import tags_of

TAGS = tags_of(
    "Units SUVType CorrectedImage DecayCorrection PatientWeight SeriesDate SeriesTime AcquisitionDate AcquisitionTime "
    "RadiopharmaceuticalInformationSequence"
)
LONGEST = timedelta(days=1)
"""Between injection and scan: more is a slip in the header."""


def suv_bw_factor(header: Attributes) -> float | None:
    """g/mL per unit of the image (QIBA, SUV computation, vendor-neutral); None where the header does not say enough.

    Decay is counted from the injection to the start of the scan (DecayCorrection START) or not at all (ADMIN).
    """
    units = header.code("Units")
    if units == "GML":
        return 1.0 if header.code("SUVType") in (None, "BW") else None
    if units != "BQML" or not {"ATTN", "DECY"} <= set(header.texts("CorrectedImage")):
        return None
    drug, weight_kg = header.item("RadiopharmaceuticalInformationSequence"), header.number("PatientWeight")
    dose_bq = drug.number("RadionuclideTotalDose") if drug else None
    if drug is None or not weight_kg or not dose_bq or weight_kg < 0 or dose_bq < 0:
        return None
    left = _share_left(header, drug)
    return None if left is None else weight_kg * 1000 / (dose_bq * left)


def _share_left(header: Attributes, drug: Attributes) -> float | None:
    """The share of the dose that is left at the time to which the image was corrected."""
    correction = header.code("DecayCorrection")
    if correction == "ADMIN":
        return 1.0
    half_life_s, scanned, injected = drug.number("RadionuclideHalfLife"), _scan_start(header), _injected(header, drug)
    if correction != "START" or not half_life_s or half_life_s < 0 or scanned is None or injected is None:
        return None
    passed = scanned - injected
    if not timedelta(0) <= passed <= LONGEST:
        return None
    return float(2.0 ** (-passed.total_seconds() / half_life_s))


def _scan_start(header: Attributes) -> datetime | None:
    """The series' start; None where it is later than this image's acquisition: the series was made afterwards."""
    series, acquired = _moment(header, "Series"), _moment(header, "Acquisition")
    return series if series is not None and acquired is not None and series <= acquired else None


def _injected(header: Attributes, drug: Attributes) -> datetime | None:
    """The moment of injection, local to the scanner as the series' times are."""
    whole = drug.text("RadiopharmaceuticalStartDateTime")
    if whole is None:
        return _joined(header.text("SeriesDate"), drug.text("RadiopharmaceuticalStartTime"))
    return _joined(whole[:8], whole[8:].partition("+")[0].partition("-")[0])


def _moment(header: Attributes, what: str) -> datetime | None:
    return _joined(header.text(f"{what}Date"), header.text(f"{what}Time"))


def _joined(day: str | None, time: str | None) -> datetime | None:
    try:
        return datetime.combine(DA(day), TM(time)) if day and time else None
    except ValueError:
        return None
