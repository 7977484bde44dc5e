"""Real images as sources of results: their own headers and geometry."""

from pathlib import Path

import numpy as np
import pydicom

from ai.volume import Facts, Volume
from node.core.identity import InstanceUID, SeriesUID, StudyUID
from node.core.study import SourceGrid
from tests.unit.results.made import Made, made_chest


def real_series(folder: Path) -> Made:
    """An axial CT series with the voxels it has."""
    sources = {path: pydicom.dcmread(path) for path in folder.glob("*.dcm")}
    paths = sorted(sources, key=lambda path: sources[path].ImagePositionPatient[2])
    first, last = sources[paths[0]], sources[paths[-1]]
    array = np.stack([sources[path].pixel_array for path in paths]).astype(np.int16)
    array = (array * float(first.RescaleSlope) + float(first.RescaleIntercept)).astype(np.int16)
    start, end = (np.array(one.ImagePositionPatient, float) for one in (first, last))
    row_mm, column_mm = (float(value) for value in first.PixelSpacing)
    affine = np.zeros((4, 4))
    affine[:3, 0], affine[1, 1], affine[0, 2] = (end - start) / (len(paths) - 1), row_mm, column_mm
    affine[:, 3] = [*start, 1.0]
    frames = tuple((InstanceUID(sources[path].SOPInstanceUID), 1) for path in paths)
    grid = _grid(first, frames, affine)
    spacing = tuple(float(value) for value in np.linalg.norm(affine[:3, :3], axis=0))
    return Made(
        grid,
        {uid: path for (uid, _), path in zip(frames, paths, strict=True)},
        Volume(array, affine, spacing, Facts(modality="CT")),
    )


def real_enhanced(path: Path) -> Made:
    """A multi-frame object with a made-up chest for voxels: only its header is real here."""
    source = pydicom.dcmread(path, stop_before_pixels=True)
    items = source.PerFrameFunctionalGroupsSequence
    places = np.array([item.PlanePositionSequence[0].ImagePositionPatient for item in items], float)
    cosines = np.array(items[0].PlaneOrientationSequence[0].ImageOrientationPatient, float)
    row_mm, column_mm = (float(value) for value in items[0].PixelMeasuresSequence[0].PixelSpacing)
    order = np.argsort(places @ np.cross(cosines[:3], cosines[3:]))
    affine = np.eye(4)
    affine[:3, 0] = (places[order[-1]] - places[order[0]]) / (len(items) - 1)
    affine[:3, 1], affine[:3, 2] = cosines[3:] * row_mm, cosines[:3] * column_mm
    affine[:3, 3] = places[order[0]]
    uid = InstanceUID(source.SOPInstanceUID)
    grid = _grid(source, tuple((uid, int(index) + 1) for index in order), affine)
    array = made_chest(len(items), source.Rows, source.Columns)
    return Made(grid, {uid: path}, Volume(array, affine, (row_mm, row_mm, column_mm), Facts(modality="MR")))


def _grid(header: pydicom.Dataset, frames: tuple, affine: np.ndarray) -> SourceGrid:
    return SourceGrid(
        study_uid=StudyUID(header.StudyInstanceUID),
        series_uid=SeriesUID(header.SeriesInstanceUID),
        frames=frames,
        rows=header.Rows,
        columns=header.Columns,
        affine_lps=tuple(tuple(row) for row in affine.tolist()),
        frame_of_reference_uid=header.FrameOfReferenceUID,
    )
