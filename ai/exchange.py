"""Volumes and findings as files, so that one process can prepare what another computes."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from ai.findings import Classification, DerivedSeries, Detection, Findings, Map, Mask, Measurement, Segment, Shape
from ai.masks import mask_from
from ai.volume import Affine, Facts, Inputs, Volume


def save_inputs(inputs: Inputs, folder: Path) -> None:
    """Write one .npy per volume and inputs.json beside them; `folder` exists and is empty."""
    described = {}
    for name, volume in inputs.volumes.items():
        _save(folder / f"{name}.npy", volume.array)
        described[name] = {
            "affine_lps": None if volume.affine_lps is None else volume.affine_lps.tolist(),
            "spacing_mm": volume.spacing_mm,
            "facts": asdict(volume.facts),
            "frame_of_reference": volume.frame_of_reference,
        }
    (folder / "inputs.json").write_text(json.dumps({"reference": inputs.reference, "volumes": described}))


def _save(path: Path, array: npt.NDArray[Any]) -> None:
    """As np.save, which does not say why where it cannot write: that a disk is full is told by the error's number."""
    plain = np.ascontiguousarray(array)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(plain))
        file.write(plain.data)


def load_inputs(folder: Path) -> Inputs:
    """Read what save_inputs wrote; arrays are mapped from disk, not copied. A model that gets it can change nothing."""
    top = json.loads((folder / "inputs.json").read_text())
    volumes = {}
    for name, one in top["volumes"].items():
        volumes[name] = Volume(
            array=np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False),
            affine_lps=None if one["affine_lps"] is None else _fixed(one["affine_lps"]),
            spacing_mm=None if one["spacing_mm"] is None else tuple(one["spacing_mm"]),
            facts=Facts(**one["facts"]),
            frame_of_reference=one.get("frame_of_reference"),
        )
    return Inputs(volumes=MappingProxyType(volumes), reference=top["reference"])


def _fixed(numbers: list[list[float]]) -> Affine:
    found = np.array(numbers, dtype=np.float64)
    found.setflags(write=False)
    return found


def save_findings(findings: Findings, folder: Path) -> None:
    """Write masks (bit-packed), maps and derived series as .npy, findings.json beside them; `folder` exists, empty."""
    segments = []
    for number, segment in enumerate(findings.segments):
        _save(folder / f"segment-{number}.npy", np.packbits(segment.mask))
        segments.append({"key": segment.key, "grid": segment.grid, "shape": segment.mask.shape})
    for number, one in enumerate(findings.maps):
        _save(folder / f"map-{number}.npy", one.values)
    for number, series in enumerate(findings.derived):
        _save(folder / f"derived-{number}.npy", series.values)
    measurements = [asdict(one) for one in findings.measurements]
    content = {
        "segments": segments,
        "measurements": measurements,
        "summary": findings.summary,
        "classifications": [asdict(one) for one in findings.classifications],
        "detections": [{**vars(one), "points": one.points.tolist()} for one in findings.detections],
        "maps": [{"key": one.key, "grid": one.grid} for one in findings.maps],
        "derived": [{"key": one.key, "grid": one.grid} for one in findings.derived],
    }
    (folder / "findings.json").write_text(json.dumps(content))


def load_findings(folder: Path) -> Findings:
    """Read what save_findings wrote."""
    top = json.loads((folder / "findings.json").read_text())
    segments = []
    for number, one in enumerate(top["segments"]):
        packed = np.load(folder / f"segment-{number}.npy", mmap_mode="r", allow_pickle=False)
        slices, rows, columns = one["shape"]
        planes = (_plane(packed, index, rows, columns) for index in range(slices))
        segments.append(Segment(key=one["key"], mask=mask_from(planes, (slices, rows, columns)), grid=one["grid"]))
    return Findings(
        segments=tuple(segments),
        measurements=tuple(
            Measurement(one["key"], one["value"], tuple(one["segments"])) for one in top["measurements"]
        ),
        summary=tuple(top["summary"]),
        classifications=tuple(Classification(**one) for one in top.get("classifications", [])),
        detections=_detections(top),
        maps=tuple(
            Map(one["key"], np.load(folder / f"map-{number}.npy", allow_pickle=False), one["grid"])
            for number, one in enumerate(top.get("maps", []))
        ),
        derived=tuple(
            DerivedSeries(one["key"], np.load(folder / f"derived-{number}.npy", allow_pickle=False), one["grid"])
            for number, one in enumerate(top.get("derived", []))
        ),
    )


@dataclass(frozen=True)
class OnSlice:
    """What findings are on one slice of an input: masks and maps (rows, columns) by key, and the detections of all."""

    masks: dict[str, Mask]
    maps: dict[str, npt.NDArray[np.float32]]
    detections: tuple[Detection, ...]


def load_slice(folder: Path, index: int, grid: str) -> OnSlice:
    """Of findings that save_findings wrote, those on the grid of one input. Reads no more of each file than a slice."""
    top = json.loads((folder / "findings.json").read_text())
    masks, maps = {}, {}
    for number, one in enumerate(top["segments"]):
        slices, rows, columns = one["shape"]
        if one["grid"] == grid and 0 <= index < slices:
            packed = np.load(folder / f"segment-{number}.npy", mmap_mode="r", allow_pickle=False)
            masks[one["key"]] = _plane(packed, index, rows, columns)
    for number, one in enumerate(top.get("maps", [])):
        values = np.load(folder / f"map-{number}.npy", mmap_mode="r", allow_pickle=False)
        if one["grid"] == grid and 0 <= index < len(values):
            maps[one["key"]] = np.array(values[index])
    return OnSlice(masks, maps, tuple(one for one in _detections(top) if one.grid == grid))


def _detections(top: dict[str, Any]) -> tuple[Detection, ...]:
    return tuple(
        Detection(**{**one, "shape": Shape(one["shape"]), "points": np.array(one["points"], np.float64)})
        for one in top.get("detections", [])
    )


def _plane(packed: npt.NDArray[np.uint8], index: int, rows: int, columns: int) -> Mask:
    """One slice of a bit-packed mask; slices need not begin with a byte."""
    first, count = index * rows * columns, rows * columns
    bits = np.unpackbits(packed[first // 8 : (first + count + 7) // 8])[first % 8 :][:count]
    return bits.view(np.bool_).reshape(rows, columns)
