"""Parametric Maps (PS3.3 A.75): a model's quantity at every voxel, as 32-bit floats on the source's own grid."""

from collections.abc import Iterator
from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset

from ai.findings import Findings, Map
from ai.volume import Volume
from node.errors import ResultUnsound
from node.results.checks import expect
from node.results.coding import concept, same_code
from node.results.equipment import NODE
from node.results.segmentation_check import PLACE_TOLERANCE_MM
from node.results.stamp import Edition, stamp
from node.results.stand_ins import name_dimensions, refer_to_source, stand_in_index, stand_ins
from node.results.uids import RenditionKind

FLOAT = np.dtype("<f4")


def build_maps(findings: Findings, edition: Edition, _volume: Volume) -> Iterator[tuple[str, Dataset]]:
    """Each map in a series of its own, named; none of a radiograph, whose frames could have no place."""
    for one in findings.maps if not edition.origin.is_flat else ():
        yield f"map-{one.key}", _build(one, edition)


def _build(one: Map, edition: Edition) -> Dataset:
    card, kind = edition.card.map(one.key), RenditionKind.MAP
    low, high = float(one.values.min()), float(one.values.max())
    result: Dataset = hd.pm.ParametricMap(
        source_images=stand_ins(edition.origin),
        pixel_array=np.zeros((len(edition.origin.frames), 1, 1), np.float32),
        series_instance_uid=edition.run.series_uid(kind, one.key),
        series_number=edition.series_number(kind),
        sop_instance_uid=edition.run.instance_uid(kind, key=one.key),
        instance_number=1,
        manufacturer=NODE.manufacturer,
        manufacturer_model_name=NODE.model_name,
        software_versions=NODE.version,
        device_serial_number=NODE.device_uid,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[
            hd.pm.RealWorldValueMapping(
                lut_label=card.label[:16],
                lut_explanation=card.label[:64],
                unit=concept(card.unit),
                value_range=(low, high),
                slope=1.0,
                intercept=0.0,
                quantity_definition=concept(card.quantity),
            )
        ],
        voi_lut_transformations=[
            hd.VOILUTTransformation(
                window_center=sum(card.shown) / 2,
                window_width=card.shown[1] - card.shown[0],
                voi_lut_function=hd.VOILUTFunctionValues.LINEAR_EXACT,  # LINEAR is for whole numbers
            )
        ],
        content_label=edition.content_label("MAP"),
        content_description=edition.series_description(kind, card.label),
        series_description=edition.series_description(kind, card.label),
    )
    # The library's frames run from the last slice to the first. OHIF 3.13.2 lays them on its slices in the order of the
    # file, whatever they refer to, and its slices run along their normal, as the grid's do.
    result.PerFrameFunctionalGroupsSequence = sorted(result.PerFrameFunctionalGroupsSequence, key=stand_in_index)
    order = [stand_in_index(item) for item in result.PerFrameFunctionalGroupsSequence]
    result.Rows, result.Columns = edition.origin.grid.rows, edition.origin.grid.columns
    result.FloatPixelData = one.values[order].astype(FLOAT).tobytes()
    refer_to_source(result, edition.origin)
    name_dimensions(result, edition.run.dimensions_uid(one.key))
    result.ContentCreatorName = None
    stamp(result, edition, RenditionKind.MAP, body_part=True)
    return result


def check_map(path: Path, found: Dataset, findings: Findings, edition: Edition, _volume: Volume) -> None:
    """Every frame holds the values of the slice it names, where that lies; quantity and unit are the card's."""
    one = next(
        one for one in findings.maps if edition.run.series_uid(RenditionKind.MAP, one.key) == found.SeriesInstanceUID
    )
    card, origin = edition.card.map(one.key), edition.origin
    mapping = found.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    unit, quantity = (
        mapping.MeasurementUnitsCodeSequence[0],
        mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0],
    )
    if not (same_code(unit, card.unit) and same_code(quantity, card.quantity)):
        raise ResultUnsound(f"{path.name}: its quantity is coded {quantity.CodeMeaning!r} in {unit.CodeMeaning!r}")
    expect(path, "FrameOfReferenceUID", found.FrameOfReferenceUID, origin.grid.frame_of_reference_uid)
    values = np.frombuffer(found.FloatPixelData, FLOAT).reshape(-1, found.Rows, found.Columns)
    seen = []
    for number, item in enumerate(found.PerFrameFunctionalGroupsSequence):
        index = origin.index_of(item.DerivationImageSequence[0].SourceImageSequence[0])
        if index is None:
            raise ResultUnsound(f"{path.name}: frame {number + 1} names a source frame that is not in the grid")
        place = np.array([float(value) for value in item.PlanePositionSequence[0].ImagePositionPatient])
        if np.abs(place - origin.frames[index].position_lps_mm).max() > PLACE_TOLERANCE_MM:
            raise ResultUnsound(f"{path.name}: frame {number + 1} lies at {place}, its source elsewhere")
        if not np.array_equal(values[number], one.values[index]):
            raise ResultUnsound(f"{path.name}: frame {number + 1} differs from slice {index + 1} of map {one.key!r}")
        seen.append(index)
    expect(path, "slices in their order", seen, list(range(len(origin.frames))))
