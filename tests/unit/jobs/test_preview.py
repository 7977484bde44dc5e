"""The preview of a run: the right slice, the findings where they are, and nothing decoded in this process."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from ai.contract import DetectionCard, MapCard
from ai.exchange import load_slice, save_findings
from ai.findings import Detection, Findings, Map, Measurement, Segment, Shape
from node.core.job import Priority, Stage
from node.core.preview import CT_VIEWS
from node.core.stacks import split_into_stacks
from node.errors import NotFound
from node.jobs.catalogue import installed_models
from node.jobs.preview import KEPT, Previews
from node.rehearsal.phantom import ScanGrid, write_study
from node.state import arrivals, work
from node.state.header import read_facts
from node.state.rows import NewJob
from node.state.work import Ticket
from tests.makers.ledger import Books, books

GRID = ScanGrid(rows=50, columns=60, slices=30, pixel_spacing_mm=(6.0, 6.0), slice_spacing_mm=9.0)
FOUND = 12


@dataclass(frozen=True)
class Run:
    """A job whose findings lie on one slice."""

    books: Books
    previews: Previews
    files: list[Path]


def models() -> dict[str, SimpleNamespace]:
    """The model that ships, as if it also found nodules and made a map."""
    card = installed_models()["lung-ct"].card
    code = card.segments[0].type
    found = replace(
        card,
        detections=(DetectionCard("nodule", "Nodule", code, code, None, None),),
        maps=(MapCard("heat", "Heat", code, code, (0.0, 1.0)),),
    )
    return {"lung-ct": SimpleNamespace(card=found)}


def mask() -> np.ndarray:
    found = np.zeros((30, 50, 60), np.bool_)
    found[FOUND, 20:30, 20:35] = True
    return found


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with books(tmp_path) as found:
        files = write_study(tmp_path / "spool", GRID)
        facts = [read_facts(one) for one in files]
        for one, file in zip(facts, files, strict=True):
            found.arrive(one, path=str(file.relative_to(tmp_path)))
        (stack,) = split_into_stacks(facts)
        (tmp_path / "work").mkdir()
        findings = Findings(
            (Segment("right-lung", mask(), "ct"),), (Measurement("volume", 12.5, ("right-lung",)),), ("One.",)
        )
        save_findings(findings, tmp_path / "work")
        with found.ledger.write() as connection:
            study = arrivals.studies_of_uid(connection, facts[0].study_uid)[0]
            new = NewJob(
                "j1", "k", study.id, "r", "lung-ct", "1", "d", "i" * 64, {"ct": stack}, (), False, Priority.ROUTINE
            )
            work.add_job(connection, new, found.clock())
            for stage, after in ((Stage.PREPARE, Stage.INFER), (Stage.INFER, Stage.ENCODE)):
                ticket = Ticket("j1", 1, stage, 1)
                work.start_attempt(connection, ticket, "w", found.clock())
                work.adopt(connection, work.get_job(connection, "j1"), ticket, "work", after, found.clock())
        yield Run(found, Previews(found.ledger, tmp_path, models(), decode_memory_mb=2000), files)


def find(run: Run, findings: Findings) -> None:
    """The job's findings are these."""
    for old in (run.books.home / "work").iterdir():
        old.unlink()
    save_findings(findings, run.books.home / "work")


def pixels(run: Run, index: int, *, findings: bool = True) -> np.ndarray:
    png = run.previews.picture("j1", index, CT_VIEWS[0], findings=findings)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def coloured(picture: np.ndarray) -> np.ndarray:
    return np.ptp(picture, axis=2) > 30


def test_findings_are_drawn_on_their_slice_where_they_are(run: Run) -> None:
    drawn = coloured(pixels(run, FOUND))
    rows, columns = np.nonzero(drawn)
    scale = drawn.shape[1] / 60

    assert abs(rows.min() / scale - 20) < 1
    assert abs(rows.max() / scale - 30) < 1
    assert abs(columns.min() / scale - 20) < 1
    assert abs(columns.max() / scale - 35) < 1
    assert not coloured(pixels(run, FOUND + 1)).any()
    assert not coloured(pixels(run, FOUND, findings=False)).any()


