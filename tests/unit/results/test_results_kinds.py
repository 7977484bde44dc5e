"""Further kinds of results: maps, derived images, presentation states, key notes, structure sets, PDF."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from highdicom.pm.sop import pmread
from pydicom.data import get_charset_files
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.tag import Tag
from pydicom.uid import PositronEmissionTomographyImageStorage

from ai.findings import DerivedSeries, Findings
from node.errors import ResultUnsound
from node.results.contours import areas_of, contours_of
from node.results.encode import Profile, ResultObject, encode
from node.results.further import COMPANIONS, EVIDENCE
from node.results.origin import read_origin
from node.results.profile import USUAL, Coordinates, ReportClass
from node.results.stamp import Edition
from node.results.uids import RenditionKind
from tests.unit.results.kinds import (
    EVERY_KIND,
    FLAT_CARD,
    FULL_CARD,
    flat_findings,
    full_findings,
    make_clip,
    make_radiograph,
    make_ultrasound,
)
from tests.unit.results.made import RUN, Made, encoded, make_enhanced, make_series, put_bytes, put_junk

FURTHER = {one.kind: one for one in (*EVIDENCE, *COMPANIONS)}
SOURCES = {"series": make_series, "enhanced": make_enhanced, "radiograph": make_radiograph}


@dataclass(frozen=True)
class Run:
    made: Made
    findings: Findings
    edition: Edition
    objects: tuple[ResultObject, ...]

    def path(self, kind: RenditionKind) -> Path:
        return next(one.path for one in self.objects if one.kind is kind)

    def found(self, kind: RenditionKind) -> Dataset:
        return pydicom.dcmread(self.path(kind))

    def check(self, kind: RenditionKind, found: Dataset) -> None:
        FURTHER[kind].check(Path("spoiled.dcm"), found, self.findings, self.edition, self.made.volume)


def run_of(source: str, folder: Path, profile: Profile = EVERY_KIND) -> Run:
    return encoded_run(source, SOURCES[source](folder / "source"), folder, profile)


def encoded_run(source: str, made: Made, folder: Path, profile: Profile = EVERY_KIND) -> Run:
    findings = flat_findings(made) if source == "radiograph" else full_findings(made)
    card = FLAT_CARD if source == "radiograph" else FULL_CARD
    (folder / "out").mkdir()
    objects = encode(
        findings, card, made.grid, made.paths, RUN, folder / "out", volume=made.volume, profile=profile
    )  # fmt: skip
    run = replace(RUN, variant=profile.variant)
    edition = Edition(read_origin(made.grid, made.paths), card, run, "", as_unicode=False, profile=profile)
    return Run(made, findings, edition, objects)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    return {source: run_of(source, tmp_path_factory.mktemp(source)) for source in SOURCES}


def test_every_kind_is_a_series_of_its_own_and_what_is_named_goes_first(runs: dict[str, Run]) -> None:
    series = {}
    for one in runs["series"].objects:
        found = pydicom.dcmread(one.path, stop_before_pixels=True)
        series[one.kind.value] = (int(found.SeriesNumber), found.SeriesDescription, found.Modality)

    assert series == {
        "seg": (9001, "AI lung-ct SEG", "SEG"),
        "map": (9009, "AI lung-ct map Suspicion", "OT"),
        "derived": (9010, "AI lung-ct derived Smoothed", "CT"),
        "sr": (9002, "AI lung-ct SR", "SR"),
        "text": (9003, "AI lung-ct text", "SR"),
        "summary": (9004, "AI lung-ct summary", "OT"),
        "gsps": (9008, "AI lung-ct GSPS", "PR"),
        "ko": (9006, "AI lung-ct key images", "KO"),
        "rtstruct": (9007, "AI lung-ct RTSTRUCT", "RTSTRUCT"),
        "pdf": (9005, "AI lung-ct PDF", "DOC"),
    }
    assert list(series) == ["seg", "map", "derived", "text", "summary", "gsps", "ko", "rtstruct", "pdf", "sr"]


@pytest.mark.parametrize("source", SOURCES)
def test_images_are_the_kinds_that_have_rows(runs: dict[str, Run], source: str) -> None:
    for one in runs[source].objects:
        assert ("Rows" in pydicom.dcmread(one.path, stop_before_pixels=True)) is one.kind.is_image, one.kind


def test_a_radiograph_gets_what_viewers_show_of_one(runs: dict[str, Run]) -> None:
    """No segmentation, contours or map, which need a place in the patient; the map is in the summary."""
    kinds = {one.kind.value for one in runs["radiograph"].objects}

    assert kinds == {"sr", "text", "summary", "gsps", "ko", "pdf"}
    assert len([one for one in runs["radiograph"].objects if one.kind is RenditionKind.SUMMARY]) == 4


@pytest.mark.parametrize("source", SOURCES)
def test_the_report_ties_the_set_together(runs: dict[str, Run], source: str) -> None:
    """Every other object of the run stands in its tree, as another maker's reader finds it."""
    report = hd.sr.srread(runs[source].path(RenditionKind.SR))
    (catalogue,) = report.content[0].ContentSequence.find(codes.DCM.DICOMObjectCatalog)
    named = {str(item.referenced_sop_instance_uid) for item in catalogue.ContentSequence}

    assert named == {one.sop_instance_uid for one in runs[source].objects if one.kind is not RenditionKind.SR}


