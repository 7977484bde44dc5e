"""The report as an encapsulated PDF (PS3.3 A.45.1): numbers, histograms of what was segmented, key slices."""

import io
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from ai.findings import Findings
from ai.volume import Volume
from node.errors import ResultUnsound
from node.results.checks import expect
from node.results.equipment import PRODUCT
from node.results.keyslices import key_slices
from node.results.pages import draw_slice_page
from node.results.pictures import drawn_masks, window_for
from node.results.stamp import Edition, new_object, stamp
from node.results.summary import declared_window
from node.results.text import TITLE
from node.results.uids import RenditionKind
from node.results.wording import (
    DISCLAIMER,
    absence,
    absent_segments,
    assertions,
    cautions,
    numbers_by_region,
    present_segments,
)

MIME_TYPE = "application/pdf"
A4_INCH = (8.27, 11.69)
LEFT, TOP, BOTTOM, LINE = 0.08, 0.94, 0.08, 0.019
"""In parts of the page; LINE is the height of a line of ten points."""
LINE_CHARACTERS = 92
NAME_CHARACTERS = 52
PLOT_HEIGHT = 0.2
BINS = 80
SLICES_PER_PAGE = 4
QUIET, CAUTION = "#5b6470", "#8a5a00"


def build_pdf(findings: Findings, edition: Edition, volume: Volume) -> Iterator[tuple[str, Dataset]]:
    """The document, named."""
    kind, content = RenditionKind.PDF, draw_pdf(findings, edition, volume)
    result = new_object(edition, kind, EncapsulatedPDFStorage, "DOC")
    result.ConversionType = "WSD"
    result.BurnedInAnnotation = "NO"  # no page names the patient: the viewer does
    result.AcquisitionDateTime = None
    result.DocumentTitle = f"AI: {edition.card.title}"
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = TITLE[:3]
    result.ConceptNameCodeSequence = [title]
    result.MIMETypeOfEncapsulatedDocument = MIME_TYPE
    result.EncapsulatedDocumentLength = len(content)
    result.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    stamp(result, edition, RenditionKind.PDF, body_part=False)
    yield "pdf", result


def check_pdf(path: Path, found: Dataset, _findings: Findings, _edition: Edition, _volume: Volume) -> None:
    """A whole PDF, as long as it says; that it is the one that was drawn is checked as it is read back."""
    expect(path, "MIME type", found.MIMETypeOfEncapsulatedDocument, MIME_TYPE)
    content, length = bytes(found.EncapsulatedDocument), found.EncapsulatedDocumentLength
    expect(path, "length", len(content), length + length % 2)
    if not (content.startswith(b"%PDF-") and content[:length].rstrip().endswith(b"%%EOF")):
        raise ResultUnsound(f"{path.name}: its document is no whole PDF")


def draw_pdf(findings: Findings, edition: Edition, volume: Volume) -> bytes:
    """The pages. Nothing in them is random or names the patient: the same run gives the same bytes."""
    written = io.BytesIO()
    told = {"Title": edition.card.title, "Creator": PRODUCT, "CreationDate": edition.started_at}
    with mpl.rc_context(), PdfPages(written, metadata=told) as pages:
        mpl.rcParams.update(
            {"pdf.fonttype": 42, "font.family": "DejaVu Sans", "font.size": 10, "text.parse_math": False}
        )
        paper = _Paper(f"{DISCLAIMER}  {edition.card.name} {edition.card.version}")
        _write_numbers(paper, findings, edition)
        _plot_histograms(paper, findings, edition, volume)
        _write_notes(paper, edition)
        for page in [*paper.pages, *_slice_pages(findings, edition, volume, paper)]:
            pages.savefig(page)
    return written.getvalue()


@dataclass
class _Paper:
    """Pages filled from top to bottom."""

    foot: str
    pages: list[Figure] = field(default_factory=list)
    top: float = 0.0

    def new_page(self) -> Figure:
        page = Figure(figsize=A4_INCH)
        page.text(LEFT, BOTTOM / 2, self.foot, color=CAUTION, size=8)
        return page

    def room(self, height: float) -> Figure:
        """The page with that much room below `top`."""
        if not self.pages or self.top - height < BOTTOM:
            self.pages.append(self.new_page())
            self.top = TOP
        return self.pages[-1]

    def line(self, text: str, size: float = 10, colour: str = "black", weight: str = "normal") -> None:
        """A paragraph, wrapped."""
        height = LINE * size / 10
        for part in textwrap.wrap(text, int(LINE_CHARACTERS * 10 / size)) or [""]:
            self.room(height).text(LEFT, self.top - height, part, size=size, color=colour, weight=weight)
            self.top -= height

    def row(self, name: str, values: Sequence[str], weight: str = "normal") -> None:
        """A row of a table: the name on the left, the values in columns on the right."""
        parts = textwrap.wrap(name, NAME_CHARACTERS) or [""]
        page = self.room(LINE * len(parts))
        for number, value in enumerate(reversed(values)):
            wrapped = "\n".join(textwrap.wrap(value, 16))
            at = (1 - LEFT - number * 0.17, self.top - LINE)
            page.text(*at, wrapped, ha="right", va="baseline" if "\n" not in wrapped else "bottom", weight=weight)
        for part in parts:
            self.top -= LINE
            page.text(LEFT, self.top, part, weight=weight)

    def gap(self) -> None:
        self.top -= LINE * 0.7


