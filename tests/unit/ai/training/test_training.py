"""Training from labelled images to a model's folder; small enough to be seen whole."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from ai.device import Device
from ai.errors import CardInvalid, CasesInvalid, PlanInvalid
from ai.networks.model import NetworkModel
from ai.training.cases import Case, choose, find_cases, read_case
from ai.training.evaluation import evaluate
from ai.training.plan import Plan, read_plan
from ai.training.run import train
from tests.makers.labelled import SHAPE, labelled_folder, write

HIPPOCAMPUS = Path(__file__).parents[4] / "ai" / "models" / "hippocampus"


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelled_folder(tmp_path_factory.mktemp("cases"), 10)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, cases: Path) -> Path:
    """The card and the plan of the shipped model, with a network of a few thousand weights."""
    folder = tmp_path_factory.mktemp("template")
    card = (HIPPOCAMPUS / "card.toml").read_text()
    card = card.replace("filters = [16, 32, 64, 128]", "filters = [8, 8, 8]").replace("[3, 3, 3, 3]", "[3, 3, 3]")
    card = card.replace("[2, 2, 2]", "[2, 2]").replace("[1, 2, 2, 2]", "[1, 2, 2]")
    (folder / "card.toml").write_text(card.replace("[32, 48, 32]", "[16, 16, 16]"))
    plan = (HIPPOCAMPUS / "train.toml").read_text()
    plan = plan.replace("every = 13", "every = 5").replace("[0, 4, 8]", "[0]").replace("[6]", "[1]")
    (folder / "train.toml").write_text(plan.replace("../../../../shared/data/mr-hippocampus", str(cases)))
    (folder / "LICENSE").write_text("whose data it was")
    return folder


def short(template: Path, epochs: int) -> Plan:
    plan = read_plan(template / "train.toml")
    how = {"epochs": epochs, "falling_epochs": 1, "batch": 1, "learning_rate": 0.004, "average": 0.5}
    how |= {"rising_steps": 5, "validate_every": 1, "precision": "float32"}
    return plan.model_copy(update={"schedule": plan.schedule.model_copy(update=how)})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Path:
    out = tmp_path_factory.mktemp("trained")
    train(template, short(template, 8), out, lambda _epoch, _line: None)
    return out


def weights(out: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(out / "bundle" / "models" / "model.safetensors")


def test_what_is_trained_is_a_model_that_runs_and_finds(trained: Path, cases: Path) -> None:
    found = evaluate(NetworkModel(trained / "bundle"), find_cases(cases), Device())

    assert [one.label for one in found.scores] == ["Anterior hippocampus", "Posterior hippocampus"]
    assert min(one.dice for one in found.scores) > 0.7
    assert found.counts.sum() == 10 * np.prod(SHAPE)
    assert (trained / "bundle" / "LICENSE").read_text() == "whose data it was"


def test_the_report_has_the_figures_of_both_parts(trained: Path, cases: Path) -> None:
    report = json.loads((trained / "report.json").read_text())
    again = evaluate(NetworkModel(trained / "bundle"), choose(find_cases(cases), 5, [0]), Device(threads=1))

    assert [one["case"] for one in report["Held out"]["cases"]] == ["case_00", "case_05"]
    assert [one["case"] for one in report["Validation"]["cases"]] == ["case_01", "case_06"]
    assert report["Held out"]["confusion"]["voxels"] == again.counts.tolist()
    assert "| Anterior hippocampus |" in (trained / "report.md").read_text()


def test_a_training_gives_the_same_weights_again_also_after_an_interruption(
    tmp_path: Path, template: Path, trained: Path
) -> None:
    """Stopped after epoch 3 of 8, then run again: what falls at the end begins later than that."""

    class Stop(Exception):
        pass

    def stop(epoch: int, _line: str) -> None:
        if epoch == 3:
            raise Stop

    with pytest.raises(Stop):
        train(template, short(template, 8), tmp_path, stop)
    told: list[int] = []
    train(template, short(template, 8), tmp_path, lambda epoch, _line: told.append(epoch))

    assert told == list(range(4, 9))
    assert all(torch.equal(one, weights(tmp_path)[key]) for key, one in weights(trained).items())


def test_a_training_may_begin_with_the_weights_of_a_model(tmp_path: Path, template: Path, trained: Path) -> None:
    """With a rate of next to nothing they come out as they went in; from random ones they could not."""
    plan = short(template, 1)
    plan = plan.model_copy(update={"schedule": plan.schedule.model_copy(update={"learning_rate": 1e-9})})

    train(template, plan, tmp_path, lambda _epoch, _line: None, trained / "bundle")

    assert all(torch.allclose(one, weights(tmp_path)[key], atol=1e-3) for key, one in weights(trained).items())


def test_another_networks_weights_are_no_beginning(tmp_path: Path, template: Path) -> None:
    with pytest.raises(CardInvalid, match="not those of the network"):
        train(template, short(template, 1), tmp_path, lambda _epoch, _line: None, HIPPOCAMPUS)


def test_the_card_pins_the_weights(tmp_path: Path, trained: Path) -> None:
    folder = shutil.copytree(trained / "bundle", tmp_path / "bundle")
    with (folder / "models" / "model.safetensors").open("ab") as file:
        file.write(b"\x00")

    with pytest.raises(CardInvalid, match="SHA-256"), NetworkModel(folder).open(Device()):
        pass


def test_held_out_cases_are_not_read_before_the_training_is_over(tmp_path: Path, template: Path) -> None:
    """They cannot be read here, and all epochs are done when that is found out."""
    broken = labelled_folder(tmp_path / "cases", 5)
    (broken / "images" / "case_00.nii.gz").write_bytes(b"")
    plan = short(template, 2)
    plan = plan.model_copy(update={"cases": plan.cases.model_copy(update={"folder": broken})})
    told: list[int] = []

    with pytest.raises(CasesInvalid, match="case_00"):
        train(template, plan, tmp_path / "out", lambda epoch, _line: told.append(epoch))

    assert told == [1, 2]


def test_a_volume_lies_where_the_file_says(tmp_path: Path) -> None:
    (case, *_) = find_cases(labelled_folder(tmp_path / "cases", 1))

    volume, labels = read_case(case, "MR")

    assert (volume.array.shape, labels.shape, volume.spacing_mm) == (SHAPE, SHAPE, (1, 1, 1))
    assert volume.affine_lps is not None
    assert (volume.affine_lps @ [3, 2, 1, 1]).tolist() == [-2, -3, 4, 1]


def test_labels_on_another_grid_are_refused(tmp_path: Path) -> None:
    folder = labelled_folder(tmp_path / "cases", 1)
    write(folder / "labels" / "case_00.nii.gz", np.zeros(SHAPE, np.uint8), spacing_mm=1.1)

    with pytest.raises(CasesInvalid, match="not on the same grid"):
        read_case(find_cases(folder)[0], "MR")


@pytest.mark.parametrize("strange", [np.nan, np.inf])
def test_an_image_with_values_that_are_no_numbers_is_no_case(tmp_path: Path, strange: float) -> None:
    """One voxel would make every weight of the network no number."""
    folder = labelled_folder(tmp_path / "cases", 1)
    image = np.zeros(SHAPE, np.float32)
    image[3, 3, 3] = strange
    (folder / "images" / "case_00.nii.gz").unlink()
    write(folder / "images" / "case_00.nrrd", image)
    (folder / "labels" / "case_00.nii.gz").unlink()
    write(folder / "labels" / "case_00.nrrd", np.zeros(SHAPE, np.uint8))

    with pytest.raises(CasesInvalid, match="case_00: its image holds values that are not numbers"):
        read_case(find_cases(folder)[0], "MR")


def test_an_image_that_the_chain_refuses_is_named(tmp_path: Path, template: Path) -> None:
    folder = labelled_folder(tmp_path / "cases", 5)
    write(folder / "images" / "case_03.nii.gz", np.full(SHAPE, 7, np.float32))

    with pytest.raises(CasesInvalid, match="case_03: the images are the same everywhere"):
        train(template, other_cases(short(template, 1), folder), tmp_path / "out", silent)


def test_a_training_that_runs_away_ends(tmp_path: Path, template: Path, cases: Path) -> None:
    """It would go on for all its epochs with weights that are no numbers."""
    plan = other_cases(short(template, 3), cases)
    schedule = plan.schedule.model_copy(update={"learning_rate": 1e30, "rising_steps": 1})

    with pytest.raises(PlanInvalid, match=r"the loss became .*: lower learning_rate"):
        train(template, plan.model_copy(update={"schedule": schedule}), tmp_path / "out", silent)


@pytest.mark.parametrize("left", [0, 20, 3000, None])
def test_a_checkpoint_that_is_none_is_told(
    tmp_path: Path, template: Path, trained: Path, cases: Path, left: int | None
) -> None:
    """A disk that was full, or a file of somebody else."""
    content = b"hello\n" if left is None else (trained / "checkpoint.pt").read_bytes()[:left]
    (tmp_path / "checkpoint.pt").write_bytes(content)

    with pytest.raises(PlanInvalid, match=r"checkpoint\.pt: is no whole checkpoint"):
        train(template, other_cases(short(template, 1), cases), tmp_path, silent)


def test_a_label_without_a_segment_is_refused(tmp_path: Path, trained: Path) -> None:
    folder = labelled_folder(tmp_path / "cases", 1)
    write(folder / "labels" / "case_00.nii.gz", np.full(SHAPE, 3, np.uint8))

    with pytest.raises(CasesInvalid, match=r"has label 3, and hippocampus has 2 segments"):
        evaluate(NetworkModel(trained / "bundle"), find_cases(folder), Device())


def other_cases(plan: Plan, folder: Path) -> Plan:
    return plan.model_copy(update={"cases": plan.cases.model_copy(update={"folder": folder})})


def silent(_epoch: int, _line: str) -> None:
    pass


def test_a_label_without_a_segment_is_refused_before_anything_is_trained(tmp_path: Path, template: Path) -> None:
    folder = labelled_folder(tmp_path / "cases", 5)
    write(folder / "labels" / "case_03.nii.gz", np.full(SHAPE, 3, np.uint8))

    with pytest.raises(CasesInvalid, match=r"case_03: has label 3, and hippocampus has 2 segments"):
        train(template, other_cases(short(template, 1), folder), tmp_path / "out", silent)


def test_a_segment_that_no_case_has_is_not_trained(tmp_path: Path, template: Path) -> None:
    folder = labelled_folder(tmp_path / "cases", 5)
    for file in (folder / "labels").iterdir():
        write(file, (read_case(Case("a", file, file), "MR")[1] == 1).astype(np.uint8))

    with pytest.raises(CasesInvalid, match="no case to train on has label 2, the segment 'posterior'"):
        train(template, other_cases(short(template, 1), folder), tmp_path / "out", silent)


@pytest.mark.parametrize("lacking", ["images", "labels"])
def test_half_a_case_is_none(tmp_path: Path, lacking: str) -> None:
    folder = labelled_folder(tmp_path / "cases", 3)
    (folder / lacking / "case_01.nii.gz").unlink()

    assert [one.name for one in find_cases(folder)] == ["case_00", "case_02"]


def test_fewer_cases_than_a_batch_are_no_training(tmp_path: Path, template: Path) -> None:
    plan = short(template, 1)
    plan = plan.model_copy(update={"schedule": plan.schedule.model_copy(update={"batch": 9})})

    with pytest.raises(PlanInvalid, match="batch is 9, of 6 cases"):
        train(template, plan, tmp_path, silent)


def test_parts_without_cases_are_told(tmp_path: Path, template: Path) -> None:
    plan = short(template, 1)
    plan = plan.model_copy(update={"cases": plan.cases.model_copy(update={"validation": (5,)})})

    with pytest.raises(PlanInvalid, match=r"of 10, 8 are left to train on, 0 are validation .* below every \(5\)"):
        train(template, plan, tmp_path, silent)


def test_a_checkpoint_of_another_network_is_not_gone_on_from(tmp_path: Path, template: Path, trained: Path) -> None:
    other = shutil.copytree(template, tmp_path / "other")
    card = (other / "card.toml").read_text()
    (other / "card.toml").write_text(card.replace("filters = [8, 8, 8]", "filters = [8, 8, 16]"))
    shutil.copy(trained / "checkpoint.pt", tmp_path / "checkpoint.pt")

    with pytest.raises(PlanInvalid, match="another network than the card's"):
        train(other, short(template, 9), tmp_path, silent)


def test_a_plan_says_what_is_wrong_in_it(tmp_path: Path, template: Path) -> None:
    file = tmp_path / "train.toml"
    file.write_text((template / "train.toml").read_text().replace("every = 5", "each = 5"))

    with pytest.raises(PlanInvalid, match=r"cases\.each: Extra inputs"):
        read_plan(file)
