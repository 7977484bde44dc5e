"""Reads a source's header without what of it cannot be parsed, so that whoever reads on does not meet it."""

from pathlib import Path

import pydicom
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from node.results.carried import TEXT_VRS
from node.state.part10 import PARSE_ERRORS

FUNCTIONAL_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


def read_header(path: Path) -> Dataset:
    """All of it before the pixels; text stays undecoded, as it is carried over byte for byte.

    Raises OSError, InvalidDicomError.
    """
    header: Dataset = pydicom.dcmread(path, stop_before_pixels=True)
    _leave_out_unreadable(header)
    return header


def _leave_out_unreadable(header: Dataset) -> None:
    """At any depth: no archive reads it either, and it must not stop a result. Functional groups say where frames lie:
    without them there is no result."""
    for tag in list(header.keys()):
        if _is_undecoded_text(header, tag):
            continue
        try:
            element = header[tag]
        except PARSE_ERRORS:
            del header[tag]
            continue
        if element.VR == "SQ" and element.keyword not in FUNCTIONAL_GROUPS:
            for item in element.value:
                _leave_out_unreadable(item)


def _is_undecoded_text(header: Dataset, tag: BaseTag) -> bool:
    element = header.get_item(tag)
    if not isinstance(element, RawDataElement):
        return False
    return (element.VR or (dictionary_VR(tag) if dictionary_has_tag(tag) else "UN")) in TEXT_VRS
