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

MOST_HALF_LIVES = 10
"""A thousandth is left after so many, of which nobody makes an image: the half-life is in minutes, not seconds."""

LEAST_DOSE_BQ = 1e5
"""A mouse gets a few million: a smaller dose is in MBq, as some write it."""

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
    drugs, weight_kg = header.items("RadiopharmaceuticalInformationSequence"), header.number("PatientWeight")
    if len(drugs) != 1 or weight_kg is None or weight_kg <= 0:
        return None  # of several, which the activity is of is not said
    dose_bq = drugs[0].number("RadionuclideTotalDose")
    if dose_bq is None or dose_bq < LEAST_DOSE_BQ:
        return None
    left = _share_left(header, drugs[0])
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
    half_lives = passed.total_seconds() / half_life_s
    if not timedelta(0) <= passed <= LONGEST or half_lives > MOST_HALF_LIVES:
        return None
    return float(2.0**-half_lives)


def _scan_start(header: Attributes) -> datetime | None:
    """The series' start; None where it is later than this image's acquisition: the series was made afterwards."""
    series, acquired = _moment(header, "Series"), _moment(header, "Acquisition")
    return series if series is not None and acquired is not None and series <= acquired else None


def _injected(header: Attributes, drug: Attributes) -> datetime | None:
    """The moment of injection, local to the scanner as the series' times are.

    A date and time with an offset from UTC is brought to the series' own. Where the header states none, it is taken as
    local, unless the time that stands beside it is another: an hour more or less is a third of the dose. A time alone
    is of the day of the scan, unless what was injected days before would still be there to be seen.
    """
    whole, time = drug.text("RadiopharmaceuticalStartDateTime"), drug.text("RadiopharmaceuticalStartTime")
    if whole is None:
        half_life_s = drug.number("RadionuclideHalfLife") or 0.0
        is_gone = timedelta(seconds=MOST_HALF_LIVES * half_life_s) < timedelta(days=1)
        return _joined(header.text("SeriesDate"), time) if is_gone else None
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