def test_a_report_without_its_segmentation_holds_the_regions_itself(tmp_path: Path) -> None:
    """Nothing is named that does not go there; the outlines on all slices are the region."""
    run = run_of("series", tmp_path, Profile(renditions=frozenset({RenditionKind.SR, RenditionKind.TEXT})))
    report = run.found(RenditionKind.SR)
    groups = hd.sr.srread(run.path(RenditionKind.SR)).content.get_volumetric_roi_measurement_groups()
    segments = [one for one in groups if one.tracking_identifier in {card.key for card in FULL_CARD.segments}]
    mask = run.findings.segments[0].mask

    assert [one.kind for one in run.objects] == [RenditionKind.TEXT, RenditionKind.SR]
    assert "1.2.840.10008.5.1.4.1.1.66.4" not in report.to_json()
    assert len(segments[0].roi) >= mask.any(axis=(1, 2)).sum() > 1


def test_what_is_not_asked_for_is_not_made(tmp_path: Path) -> None:
    usual = run_of("series", tmp_path, Profile())

    assert {one.kind for one in usual.objects} == USUAL


@pytest.mark.parametrize("source", SOURCES)
def test_the_same_run_gives_the_same_bytes_of_every_kind(runs: dict[str, Run], source: str, tmp_path: Path) -> None:
    again = encoded_run(source, runs[source].made, tmp_path)

    assert [one.path.read_bytes() for one in runs[source].objects] == [one.path.read_bytes() for one in again.objects]


def charsets() -> list[str]:
    """Those of pydicom's files that name a patient."""
    files = {Path(file).stem: file for file in get_charset_files("*.dcm")}
    return sorted(name for name, file in files.items() if "PatientName" in pydicom.dcmread(file))


@pytest.mark.parametrize("charset", charsets())
def test_the_patients_name_keeps_its_bytes_in_every_kind(charset: str, tmp_path: Path) -> None:
    """Arabic, Greek, Hebrew, Russian, Japanese, Korean, Chinese, UTF-8 and mixtures, as other makers wrote them."""
    named = pydicom.dcmread(get_charset_files(f"{charset}.dcm")[0])
    name = named.get_item(Tag("PatientName"))
    for source in ("series", "radiograph"):
        made = SOURCES[source](tmp_path / source)
        for path in made.paths.values():
            header = pydicom.dcmread(path)
            header.PatientName = ""
            header.SpecificCharacterSet = named.get("SpecificCharacterSet")
            header.save_as(path)
            put_bytes(path, "PatientName", name.value)
        read = pydicom.dcmread(path).get_item(Tag("PatientName")).value
        assert read.strip() == name.value.strip() != b""
        findings, card = (full_findings, FULL_CARD) if source == "series" else (flat_findings, FLAT_CARD)
        out = tmp_path / f"{source}-out"
        out.mkdir()
        objects = encode(
            findings(made), card, made.grid, made.paths, RUN, out, volume=made.volume, profile=EVERY_KIND
        )  # fmt: skip
        assert {
            one.kind: pydicom.dcmread(one.path).get_item(Tag("PatientName")).value for one in objects
        } == dict.fromkeys([one.kind for one in objects], read)


