"""The pages of a run's summary: the numbers first, then key slices with what was found in them."""

import numpy as np
from PIL import Image, ImageDraw

from ai.contract import SegmentCard
from ai.findings import Findings
from ai.volume import Volume
from node.results.origin import Origin, SourceFrame
from node.results.outlined import detected_masks
from node.results.pictures import DETECTION_COLOUR, Colour, Window, draw_plane, drawn_masks, opposite, toward
from node.results.sheet import CAUTION, GROUND, HEIGHT, INK, MARGIN, QUIET, WIDTH, Sheet, font
from node.results.stamp import Edition
from node.results.wording import (
    DISCLAIMER,
    absence,
    absent_segments,
    assertions,
    capitalised,
    cautions,
    numbers_by_region,
    present_segments,
    region_label,
)

HEAD_PX, PICTURE_PX = 56, 768
AXIS_NAMES = ("x", "y", "z")
COLUMNS = 3
NOT_OUTLINED = "Nothing is outlined here."
"""Never that nothing was found: a classification may be present, or a number be high, and has no outline."""


def draw_number_pages(findings: Findings, edition: Edition) -> list[Image.Image]:
    """What was found, by what, in what, when, and what to be careful of; no patient's name: the viewer shows it."""
    card, origin = edition.card, edition.origin
    sheet = Sheet(foot=f"{DISCLAIMER}  {card.name} {card.version}")
    sheet.line(card.title, 28, gap=8)
    sheet.line(f"{card.name} {card.version}, {card.vendor}", 18, QUIET, gap=14)
    sheet.banner(DISCLAIMER)
    _draw_numbers(sheet, findings, edition)
    for line in assertions(findings, card):
        sheet.line(line)
    for line in findings.summary:
        sheet.line(line)
    for segment in absent_segments(findings, card):
        sheet.line(absence(segment))
    sheet.rule()
    description = f' "{origin.text("SeriesDescription")}"' if origin.text("SeriesDescription") else ""
    sheet.line(
        f"Input: series {origin.text('SeriesNumber') or 'without number'}{description}, {origin.text('Modality')}, "
        f"{origin.extent}",
        18,
        QUIET,
    )
    route = f", route {edition.route}" if edition.route else ""
    started = f"{edition.started_at:%Y-%m-%d %H:%M:%S} (UTC{edition.started_at.isoformat()[-6:]})"
    sheet.line(f"Analysis started: {started}{route}", 18, QUIET)
    for note in origin.grid.notes:
        sheet.line(note, 16, QUIET)
    return sheet.pages


def draw_closing_pages(edition: Edition) -> list[Image.Image]:
    """What the model is for and where it was never tried: on paper of its own, so that the numbers stay on one page."""
    card = edition.card
    lines = cautions(card, ())
    if not lines:
        return []
    sheet = Sheet(foot=f"{DISCLAIMER}  {card.name} {card.version}")
    sheet.line(f"About {card.name} {card.version}", 28, gap=14)
    for line in lines:
        sheet.line(line, 18, QUIET)
        sheet.rule()
    return sheet.pages


def _draw_numbers(sheet: Sheet, findings: Findings, edition: Edition) -> None:
    """A table of measurements by regions, both in the order in which the model names them."""
    card = edition.card
    cells = numbers_by_region(findings, card)
    colours = {
        capitalised(region_label(one, card)): tuple(card.segment(key).colour_rgb for key in one.segments)
        for one in findings.measurements
    }
    regions = list(cells)
    for begin in range(0, len(regions), COLUMNS):
        part = regions[begin : begin + COLUMNS]
        sheet.heads([(region, colours[region]) for region in part])
        for name in dict.fromkeys(name for region in part for name in cells[region]):
            sheet.row(name, [cells[region].get(name, "") for region in part])
    sheet.rule()


def draw_slice_page(index: int, volume: Volume, findings: Findings, edition: Edition, window: Window) -> Image.Image:
    """One source slice, turned as its source has it, with outlines, sides of the patient, place and legend."""
    origin, card = edition.origin, edition.card
    frame = origin.frames[index]
    masks = [(mask[index], colour) for mask, colour in drawn_masks(findings, card)]
    detected = detected_masks(findings.detections, index, volume.array.shape[1:])
    masks += [(mask, DETECTION_COLOUR) for mask in detected.values()]
    picture = draw_plane(volume.array[index], frame.pixel_spacing_mm, masks, window, (WIDTH, PICTURE_PX))
    page = frame_page(picture, index, edition)
    held = [one for one in present_segments(findings, card) if _holds(findings, one, index)]
    entries = [(one.label, one.colour_rgb) for one in held]
    entries += [(f"{number}: {card.detection(key).label}", DETECTION_COLOUR) for number, key in detected]
    _draw_legend(ImageDraw.Draw(page), entries)
    return page