def _write_numbers(paper: _Paper, findings: Findings, edition: Edition) -> None:
    card, origin = edition.card, edition.origin
    paper.line(card.title, 17, weight="bold")
    paper.line(f"{card.name} {card.version}, {card.vendor}", colour=QUIET)
    series = origin.text("SeriesNumber") or "without number"
    paper.line(f"Series {series}, {origin.text('Modality')}, {origin.extent}.", colour=QUIET)
    paper.line(f"Analysis started {edition.started_at:%Y-%m-%d %H:%M:%S}.", colour=QUIET)
    paper.gap()
    paper.line(DISCLAIMER, 12, CAUTION, "bold")
    paper.gap()
    cells = numbers_by_region(findings, card)
    regions = list(cells)
    for begin in range(0, len(regions), 3):
        part = regions[begin : begin + 3]
        paper.gap()
        paper.row("", part, "bold")
        for name in dict.fromkeys(name for region in part for name in cells[region]):
            paper.row(name, [cells[region].get(name, "") for region in part])
    paper.gap()
    for line in (*assertions(findings, card), *findings.summary):
        paper.line(line)
    for segment in absent_segments(findings, card):
        paper.line(absence(segment))


def _plot_histograms(paper: _Paper, findings: Findings, edition: Edition, volume: Volume) -> None:
    """The values of the images in each segment, as shares of its voxels."""
    masks = drawn_masks(findings, edition.card)
    if not masks:
        return
    values = [volume.array[mask] for mask, _ in masks]
    ends = np.percentile(np.concatenate([np.percentile(one, (0.5, 99.5)) for one in values]), (0, 100))
    edges = np.linspace(ends[0], max(ends[1], ends[0] + 1), BINS + 1)
    page = paper.room(PLOT_HEIGHT + 3 * LINE)
    axes = page.add_axes((LEFT + 0.05, paper.top - PLOT_HEIGHT - LINE, 1 - 2 * LEFT - 0.05, PLOT_HEIGHT))
    labels = [one.label for one in present_segments(findings, edition.card)]
    for one, (_, colour), label in zip(values, masks, labels, strict=True):
        counts, _ = np.histogram(one, edges)
        shares = 100 * counts / one.size
        rgb = tuple(part / 255 for part in colour)
        axes.stairs(shares, edges, fill=True, color=(*rgb, 0.25))
        axes.stairs(shares, edges, color=rgb, linewidth=1.2, label=label)
    axes.set_xlabel("Attenuation [HU]" if volume.facts.modality == "CT" else "Image value")
    axes.set_ylabel("% of voxels")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    axes.tick_params(colors=QUIET, labelsize=8)
    paper.top -= PLOT_HEIGHT + 4 * LINE


def _write_notes(paper: _Paper, edition: Edition) -> None:
    paper.gap()
    for line in cautions(edition.card, edition.origin.grid.notes):
        paper.line(line, 8, QUIET)


def _slice_pages(findings: Findings, edition: Edition, volume: Volume, paper: _Paper) -> Iterator[Figure]:
    """Key slices as in the summary, four on a page."""
    window = window_for(volume, edition.card, declared_window(edition.origin))
    keys = key_slices(findings, len(edition.origin.frames))
    for begin in range(0, len(keys), SLICES_PER_PAGE):
        page = paper.new_page()
        for place, index in enumerate(keys[begin : begin + SLICES_PER_PAGE]):
            across, down = place % 2, place // 2
            axes = page.add_axes((LEFT + across * 0.43, 0.53 - down * 0.44, 0.41, 0.41))
            axes.set_axis_off()
            picture = draw_slice_page(index, volume, findings, edition, window)
            axes.imshow(picture.resize((picture.width * 3 // 4, picture.height * 3 // 4), Image.Resampling.LANCZOS))
        yield page