def test_frames_of_a_multi_frame_source_are_named_by_their_numbers(runs: dict[str, Run]) -> None:
    """In every kind; the maker's frames run against the grid, so that no number is right by chance."""
    run = runs["enhanced"]
    numbers = {index: number for index, (_, number) in enumerate(run.made.grid.frames)}
    assert numbers[0] == 12

    structures = run.found(RenditionKind.RTSTRUCT)
    contour = structures.ROIContourSequence[0].ContourSequence[0]
    reached = int(np.flatnonzero(run.findings.segments[0].mask.any(axis=(1, 2)))[0])
    assert contour.ContourImageSequence[0].ReferencedFrameNumber == numbers[reached]

    note = run.found(RenditionKind.KO)
    (image,) = [item for item in note.ContentSequence if item.ValueType == "IMAGE"]
    assert numbers[5] in image.ReferencedSOPSequence[0].ReferencedFrameNumber

    state = run.found(RenditionKind.GSPS)
    box = [item.ReferencedImageSequence[0] for item in state.GraphicAnnotationSequence][:3]
    assert {item.ReferencedFrameNumber for item in box} == {numbers[3], numbers[4], numbers[5]}

    pixels = pmread(run.path(RenditionKind.MAP))
    source = pixels.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    assert source.ReferencedFrameNumber in numbers.values()

    derived = run.found(RenditionKind.DERIVED)
    frames = [
        item.DerivationImageSequence[0].SourceImageSequence[0] for item in derived.PerFrameFunctionalGroupsSequence
    ]
    assert [int(item.ReferencedFrameNumber) for item in frames] == list(numbers.values())


def every_item(found: Dataset) -> Iterator[Dataset]:
    for element in found:
        for item in element.value if element.VR == "SQ" else ():
            yield item
            yield from every_item(item)


def test_a_frame_without_a_place_is_named_by_its_number_as_well(tmp_path: Path) -> None:
    """A reference without one is to all frames of an angiography (PS3.3 table 10-3)."""
    run = encoded_run("radiograph", make_clip(tmp_path / "source", shown=2), tmp_path)

    ((source, _),) = run.made.grid.frames
    content = [item for item in every_item(run.found(RenditionKind.SR)) if item.get("ValueType") == "IMAGE"]
    named = [item.ReferencedSOPSequence[0] for item in content]
    assert {one.ReferencedFrameNumber for one in named if one.ReferencedSOPInstanceUID == source} == {2}
    state = run.found(RenditionKind.GSPS)
    drawn = [item.ReferencedImageSequence[0].ReferencedFrameNumber for item in state.GraphicAnnotationSequence]
    assert set(drawn) == {2}
    note = run.found(RenditionKind.KO)
    (image,) = [item for item in note.ContentSequence if item.ValueType == "IMAGE"]
    assert image.ReferencedSOPSequence[0].ReferencedFrameNumber == 2


def test_a_map_is_read_by_the_library_as_it_was_found(runs: dict[str, Run]) -> None:
    """Values and place, by a reader that is not ours."""
    run = runs["series"]
    volume = pmread(run.path(RenditionKind.MAP)).get_volume()
    found = volume.match_geometry(hd.Volume(run.made.volume.array, run.made.volume.affine_lps, "PATIENT"))

    assert np.allclose(found.array, run.findings.maps[0].values)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, 0.5), (-40.0, 160.0)])
def test_a_map_opens_in_the_values_that_its_card_shows(tmp_path: Path, low: float, high: float) -> None:
    """LINEAR takes one less than the window's width (PS3.3 C.11.2.1.2.1): of 0 to 1 it shows black and white alone."""
    made = make_series(tmp_path)
    card = replace(FULL_CARD, maps=(replace(FULL_CARD.maps[0], shown=(low, high)),))
    found = encoded(tmp_path / "out", made, full_findings(made), card=card, profile=EVERY_KIND)["map-suspicion"]

    (voi,) = found.SharedFunctionalGroupsSequence[0].FrameVOILUTSequence
    assert voi.VOILUTFunction == "LINEAR_EXACT"
    shown = np.array([-0.5, 0.5]) * float(voi.WindowWidth) + float(voi.WindowCenter)
    assert shown.tolist() == [low, high]


