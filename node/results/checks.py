"""Reads every result object back from its bytes and compares it with findings and source before it may leave."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from node.core.identity import is_uid
from node.errors import ResultUnsound
from node.results.stamp import Edition

PIXEL_DATA = Tag("PixelData")
LENGTHS = {"AE": 16, "CS": 16, "DS": 16, "IS": 12, "LO": 64, "SH": 16, "UI": 64}
"""Most characters of one value (PS3.5 table 6.2-1)."""

FROM_SOURCE = {
    Tag(keyword)
    for keyword in (
        *("RequestAttributesSequence", "ReferencedRequestSequence"),
        *("AnatomicRegionSequence", "PrimaryAnatomicStructureSequence"),
    )
}
"""Sequences of a whole object that repeat what the source says, whose faults are the PACS's to mend."""


def expect(path: Path, what: str, found: object, expected: object) -> None:
    """Raises ResultUnsound naming the object, what differs, and both sides of it."""
    if found != expected:
        raise ResultUnsound(f"{path.name}: {what} is {found!r} in its bytes, expected {expected!r}")


def read_back(path: Path, expected: Dataset) -> Dataset:
    """The object as its bytes say it is. Raises ResultUnsound where it is not the one that was written."""
    found = pydicom.dcmread(path)
    for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        expect(path, keyword, found.get(keyword), expected.get(keyword))
    if found.get("EncapsulatedDocument") != expected.get("EncapsulatedDocument"):
        raise ResultUnsound(f"{path.name}: its document differs from the one that was drawn")
    return found


def check_common(path: Path, found: Dataset, edition: Edition, known: Iterable[str]) -> None:
    """What holds for every object: values that fit, patient and study of the source, references that exist."""
    _check_carried(path, found, edition)
    expect(path, "StudyInstanceUID", found.StudyInstanceUID, edition.origin.grid.study_uid)
    exists = set(known)
    theirs = {element.tag for element in edition.origin.carried} | FROM_SOURCE
    for element in _elements(found, theirs, set()):
        _check_value(path, element)
        if element.keyword == "ReferencedSOPInstanceUID" and element.value not in exists:
            raise ResultUnsound(f"{path.name}: it refers to {element.value}, neither source nor result of this run")


def _check_carried(path: Path, found: Dataset, edition: Edition) -> None:
    """Patient and study are the source's, byte for byte where the character set is the source's too."""
    for element in edition.origin.carried:
        name = keyword_for_tag(element.tag)
        if isinstance(element, RawDataElement) and not edition.as_unicode:
            expect(path, name, found.get_item(element.tag).value, element.value)
        elif name != "SpecificCharacterSet":
            expect(path, name, found[element.tag].value, edition.origin.header[element.tag].value)


def _check_value(path: Path, element: DataElement) -> None:
    fault = fault_of(element)
    if fault is not None:
        raise ResultUnsound(f"{path.name}: {fault}")


def fault_of(element: DataElement) -> str | None:
    """What is wrong with an element, in words: UIDs are UIDs, no value is longer than its representation allows, every
    code is whole."""
    if element.VR == "SQ" and element.keyword.endswith("CodeSequence"):
        return _fault_of_codes(element)
    most = LENGTHS.get(element.VR)
    if most is None or element.is_empty:
        return None
    for value in element.value if element.VM > 1 else [element.value]:
        if len(str(value)) > most:
            return f"{element.keyword} is longer than {element.VR} allows: {value}"
        if element.VR == "UI" and not is_uid(str(value)):
            return f"{element.keyword} is not a UID: {value}"
    return None


def _fault_of_codes(element: DataElement) -> str | None:
    for item in element.value:
        value = item.get("CodeValue") or item.get("LongCodeValue") or item.get("URNCodeValue")
        if not (value and item.get("CodeMeaning") and (item.get("CodingSchemeDesignator") or "URNCodeValue" in item)):
            return f"{element.keyword} holds a code without value, scheme or meaning: {item}"
    return None


def check_page(path: Path, found: Dataset, pixels: npt.NDArray[np.uint8]) -> None:
    """The page holds the picture that was drawn."""
    expect(path, "rows and columns", (found.Rows, found.Columns), pixels.shape[:2])
    if bytes(found.PixelData) != pixels.tobytes():
        raise ResultUnsound(f"{path.name}: its pixels differ from the page that was drawn")


def _elements(
    dataset: Dataset, without: Collection[BaseTag], seen: set[tuple[BaseTag, bytes]]
) -> Iterator[DataElement]:
    """Every element, those in sequences too, without pixels.

    One that stands in many items with the same bytes, as in the functional groups of frames, is yielded once: `seen`
    are those that were.
    """
    for tag in [one for one in dataset.keys() if one != PIXEL_DATA and one not in without]:  # noqa: SIM118  by tag
        raw = dataset.get_item(tag)
        if isinstance(raw, RawDataElement) and raw.value is not None:
            if (tag, raw.value) in seen:
                continue
            seen.add((tag, raw.value))
        element = dataset[tag]
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from _elements(item, (), seen)
