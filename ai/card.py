"""Reads a model's card.toml into a ModelCard and computes the model's digest."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ai.contract import (
    ClassificationCard,
    DerivedCard,
    DetectionCard,
    InputCard,
    MapCard,
    MeasureCard,
    MeasurementCard,
    ModelCard,
    SegmentCard,
)
from ai.errors import CardInvalid
from ai.measures.declared import feature_cards
from ai.postprocessing.finishing import check_order
from ai.postprocessing.table import FINISHING
from ai.preparation.table import PREPARATION
from ai.quality import NAMES
from ai.step import Chain, read_chain
from ai.tables import TableReader, read_tables

CODE, CLASSICAL = KINDS = ("code", "classical")
"""A model in Python or of a network, and one whose chain of steps segments by itself."""
MODALITY = re.compile(r"[A-Z0-9_]+")
ORIENTATION = re.compile("axial|coronal|sagittal|oblique")


def read_card(card: Path, *, decided_by: Iterable[Path] = ()) -> ModelCard:
    """Read card.toml; the digest covers the card and every file in `decided_by` (code, weights).

    Raises CardInvalid with the file and the key where the card cannot be used.
    """
    top = TableReader(read_tables(card), str(card))
    inputs = tuple(_input(table) for table in top.tables("input"))
    measures = tuple(_measure(table) for table in top.tables("measure"))
    found = ModelCard(
        name=top.take("name", str),
        version=top.take("version", str),
        vendor=top.take("vendor", str),
        title=top.take("title", str),
        intended_use=top.take("intended_use", str),
        not_validated_for=top.texts("not_validated_for"),
        licence=top.take("licence", str),
        memory_mb=_at_least_one(top, "memory_mb"),
        timeout_s=_at_least_one(top, "timeout_s"),
        reference=top.take("reference", str),
        inputs=inputs,
        segments=tuple(_segment(table) for table in top.tables("segment")),
        measurements=(*(_measurement(table) for table in top.tables("measurement")), *feature_cards(measures, inputs)),
        classifications=tuple(_classification(table) for table in top.tables("classification")),
        detections=tuple(_detection(table) for table in top.tables("detection")),
        maps=tuple(_map(table) for table in top.tables("map")),
        derived=tuple(_derived(table) for table in top.tables("derived")),
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


def _at_least_one(table: TableReader, key: str) -> int:
    found = table.take(key, int)
    if found < 1:
        raise CardInvalid(f"{table.where}: {key} must be at least 1, found {found}")
    return found


def _input(table: TableReader) -> InputCard:
    found = InputCard(
        name=table.take("name", str),
        modalities=_of(MODALITY, table.one_or_more("modality"), "modality is a code of DICOM such as CT", table),
        orientations=_of(ORIENTATION, table.texts("orientations"), f"orientations are of {ORIENTATION.pattern}", table),
        min_slices=table.take("min_slices", int, 1),
        max_slice_spacing_mm=table.optional_number("max_slice_spacing_mm"),
        min_coverage_mm=table.optional_number("min_coverage_mm"),
        min_field_mm=table.optional_number("min_field_mm"),
        max_field_mm=table.optional_number("max_field_mm"),
        min_quality=_min_quality(table.table("min_quality")),
    )
    table.finish()
    return found


def _of(form: re.Pattern[str], words: tuple[str, ...], what: str, table: TableReader) -> tuple[str, ...]:
    strange = [word for word in words if not form.fullmatch(word)]
    if strange:
        raise CardInvalid(f"{table.where}: {what}; found {strange[0]!r}")
    return words


def _min_quality(table: TableReader) -> tuple[tuple[str, float], ...]:
    found = [(name, least) for name in NAMES if (least := table.optional_number(name)) is not None]
    table.finish()
    for name, least in found:
        if not 0 <= least <= 1:
            raise CardInvalid(f"{table.where}: {name} must be from 0 to 1, found {least:g}")
    return tuple(found)


def _label(table: TableReader) -> str:
    """How people call it. DICOM drops the blanks around a text, so that it would come back as another one."""
    label = table.take("label", str)
    if label != label.strip() or not label:
        raise CardInvalid(f"{table.where}: label must be a text without blanks around it, found {label!r}")
    return label


def _segment(table: TableReader) -> SegmentCard:
    colour = table.take("colour", str)
    try:
        red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    except ValueError as error:
        raise CardInvalid(f'{table.where}: colour must be written as "#rrggbb", found {colour!r}') from error
    found = SegmentCard(
        key=table.take("key", str),
        label=_label(table),
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
    found = ClassificationCard(
        key=table.take("key", str),
        label=_label(table),
        finding=table.code("finding"),
        site=table.code("site"),
        laterality=table.optional_code("laterality"),
        threshold=table.take("threshold", float),
        significance=table.optional_code("significance"),
    )
    table.finish()
    return found


def _detection(table: TableReader) -> DetectionCard:
    found = DetectionCard(
        key=table.take("key", str),
        label=_label(table),
        type=table.code("type"),
        site=table.code("site"),
        laterality=table.optional_code("laterality"),
        threshold=table.optional_number("threshold"),
    )
    table.finish()
    return found


def _map(table: TableReader) -> MapCard:
    found = MapCard(
        key=table.take("key", str),
        label=_label(table),
        quantity=table.code("quantity"),
        unit=table.code("unit"),
        shown=table.ends("shown"),
    )
    table.finish()
    return found


def _derived(table: TableReader) -> DerivedCard:
    found = DerivedCard(key=table.take("key", str), label=_label(table), derivation=table.code("derivation"))
    table.finish()
    return found


def _measurement(table: TableReader) -> MeasurementCard:
    found = MeasurementCard(
        key=table.take("key", str),
        label=_label(table),
        name=table.code("name"),
        unit=table.code("unit"),
        digits=table.take("digits", int),
        derivation=table.optional_code("derivation"),
        method=table.optional_code("method"),
    )
    table.finish()
    return found


def _measure(table: TableReader) -> MeasureCard:
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