@pytest.mark.parametrize("source", ["series", "enhanced"])
def test_derived_images_are_the_sources_own_with_other_values(runs: dict[str, Run], source: str) -> None:
    """To half a step of sixty-five thousand; derived, not original; in HU; no window or place is lost."""
    run = runs[source]
    found = run.found(RenditionKind.DERIVED)

    assert found.ImageType[0] == "DERIVED"
    assert found.DerivationCodeSequence[0].CodeMeaning == "Smoothing"
    values = pydicom.pixels.apply_modality_lut(found.pixel_array, found) if source == "series" else None
    if values is not None:
        assert np.abs(values - run.findings.derived[0].values[0]).max() < 0.01
        assert found.WindowCenter == -600


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("BodyPartExamined", b"CHEST_ABDOMEN_PELVIS"),
        ("ImageType", b"ORIGINAL\\PRIMARY\\AXIAL\\DIFFUSION_ANISOTROPY"),
        ("ProtocolName", b"P" * 70),
    ],
)
def test_what_a_scanner_writes_too_long_stops_no_derived_image(tmp_path: Path, keyword: str, value: bytes) -> None:
    """A copy of its image has all that DICOM allows, and not this."""
    made = make_series(tmp_path / "source", changes={"ProtocolName": "Thorax"})
    for path in made.paths.values():
        put_bytes(path, keyword, value)
    found = encoded_run("series", made, tmp_path).found(RenditionKind.DERIVED)

    assert keyword not in found or found.ImageType == ["DERIVED", "SECONDARY"]
    assert found.PatientID == "P-0815"


@pytest.mark.parametrize(
    "attribute", ["OtherPatientIDsSequence", "RequestAttributesSequence", "ReferencedImageSequence"]
)
@pytest.mark.parametrize("vr", [b"SQ", b"UN"])
def test_a_sequence_that_cannot_be_parsed_stops_no_result(tmp_path: Path, attribute: str, vr: bytes) -> None:
    """A patient's other ids, an order, a localizer: it is left out, as no archive reads it either."""
    made = make_series(tmp_path / "source")
    for path in made.paths.values():
        put_junk(path, attribute, vr)
    run = encoded_run("series", made, tmp_path)

    assert all(attribute not in pydicom.dcmread(one.path) for one in run.objects)
    assert run.found(RenditionKind.DERIVED).PatientID == "P-0815"


def test_a_code_that_is_not_whole_stops_no_derived_image(tmp_path: Path) -> None:
    agent, code = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "C-1", "99RIS"
    agent.CodeValue, agent.CodingSchemeDesignator, agent.CodeMeaning = "7140000", "SCT", "Contrast agent"
    agent.ContrastBolusAdministrationRouteSequence, agent.ContrastAgentNumber = [code], 1
    agent.ContrastBolusIngredientCodeSequence = [code]
    made = make_series(tmp_path / "source", changes={"ContrastBolusAgentSequence": [agent]})
    found = encoded_run("series", made, tmp_path).found(RenditionKind.DERIVED)

    assert found.ContrastBolusAgentSequence[0].CodeMeaning == "Contrast agent"
    assert "ContrastBolusIngredientCodeSequence" not in found.ContrastBolusAgentSequence[0]


def test_one_slice_of_no_stated_thickness_gets_its_derived_image(tmp_path: Path) -> None:
    """It has a position and no depth: read as a single image, whose copy lies where it lies."""
    made = make_series(tmp_path / "source", slices=1, changes={"SliceThickness": None})
    flat = replace(
        made,
        grid=replace(made.grid, affine_lps=None, frame_of_reference_uid=None),
        volume=replace(made.volume, affine_lps=None, spacing_mm=None),
    )
    found = Findings(derived=(DerivedSeries("smooth", made.volume.array.astype(np.float32), "ct"),))
    (tmp_path / "out").mkdir()
    objects = encode(found, FULL_CARD, flat.grid, flat.paths, RUN, tmp_path / "out", volume=flat.volume)
    derived = pydicom.dcmread(next(one.path for one in objects if one.kind is RenditionKind.DERIVED))

    assert derived.ImagePositionPatient == [-30.5, 12.25, -100.0]


