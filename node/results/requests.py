"""Which order the images were made for, in the places where images and documents state it."""

import copy

from pydicom.dataset import Dataset

OF_REQUEST = (
    *("AccessionNumber", "IssuerOfAccessionNumberSequence", "ReferencedStudySequence", "RequestedProcedureID"),
    *("RequestedProcedureDescription", "RequestedProcedureCodeSequence"),
)
"""What an item of Request Attributes Sequence (PS3.3 table 10-9) and one of Referenced Request Sequence (table C.17-2)
have in common."""


def put_requests(result: Dataset, header: Dataset, *, is_document: bool) -> None:
    """State the source's orders as its kind of object does; nothing where the source names none."""
    requests = header.get("RequestAttributesSequence")
    if not requests:
        return
    if not is_document:
        result.RequestAttributesSequence = copy.deepcopy(requests)
        return
    result.ReferencedRequestSequence = [_referenced(one, header) for one in requests]


def _referenced(request: Dataset, header: Dataset) -> Dataset:
    """Type 2 attributes are there, empty where the source does not know them."""
    item = Dataset()
    item.StudyInstanceUID = header.StudyInstanceUID
    item.ReferencedStudySequence = []
    item.AccessionNumber = header.get("AccessionNumber", "")
    item.PlacerOrderNumberImagingServiceRequest = item.FillerOrderNumberImagingServiceRequest = ""
    item.RequestedProcedureID = item.RequestedProcedureDescription = ""
    item.RequestedProcedureCodeSequence = []
    for keyword in OF_REQUEST:
        if keyword in request:
            item[keyword] = copy.deepcopy(request[keyword])
    return item