def test_it_begins_where_most_was_found_and_lists_the_numbers(run: Run) -> None:
    preview = run.previews.open("j1")

    assert (preview.slice_count, preview.start) == (30, FOUND)
    assert [(one.label, one.slices) for one in preview.drawn] == [("Right lung", 1)]
    assert [(one.region, one.value) for one in preview.measured] == [("Right lung", "12.5 mL")]
    assert [one.name for one in preview.views][:2] == ["lung", "soft tissue"]


def test_detections_and_maps_are_drawn_where_they_are(run: Run) -> None:
    """A model may find points, boxes or a map, and no segment."""
    heat = np.zeros((30, 50, 60), np.float32)
    heat[FOUND + 2, 5:15, 40:50] = 1.0
    box = np.array([[FOUND, 20.0, 10.0], [FOUND, 30.0, 25.0]])
    find(run, Findings(detections=(Detection("nodule", Shape.BOX, box, "ct", 0.9),), maps=(Map("heat", heat, "ct"),)))
    scale = pixels(run, 0).shape[1] / 60
    rows, columns = np.nonzero(coloured(pixels(run, FOUND)))
    warm = coloured(pixels(run, FOUND + 2))
    preview = run.previews.open("j1")

    assert np.abs(np.array([rows.min(), rows.max()]) / scale - [20.5, 30.5]).max() < 1
    assert np.abs(np.array([columns.min(), columns.max()]) / scale - [10.5, 25.5]).max() < 1
    assert warm[int(10 * scale), int(45 * scale)]
    assert not warm[:, : int(38 * scale)].any()
    assert [(one.label, one.slices) for one in preview.drawn] == [("Nodule", 1), ("Heat", 1)]
    assert preview.start == FOUND + 2


def test_a_detection_outside_the_images_is_on_no_slice(run: Run) -> None:
    """Its job fails before anything is sent; the operator looks at the rest to see why."""
    find(run, Findings(detections=tuple(
        Detection("nodule", Shape.BOX, np.array([[first, 20.0, 10.0], [last, 30.0, 25.0]]), "ct")
        for first, last in ((-3.0, 1.0), (28.0, 33.0))
    )))  # fmt: skip
    preview = run.previews.open("j1")

    assert [(one.label, one.slices) for one in preview.drawn] == [("Nodule", 4)]
    assert coloured(pixels(run, 0)).any()
    assert not coloured(pixels(run, 27)).any()


def test_slices_differ_and_lie_as_in_their_images(run: Run) -> None:
    assert not np.array_equal(pixels(run, 5), pixels(run, 15))


@pytest.mark.parametrize("index", [-1, 30])
def test_a_slice_that_is_not_there_is_not_found(run: Run, index: int) -> None:
    with pytest.raises(NotFound, match="slices 1 to 30"):
        run.previews.picture("j1", index, None, findings=True)


def test_images_that_were_purged_are_said_to_be_gone(run: Run) -> None:
    with run.books.ledger.write() as connection:
        connection.exec_driver_sql("UPDATE iso_instance SET path = NULL")
    with pytest.raises(NotFound, match="not here any more"):
        run.previews.open("j1")


def test_few_volumes_are_kept(run: Run) -> None:
    folder = run.books.home / "run" / "preview"
    for number in range(KEPT + 3):
        (folder / f"old-{number}").mkdir(parents=True)
    run.previews.open("j1")

    assert len(list(folder.iterdir())) == KEPT
    assert list(folder.glob("j1-*"))


@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 8, 8), (4, 1, 3)])
def test_one_slice_of_packed_masks_is_what_was_saved(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    """Slices of packed bits need not begin at a byte."""
    masks = np.random.default_rng(1).random(shape) > 0.5
    save_findings(Findings((Segment("a", masks, "ct"),), (), ()), tmp_path)
    for index in range(shape[0]):
        ((key, plane),) = load_slice(tmp_path, index, "ct").masks.items()
        assert key == "a"
        assert np.array_equal(plane, masks[index])
    assert load_slice(tmp_path, 0, "pet").masks == {}