@pytest.mark.parametrize("stated", [True, False])
def test_a_derived_radiograph_states_a_rescale_where_its_source_does(tmp_path: Path, stated: bool) -> None:
    """Digital radiographs must have one (PS3.3 C.8.11.3): that of values as they are."""
    rescale = {"RescaleSlope": "2", "RescaleIntercept": "-5", "RescaleType": "US"} if stated else {}
    made = make_radiograph(tmp_path / "source", **rescale)
    found = replace(flat_findings(made), derived=(DerivedSeries("smooth", made.volume.array.astype(np.float32), "ct"),))
    (tmp_path / "out").mkdir()
    card = replace(FLAT_CARD, derived=FULL_CARD.derived)
    objects = encode(found, card, made.grid, made.paths, RUN, tmp_path / "out", volume=made.volume)
    derived = pydicom.dcmread(next(one.path for one in objects if one.kind is RenditionKind.DERIVED))

    wanted = (1, 0, "US") if stated else (None, None, None)
    assert tuple(derived.get(one) for one in ("RescaleSlope", "RescaleIntercept", "RescaleType")) == wanted


def derived_of(made: Made, values: np.ndarray, folder: Path) -> Dataset:
    """The first derived image of a run that found these values alone."""
    found = Findings(derived=(DerivedSeries("smooth", values.astype(np.float32), "ct"),))
    (folder / "out").mkdir()
    objects = encode(found, FULL_CARD, made.grid, made.paths, RUN, folder / "out", volume=made.volume)
    return pydicom.dcmread(next(one.path for one in objects if one.kind is RenditionKind.DERIVED))


def test_the_derived_image_of_a_frame_without_a_place_names_it(tmp_path: Path) -> None:
    made = make_clip(tmp_path / "source", shown=2)

    (group,) = derived_of(made, made.volume.array, tmp_path).PerFrameFunctionalGroupsSequence

    assert group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber == 2
    assert group.FrameContentSequence[0].TemporalPositionIndex == 2


def test_derived_ultrasound_has_the_bits_that_its_class_takes(tmp_path: Path) -> None:
    """Eight, unsigned, without a rescale (PS3.3 C.8.5.6.1), padded to whole words."""
    made = make_ultrasound(tmp_path / "source")
    derived = derived_of(made, made.volume.array * 0.9, tmp_path)

    assert (derived.BitsAllocated, derived.BitsStored, derived.HighBit, derived.PixelRepresentation) == (8, 8, 7, 0)
    assert "RescaleSlope" not in derived
    assert np.abs(derived.pixel_array - made.volume.array[0] * 0.9).max() <= 0.5


def test_derived_ultrasound_beyond_its_bits_is_no_result(tmp_path: Path) -> None:
    made = make_ultrasound(tmp_path / "source")

    with pytest.raises(ResultUnsound, match="derived US image has values from 0 to 300, not from 0 to 255"):
        derived_of(made, np.minimum(made.volume.array * 3, 300), tmp_path)


def test_a_derived_pet_image_has_the_intercept_that_its_class_takes(tmp_path: Path) -> None:
    """0, always (PS3.3 C.8.9.4)."""
    pet = {"SOPClassUID": PositronEmissionTomographyImageStorage, "Modality": "PT"}
    made = make_series(tmp_path / "source", changes=pet)
    values = made.volume.array * 0.9 + 1500.3
    derived = derived_of(made, values, tmp_path)
    lowest = values[made.grid.frames.index((derived.SourceImageSequence[0].ReferencedSOPInstanceUID, 1))]

    assert derived.RescaleIntercept == 0
    assert np.abs(derived.pixel_array * float(derived.RescaleSlope) - lowest).max() <= float(derived.RescaleSlope)