def frame_page(picture: Image.Image, index: int, edition: Edition) -> Image.Image:
    """A page round the picture of one slice: sides of the patient, place, source and caution; room for a legend."""
    origin, card = edition.origin, edition.card
    frame = origin.frames[index]
    page = Image.new("RGB", (WIDTH, HEIGHT), GROUND)
    page.paste((0, 0, 0), (0, HEAD_PX, WIDTH, HEAD_PX + PICTURE_PX))
    left, top = (WIDTH - picture.width) // 2, HEAD_PX + (PICTURE_PX - picture.height) // 2
    page.paste(picture, (left, top))
    draw = ImageDraw.Draw(page)
    _draw_sides(draw, sides_of(frame, origin))
    words = (
        f"frame {frame.frame_number}" if frame.frame_number else f"image {frame.instance_number or 'without number'}"
    )
    draw.text((MARGIN // 2, HEAD_PX // 2), _head(index, origin), font=font(22), fill=INK, anchor="lm")
    source = f"series {origin.text('SeriesNumber') or 'without number'}, {words}"
    draw.text((WIDTH - MARGIN // 2, HEAD_PX // 2), source, font=font(18), fill=QUIET, anchor="rm")
    foot = f"{DISCLAIMER}  {card.name} {card.version}"
    draw.text((MARGIN // 2, HEIGHT - 18), foot, font=font(16), fill=CAUTION, anchor="lm")
    return page


def _head(index: int, origin: Origin) -> str:
    if origin.is_flat:
        view = " ".join(filter(None, (origin.text("ViewPosition"), origin.text("ImageLaterality"))))
        return f"{origin.text('Modality')} {view}".strip()
    frame = origin.frames[index]
    axis = int(np.argmax(np.abs(np.cross(frame.orientation[:3], frame.orientation[3:]))))
    return f"Slice {index + 1} of {len(origin.frames)}    {AXIS_NAMES[axis]} {frame.position_lps_mm[axis]:.1f} mm"


def sides_of(frame: SourceFrame, origin: Origin) -> list[str]:
    """The sides of the patient to which rows and columns run (PS3.3 C.7.6.1.1.1); none where the source tells not."""
    if frame.place is not None:
        return [toward(np.array(frame.orientation[:3])), toward(np.array(frame.orientation[3:]))]
    stated = [str(one).strip() for one in origin.header.get("PatientOrientation") or []]
    return stated if len(stated) == 2 and all(one and set(one) <= set("RLAPFH") for one in stated) else []


def _holds(findings: Findings, segment: SegmentCard, index: int) -> bool:
    found = findings.segment(segment.key)
    return found is not None and bool(found.mask[index].any())


def _draw_sides(draw: ImageDraw.ImageDraw, sides: list[str]) -> None:
    if not sides:
        return
    right, down = sides
    middle_x, middle_y = WIDTH // 2, HEAD_PX + PICTURE_PX // 2
    for letter, place, anchor in (
        (opposite(right), (8, middle_y), "lm"),
        (right, (WIDTH - 8, middle_y), "rm"),
        (opposite(down), (middle_x, HEAD_PX + 6), "mt"),
        (down, (middle_x, HEAD_PX + PICTURE_PX - 6), "mb"),
    ):
        draw.text(place, letter, font=font(22), fill=INK, anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))


def _draw_legend(draw: ImageDraw.ImageDraw, segments: list[tuple[str, Colour]]) -> None:
    """The names of what this slice shows; where they do not fit, how many more there are."""
    x, y = MARGIN // 2, HEAD_PX + PICTURE_PX + 20
    for number, (label, colour) in enumerate(segments):
        width = 24 + font(18).getlength(label) + 24
        if x + width > WIDTH - 80:
            draw.text((x, y), f"+ {len(segments) - number} more", font=font(18), fill=QUIET, anchor="lm")
            return
        draw.rectangle((x, y - 7, x + 14, y + 7), fill=colour)
        draw.text((x + 22, y), label, font=font(18), fill=INK, anchor="lm")
        x += int(width)
    if not segments:
        draw.text((x, y), NOT_OUTLINED, font=font(18), fill=QUIET, anchor="lm")
