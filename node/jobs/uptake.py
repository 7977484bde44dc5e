"""What turns a PET image's activity into standardised uptake by body weight, as far as its header says."""

import re
from datetime import datetime, timedelta

from pydicom.valuerep import DA, TM

from node.state.attributes import Attributes
from node.state.part10 import tags_of

TAGS = tags_of(
    "Units SUVType CorrectedImage DecayCorrection PatientWeight SeriesDate SeriesTime AcquisitionDate AcquisitionTime "
    "RadiopharmaceuticalInformationSequence TimezoneOffsetFromUTC"
)
LONGEST = timedelta(days=1)
"""Between injection and scan: more is a slip in the header."""

OFFSET = re.compile(r"[+-][01][0-9][0-5][0-9]")


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
    """The moment of injection, local to the scanner as the series' times are.

    A date and time with an offset from UTC is brought to the series' own. Where the header states none, it is taken as
    local, unless the time that stands beside it is another: an hour more or less is a third of the dose.
    """
    whole, time = drug.text("RadiopharmaceuticalStartDateTime"), drug.text("RadiopharmaceuticalStartTime")
    if whole is None:
        return _joined(header.text("SeriesDate"), time)
    offset, of_series = whole[-5:], header.text("TimezoneOffsetFromUTC") or ""
    if not OFFSET.fullmatch(offset):
        return _joined(whole[:8], whole[8:])
    there = _joined(whole[:8], whole[8:-5])
    if there is None:
        return None
    if OFFSET.fullmatch(of_series):
        return there + _span(of_series) - _span(offset)
    beside = None if time is None else _joined(whole[:8], time)
    return there if beside is None or abs(there - beside) < timedelta(minutes=1) else None


def _span(offset: str) -> timedelta:
    span = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))
    return -span if offset[0] == "-" else span


def _moment(header: Attributes, what: str) -> datetime | None:
    return _joined(header.text(f"{what}Date"), header.text(f"{what}Time"))


def _joined(day: str | None, time: str | None) -> datetime | None:
    try:
        return datetime.combine(DA(day), TM(time)) if day and time else None
    except ValueError:
        return None