def test_an_inverted_radiograph_is_shown_as_it_is_meant(tmp_path: Path) -> None:
    """MONOCHROME1: the presentation state inverts (its pipeline replaces the image's), the summary is upright."""
    runs = [
        (photometric, make_radiograph(tmp_path / photometric, photometric=photometric))
        for photometric in ("MONOCHROME1", "MONOCHROME2")
    ]
    shapes, pages = {}, {}
    for photometric, made in runs:
        out = tmp_path / f"{photometric}-out"
        out.mkdir()
        objects = encode(
            flat_findings(made), FLAT_CARD, made.grid, made.paths, RUN, out, volume=made.volume
        )  # fmt: skip
        state = next(one.path for one in objects if one.kind is RenditionKind.GSPS)
        shapes[photometric] = pydicom.dcmread(state).PresentationLUTShape
        page = [one.path for one in objects if one.kind is RenditionKind.SUMMARY][1]
        pages[photometric] = pydicom.dcmread(page).pixel_array

    assert shapes == {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}
    assert np.array_equal(pages["MONOCHROME1"], pages["MONOCHROME2"])


def test_detections_can_be_drawn_in_the_patient(tmp_path: Path) -> None:
    """SCOORD3D, in a Comprehensive 3D report: a box as a surface over its slices, a point as a point."""
    profile = Profile(report=ReportClass.COMPREHENSIVE_3D, coordinates=Coordinates.PATIENT)
    run = run_of("series", tmp_path, profile)
    report = hd.sr.srread(run.path(RenditionKind.SR)).content
    regions = [one.roi for one in report.get_volumetric_roi_measurement_groups()]
    surfaces = [one for one in regions if isinstance(one, hd.sr.VolumeSurface)]

    assert [surface.graphic_type.value for surface in surfaces] == ["POLYGON", "POINT", "POLYGON"]
    affine = np.array(run.made.grid.affine_lps)
    assert np.allclose(np.ravel(surfaces[1].graphic_data), (affine @ [6, 20, 25, 1])[:3], atol=1e-3)
    heights = sorted({float(round(one[0][2], 3)) for one in surfaces[0].graphic_data})
    assert heights == [-85.0, -80.0, -75.0]


def test_what_lies_in_the_patient_is_drawn_on_its_middle_slice_first(tmp_path: Path) -> None:
    """Viewers draw the first coordinates of a group; OHIF draws none of a report with a surface among those."""
    profile = Profile(report=ReportClass.COMPREHENSIVE_3D, coordinates=Coordinates.PATIENT)
    run = run_of("series", tmp_path, profile)
    groups = hd.sr.srread(run.path(RenditionKind.SR)).content.get_volumetric_roi_measurement_groups()
    drawn = [[item for item in group[0].ContentSequence if "GraphicData" in item] for group in groups]

    assert [[(item.ValueType, item.GraphicType) for item in items[:2]] for items in drawn[-3:]] == [
        [("SCOORD", "POLYLINE"), ("SCOORD3D", "POLYGON")],
        [("SCOORD", "POINT"), ("SCOORD3D", "POINT")],
        [("SCOORD", "POLYLINE"), ("SCOORD3D", "POLYGON")],
    ]
    middle = drawn[-3][0].ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert middle == "2.25.100.5"


def test_segments_are_drawn_where_no_segmentation_is_wanted(tmp_path: Path) -> None:
    """On every slice, every part; otherwise the presentation state leaves them to the segmentation."""
    run = run_of("series", tmp_path, replace(EVERY_KIND, outlines=True))
    state = run.found(RenditionKind.GSPS)
    drawn = {item.ReferencedImageSequence[0].ReferencedSOPInstanceUID for item in state.GraphicAnnotationSequence}
    reached = np.any([one.mask.any(axis=(1, 2)) for one in run.findings.segments], axis=0)

    assert {f"2.25.100.{index + 1}" for index in np.flatnonzero(reached)} <= drawn
    assert len(state.GraphicLayerSequence) == 4


def a_line(state: Dataset) -> None:
    graphic = state.GraphicAnnotationSequence[0].GraphicObjectSequence[0]
    graphic.GraphicData = [value + 3 for value in graphic.GraphicData]


def a_line_less(state: Dataset) -> None:
    del state.GraphicAnnotationSequence[1]


