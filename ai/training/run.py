"""A whole training: cases to weights, weights to a model's folder, and its figures on cases it was not trained on."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from ai.contract import ModelCard
from ai.device import Device
from ai.errors import CasesInvalid, PlanInvalid
from ai.networks.declared import Kind
from ai.networks.heads import Activation, Finds
from ai.networks.model import NetworkModel
from ai.training.bundle import write_bundle
from ai.training.cases import choose, find_cases
from ai.training.evaluation import Evaluation, evaluate
from ai.training.examples import Example, read_examples
from ai.training.fit import Fitting
from ai.training.plan import Plan
from ai.training.report import as_json, page

Say = Callable[[int, str], None]


def train(template: Path, plan: Plan, out: Path, say: Say, start: Path | None = None) -> dict[str, Evaluation]:
    """Train the network of the card in `template` and write into `out`: the checkpoint, `bundle` and the reports.

    A training that was interrupted goes on from its checkpoint. say: told after each epoch its number and a line.
    start: a model's folder with the same network, whose weights it begins with; random ones otherwise. Raises
    PlanInvalid, CardInvalid and CasesInvalid.
    """
    model = NetworkModel(template)
    _check(model)
    found = find_cases(plan.cases.folder)
    held_out, validation = (
        choose(found, plan.cases.every, one) for one in (plan.cases.held_out, plan.cases.validation)
    )
    training = [case for case in found if case not in held_out and case not in validation]
    if not training or not validation or set(held_out) & set(validation):
        raise PlanInvalid(
            f"[cases]: of {len(found)}, {len(training)} are left to train on, {len(validation)} are validation and "
            f"{len(held_out)} held out: of the first two there must be some, of the last none may be validation, and "
            f"each rest is below every ({plan.cases.every})"
        )
    if len(training) < plan.schedule.batch:
        raise PlanInvalid(f"[schedule]: batch is {plan.schedule.batch}, of {len(training)} cases to train on")
    out.mkdir(parents=True, exist_ok=True)
    beginning = NetworkModel(start).network if start else None
    fitting = Fitting(plan, model.network, [one.key for one in model.card.segments], out, beginning)
    examples = read_examples(training, model.card)
    _check_labels(examples, model.card)
    weights = fitting.run(examples, read_examples(validation, model.card), say)
    write_bundle(template, model.network, weights, out / "bundle")
    trained, device = NetworkModel(out / "bundle"), Device(threads=plan.schedule.threads)
    parts = {"Validation": validation, "Held out": held_out}
    figures = {name: evaluate(trained, cases, device) for name, cases in parts.items() if cases}
    _report(model.card.name, figures, fitting.progress.best_epoch, out)
    return figures


def _check(model: NetworkModel) -> None:
    network = model.network
    fits = network.kind is Kind.SAFETENSORS and network.finds is Finds.SEGMENTS and network.dimensions == 3
    if not fits or network.activation is not Activation.SOFTMAX or len(model.card.inputs) != 1 or not network.window:
        raise PlanInvalid(
            f"{model.card.name}: what can be trained is a network of kind safetensors in 3D, with one input and a "
            "window, that finds segments by softmax"
        )


def _check_labels(examples: Sequence[Example], card: ModelCard) -> None:
    """Raises CasesInvalid where a segment is in no case: the network would learn never to find it."""
    for label, one in enumerate(card.segments, 1):
        if not any((example["label"] == label).any() for example in examples):
            raise CasesInvalid(f"no case to train on has label {label}, the segment {one.key!r} of {card.name}")


def _report(name: str, figures: dict[str, Evaluation], epoch: int, out: Path) -> None:
    title = f"{name}: weights of epoch {epoch}"
    (out / "report.md").write_text(page(title, figures), encoding="utf-8")
    content = {"model": name, "epoch": epoch, **{key: as_json(one) for key, one in figures.items()}}
    (out / "report.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
