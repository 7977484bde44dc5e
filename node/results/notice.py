"""The notice that images were not analysed: a text report and a page that no reader can take for a negative result."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from ai.contract import ModelCard
from node.core.identity import ClassUID, InstanceUID, SeriesUID, StudyUID
from node.core.study import SourceGrid
from node.errors import IsocenterError
from node.results.carried import carried_elements
from node.results.checks import check_common, check_page, read_back
from node.results.coding import scheme_identification
from node.results.encode import ResultObject
from node.results.equipment import PRODUCT
from node.results.origin import Origin
from node.results.profile import Profile
from node.results.readable import read_header
from node.results.sheet import QUIET, Sheet
from node.results.stamp import Edition, stamp
from node.results.summary import build_page
from node.results.text import build_document, section
from node.results.uids import RenditionKind, RunIdentity

TITLE = Code("NOTANALYSED", "99ISOCENTER", "AI analysis not performed")
"""Private, because every standard title promises a report of what images show."""

NO_STATEMENT = (
    "The images were NOT analysed. This says nothing about what they show: "
    "neither that there is a finding nor that there is none."
)


class Cause(str, Enum):
    """Why there are no findings."""

    REFUSED = "refused"
    FAILED = "failed"


WORDS = {
    Cause.REFUSED: "The images do not suit the model, so that it was not run on them.",
    Cause.FAILED: "The analysis failed.",
}
STATUS = {Cause.REFUSED: codes.DCM.NotAttempted, Cause.FAILED: codes.DCM.Failed}
"""Result status of processing (PS3.16 CID 6042)."""


@dataclass(frozen=True)
class Unanalysed:
    """Images that were to be analysed. series_uid: of the reference input. instances: all of it, with their classes."""

    study_uid: StudyUID
    series_uid: SeriesUID
    instances: Mapping[InstanceUID, ClassUID]


def encode_notice(
    images: Unanalysed,
    header: Path,
    card: ModelCard,
    run: RunIdentity,
    folder: Path,
    *,
    cause: Cause,
    reason: str,
    advice: str = "",
    route: str = "",
) -> tuple[ResultObject, ...]:
    """Write notice.dcm (Basic Text SR) and notice-page.dcm (Secondary Capture) into `folder`, which exists.

    header: a file of the images, from which patient and study are taken; its pixels are not read. reason: in words,
    without patient data. Raises IsocenterError where that file cannot be read, ResultUnsound where an object differs
    from what was meant.
    """
    lines = [line for line in (NO_STATEMENT, WORDS[cause], f"Reason: {reason}", advice) if line]
    edition = Edition(
        origin=_origin(images, header),
        card=card,
        run=run,
        route=route,
        as_unicode=not all(text.isascii() for text in (*lines, card.name, card.version, card.vendor, card.title)),
        profile=Profile(),
    )
    document = _document(images, edition, cause, lines)
    page = _draw(edition, lines)
    capture = build_page(page, 1, edition, None, RenditionKind.NOTICE_PAGE)
    made = []
    for kind, result in ((RenditionKind.NOTICE, document), (RenditionKind.NOTICE_PAGE, capture)):
        path = folder / f"{kind.value}.dcm"
        result.save_as(path, enforce_file_format=True, overwrite=False)
        found = read_back(path, result)
        check_common(path, found, edition, images.instances)
        made.append(ResultObject.of(kind, path, found))
    check_page(made[1].path, pydicom.dcmread(made[1].path), np.asarray(page))
    return tuple(made)


def _origin(images: Unanalysed, header: Path) -> Origin:
    try:
        found = read_header(header)
    except (OSError, InvalidDicomError) as error:
        raise IsocenterError(f"{header} cannot be read, so no notice of this can be made: {error}") from error
    grid = SourceGrid(images.study_uid, images.series_uid, (), 0, 0, None, None)
    return Origin(grid, found, carried_elements(found), (), {})


def _document(images: Unanalysed, edition: Edition, cause: Cause, lines: list[str]) -> Dataset:
    document = build_document(edition, RenditionKind.NOTICE, {images.series_uid: list(images.instances.items())})
    status = hd.sr.CodeContentItem(codes.DCM.SummaryOfAnalyses, STATUS[cause], hd.sr.RelationshipTypeValues.CONTAINS)
    root = hd.sr.ContainerContentItem(name=TITLE)
    root.ContentSequence = hd.sr.ContentSequence(
        [
            *hd.sr.LanguageOfContentItemAndDescendants(
                hd.sr.CodedConcept("en-US", "RFC5646", "English (United States)")
            ),
            *hd.sr.ObserverContext(codes.DCM.Device, edition.algorithm.observer()),
            status,
            section(codes.DCM.Summary, codes.DCM.Comment, [*lines, _what(edition)]),
        ]
    )
    for element in root:
        document[element.tag] = element
    stamp(document, edition, RenditionKind.NOTICE, body_part=False)
    document.CodingSchemeIdentificationSequence = [scheme_identification(TITLE.scheme_designator, PRODUCT)]
    return document


def _draw(edition: Edition, lines: list[str]) -> Image.Image:
    sheet = Sheet(foot=f"NOT ANALYSED  {edition.card.name} {edition.card.version}")
    sheet.line(edition.card.title, 28, gap=8)
    sheet.banner("NOT ANALYSED", 44)
    for line in lines:
        sheet.line(line, 22, gap=10)
    sheet.rule()
    sheet.line(_what(edition), 18, QUIET)
    sheet.line(f"{edition.started_at:%Y-%m-%d %H:%M:%S} (UTC{edition.started_at.isoformat()[-6:]})", 18, QUIET)
    return sheet.pages[0]


def _what(edition: Edition) -> str:
    origin, card = edition.origin, edition.card
    number = origin.text("SeriesNumber") or "without number"
    route = f", route {edition.route}" if edition.route else ""
    return f"Meant for {card.name} {card.version} ({card.vendor}): series {number} ({origin.text('Modality')}){route}."
