"""Reads a model's card.toml into a ModelCard and computes the model's digest."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ai.contract import (
    ClassificationCard,
    Code,
    DerivedCard,
    DetectionCard,
    InputCard,
    MapCard,
    MeasureCard,
    MeasurementCard,
    ModelCard,
    SegmentCard,
)
from ai.errors import CardInvalid, shown
from ai.measures.declared import feature_cards
from ai.postprocessing.finishing import check_order
from ai.postprocessing.table import FINISHING
from ai.preparation.table import PREPARATION
from ai.quality import NAMES
from ai.step import Chain, read_chain
from ai.tables import Faults, TableReader, read_tables

CODE, CLASSICAL = KINDS = ("code", "classical")
"""A model in Python or of a network, and one whose chain of steps segments by itself."""
MODALITY = re.compile(r"[A-Z0-9_]+")
ORIENTATION = re.compile("axial|coronal|sagittal|oblique")
MOST_MEMORY_MB, LONGEST_S = 1 << 24, 7 * 24 * 3600
"""16 TiB, and a week."""
MOST_SLICES, MOST_DIGITS = 65535, 15


def read_card(card: Path, *, decided_by: Iterable[Path] = ()) -> ModelCard:
    """Read card.toml; the digest covers the card and every file in `decided_by` (code, weights).

    Raises CardInvalid with the file and the key where the card cannot be used.
    """
    top, faults = TableReader(read_tables(card), str(card)), Faults()
    with faults.noted():
        top.needs(
            name=str, version=str, vendor=str, title=str, intended_use=str, licence=str, memory_mb=int, timeout_s=int,
            reference=str,
        )  # fmt: skip
    inputs = faults.each(top.tables("input"), _input)
    measures = faults.each(top.tables("measure"), _measure)
    segments = faults.each(top.tables("segment"), _segment)
    measurements = faults.each(top.tables("measurement"), _measurement)
    classifications = faults.each(top.tables("classification"), _classification)
    detections = faults.each(top.tables("detection"), _detection)
    maps = faults.each(top.tables("map"), _map)
    derived = faults.each(top.tables("derived"), _derived)
    faults.end()
    if not inputs:
        raise CardInvalid(f"{card}: it has no [[input]], so that no images would ever reach the model")
    found = ModelCard(
        name=top.take("name", str),
        version=top.name("version"),
        vendor=top.name("vendor"),
        title=top.take("title", str),
        intended_use=top.take("intended_use", str),
        not_validated_for=top.texts("not_validated_for"),
        licence=top.take("licence", str),
        memory_mb=_within(top, "memory_mb", 1, MOST_MEMORY_MB),
        timeout_s=_within(top, "timeout_s", 1, LONGEST_S),
        reference=top.take("reference", str),
        inputs=inputs,
        segments=segments,
        measurements=(*measurements, *feature_cards(measures, inputs)),
        classifications=classifications,
        detections=detections,
        maps=maps,
        derived=derived,
        measures=measures,
        digest=_digest([card, *decided_by]),
        finish=_finish(top.take("finish", list, []), f"{card} [[finish]]"),
    )
    chain = read_chain(
        top.take("prepare", list, []),
        PREPARATION,
        where=f"{card} [[prepare]]",
        inputs=[one.name for one in inputs],
        reference=found.reference,
    )
    kind = top.take("kind", str, CODE)
    if kind not in KINDS:
        raise CardInvalid(f"{card}: kind must be one of {', '.join(KINDS)}, found {kind!r}")
    for others in ("network", "region", "catalogue"):  # read by ai.networks, and where the model was published
        top.take(others, dict, {})
    top.finish()
    return replace(found, prepare=chain)


def _finish(rows: list[object], where: str) -> Chain:
    chain = read_chain(rows, FINISHING, where=where)
    check_order(chain)
    return chain


def _within(table: TableReader, key: str, low: int, high: int, default: int | None = None) -> int:
    found = table.take(key, int, default)
    if not low <= found <= high:
        raise CardInvalid(f"{table.where}: {key} must be from {low} to {high}, found {shown(found)}")
    return found


def _input(table: TableReader) -> InputCard:
    table.needs(name=str, modality=str)
    found = InputCard(
        name=table.take("name", str),
        modalities=_of(MODALITY, table.one_or_more("modality"), "modality is a code of DICOM such as CT", table),
        orientations=_of(ORIENTATION, table.texts("orientations"), f"orientations are of {ORIENTATION.pattern}", table),
        min_slices=_within(table, "min_slices", 1, MOST_SLICES, 1),
        max_slice_spacing_mm=_limit_mm(table, "max_slice_spacing_mm"),
        min_coverage_mm=_limit_mm(table, "min_coverage_mm"),
        min_field_mm=_limit_mm(table, "min_field_mm"),
        max_field_mm=_limit_mm(table, "max_field_mm"),
        min_quality=_min_quality(table.table("min_quality")),
    )
    table.finish()
    if found.min_field_mm is not None and found.max_field_mm is not None and found.min_field_mm > found.max_field_mm:
        raise CardInvalid(f"{table.where}: no images have a field from min_field_mm to max_field_mm, which is less")
    return found


def _limit_mm(table: TableReader, key: str) -> float | None:
    found = table.optional_number(key)
    if found is not None and found <= 0:
        raise CardInvalid(f"{table.where}: {key} must be above 0, found {found:g}")
    return found


def _share(table: TableReader, key: str) -> float:
    """A probability, a score or a threshold of one: from another no finding would ever be present, or all of them."""
    found = table.take(key, float)
    if not 0 <= found <= 1:
        raise CardInvalid(f"{table.where}: {key} must be from 0 to 1, found {found:g}")
    return found


def _of(form: re.Pattern[str], words: tuple[str, ...], what: str, table: TableReader) -> tuple[str, ...]:
    strange = [word for word in words if not form.fullmatch(word)]
    if strange:
        raise CardInvalid(f"{table.where}: {what}; found {strange[0]!r}")
    return words


def _min_quality(table: TableReader) -> tuple[tuple[str, float], ...]:
    found = tuple((name, _share(table, name)) for name in NAMES if table.has(name))
    table.finish()
    return found


def _segment(table: TableReader) -> SegmentCard:
    table.needs(key=str, label=str, category=Code, type=Code, site=Code, colour=str)
    colour = table.take("colour", str)
    try:
        red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    except ValueError as error:
        raise CardInvalid(f'{table.where}: colour must be written as "#rrggbb", found {colour!r}') from error
    found = SegmentCard(
        key=table.take("key", str),
        label=table.name("label"),
        category=table.code("category"),
        type=table.code("type"),
        modifier=table.optional_code("modifier"),
        site=table.code("site"),
        laterality=table.optional_code("laterality"),
        colour_rgb=(red, green, blue),
    )
    table.finish()
    return found


def _classification(table: TableReader) -> ClassificationCard:
    table.needs(key=str, label=str, finding=Code, site=Code, threshold=float)
    found = ClassificationCard(
        key=table.take("key", str),
        label=table.name("label"),
        finding=table.code("finding"),
        site=table.code("site"),
        laterality=table.optional_code("laterality"),
        threshold=_share(table, "threshold"),
        significance=table.optional_code("significance"),
    )
    table.finish()
    return found


def _detection(table: TableReader) -> DetectionCard:
    table.needs(key=str, label=str, type=Code, site=Code)
    found = DetectionCard(
        key=table.take("key", str),
        label=table.name("label"),
        type=table.code("type"),
        site=table.code("site"),
        laterality=table.optional_code("laterality"),
        threshold=_share(table, "threshold") if table.has("threshold") else None,
    )
    table.finish()
    return found


def _map(table: TableReader) -> MapCard:
    table.needs(key=str, label=str, quantity=Code, unit=Code, shown=tuple)
    found = MapCard(
        key=table.take("key", str),
        label=table.name("label"),
        quantity=table.code("quantity"),
        unit=table.code("unit"),
        shown=table.ends("shown"),
    )
    table.finish()
    return found


def _derived(table: TableReader) -> DerivedCard:
    table.needs(key=str, label=str, derivation=Code)
    found = DerivedCard(key=table.take("key", str), label=table.name("label"), derivation=table.code("derivation"))
    table.finish()
    return found


def _measurement(table: TableReader) -> MeasurementCard:
    table.needs(key=str, label=str, name=Code, unit=Code, digits=int)
    found = MeasurementCard(
        key=table.take("key", str),
        label=table.name("label"),
        name=table.code("name"),
        unit=table.code("unit"),
        digits=_within(table, "digits", -MOST_DIGITS, MOST_DIGITS),
        derivation=table.optional_code("derivation"),
        method=table.optional_code("method"),
    )
    table.finish()
    return found


def _measure(table: TableReader) -> MeasureCard:
    table.needs(segments=list, features=list)
    found = MeasureCard(
        segments=table.texts("segments"),
        features=table.texts("features"),
        grey_levels=table.take("grey_levels", int) if table.has("grey_levels") else None,
        grey_level_width=table.optional_number("grey_level_width"),
        grey_level_start=table.optional_number("grey_level_start"),
    )
    table.finish()
    return found


def _digest(files: Iterable[Path]) -> str:
    """SHA-256 over name and content of each file, in the order of their names."""
    total = hashlib.sha256()
    for file in sorted(files, key=lambda one: (one.name, str(one))):
        content = file.read_bytes()
        total.update(f"{file.name}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()