def another_image(state: Dataset) -> None:
    references = [item.ReferencedImageSequence[0] for item in state.GraphicAnnotationSequence]
    references[0].ReferencedSOPInstanceUID = references[1].ReferencedSOPInstanceUID


def a_key_less(note: Dataset) -> None:
    del note.ContentSequence[-1]


def a_contour(structures: Dataset) -> None:
    contour = structures.ROIContourSequence[0].ContourSequence[0]
    contour.ContourData = [float(value) + 4 for value in contour.ContourData]


def a_slice_less(structures: Dataset) -> None:
    del structures.ROIContourSequence[1].ContourSequence[0]


def exchanged(structures: Dataset) -> None:
    one, other = structures.StructureSetROISequence[:2]
    one.ROIName, other.ROIName = other.ROIName, one.ROIName


def a_value(image: Dataset) -> None:
    pixels = np.frombuffer(image.FloatPixelData, "<f4").copy()
    pixels[100] += 1
    image.FloatPixelData = pixels.tobytes()


def another_quantity(image: Dataset) -> None:
    mapping = image.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    mapping.MeasurementUnitsCodeSequence[0].CodeValue = "%"


def a_place(image: Dataset) -> None:
    image.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0].ImagePositionPatient[2] += 5


def a_pixel(image: Dataset) -> None:
    pixels = bytearray(image.PixelData)
    pixels[101] ^= 8
    image.PixelData = bytes(pixels)


def rescale(image: Dataset) -> None:
    image.RescaleIntercept = float(image.RescaleIntercept) + 1


def cut_off(document: Dataset) -> None:
    document.EncapsulatedDocument = document.EncapsulatedDocument[:-100]


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        *((RenditionKind.GSPS, one) for one in (a_line, a_line_less, another_image)),
        (RenditionKind.KO, a_key_less),
        *((RenditionKind.RTSTRUCT, one) for one in (a_contour, a_slice_less, exchanged)),
        *((RenditionKind.MAP, one) for one in (a_value, another_quantity, a_place)),
        *((RenditionKind.DERIVED, one) for one in (a_pixel, rescale)),
        (RenditionKind.PDF, cut_off),
    ],
)
def test_a_spoiled_object_is_found(runs: dict[str, Run], kind: RenditionKind, spoil: Callable[[Dataset], None]) -> None:
    """Voxels, lines, places, references and codes, each in its kind; the sound one passes."""
    run = runs["series"]
    found = run.found(kind)
    run.check(kind, found)

    spoil(found)

    with pytest.raises(ResultUnsound, match=r"spoiled\.dcm: "):
        run.check(kind, found)


def test_a_ring_is_drawn_with_its_hole() -> None:
    """Two lines, or one that reaches the hole by a channel of no width and encloses the ring's area alone."""
    plane = np.zeros((20, 20), np.bool_)
    plane[2:14, 3:15] = True
    plane[6:10, 6:11] = False
    (area,) = areas_of(plane)
    x, y = area[:, 0], area[:, 1]
    enclosed = abs(float(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1]))) / 2

    assert len(contours_of(plane)) == 2
    assert enclosed == pytest.approx(plane.sum(), abs=3)
    assert np.array_equal(area[0], area[-1])


@pytest.mark.parametrize("left", ["measurements", "maps", "derived"])
def test_a_model_may_give_one_kind_of_finding_alone(left: str, tmp_path: Path) -> None:
    """Numbers of the study, maps or images: there is a report of each, and it is sound."""
    made = make_series(tmp_path / "source")
    everything = full_findings(made)
    numbers = tuple(replace(one, segments=()) for one in everything.measurements[:1])
    findings = Findings(**{left: numbers if left == "measurements" else getattr(everything, left)})
    card = replace(FULL_CARD, segments=(), detections=(), classifications=())
    (tmp_path / "out").mkdir()
    objects = encode(findings, card, made.grid, made.paths, RUN, tmp_path / "out", volume=made.volume)

    report = pydicom.dcmread(next(one.path for one in objects if one.kind is RenditionKind.SR))
    named = {
        reference.ReferencedSOPInstanceUID
        for series in report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    }
    made_of = {one.sop_instance_uid for one in objects if one.kind in (RenditionKind.MAP, RenditionKind.DERIVED)}
    assert made_of <= named
