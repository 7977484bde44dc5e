"""Commands that need no running node: run a model on a folder, explain routes, try them on a study."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import track

from node.cli import here
from node.core import routing
from node.core.routing import Arrival, Decision, RouteRule, Verdict
from node.core.study import InstanceFacts, Stack
from node.errors import ConfigurationInvalid, NotFound

if TYPE_CHECKING:
    from ai.contract import Model
    from node.jobs.folder import Folder
    from node.jobs.offline import Report

route = typer.Typer(help="Routes: which study goes to which model.", no_args_is_help=True)
models = typer.Typer(help="Models that are installed.", no_args_is_help=True)
OTHERS_TOLD = 5
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def add_to(app: typer.Typer) -> None:
    app.command()(run)
    app.add_typer(route, name="route")
    app.add_typer(models, name="models")


def run(
    model: Annotated[str, typer.Argument(help="A model's name, as `isocenter models list` shows it.")],
    path: Annotated[Path, typer.Argument(help="A folder with one study, or one file.")],
    out: Annotated[Path, typer.Option(help="Folder for the results; it must be empty or not there yet.")],
) -> None:
    """Run a model on a folder of DICOM files and write the objects that the node would send.

    Exit code 3: the images are unsuitable for the model; report.json says why.

    Example: isocenter run lung-ct ~/studies/chest --out results
    """
    from ai.registry import find_model
    from node.jobs.offline import run_model
    from node.results.wording import UNIT_WORDS

    found = find_model(model, here.models_folder())
    if out.exists() and any(out.iterdir()):
        raise ConfigurationInvalid(f"{out} is not empty: results are never written over others; name another folder")
    folder, chosen = chosen_stacks(found, path)
    console = Console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    with console.status("") as shown:
        outcome = run_model(
            found,
            folder,
            chosen,
            out,
            here.now(),
            say=lambda stage: shown.update(f"{stage} …"),
            too_late=_tell,
        )
    if outcome.report.outcome != "done":
        _tell(outcome.report)
        raise typer.Exit(3 if outcome.report.outcome == "refused" else 1)
    rows = [{**vars(row), "unit": UNIT_WORDS.get(row.unit, row.unit)} for row in outcome.rows]
    here.show(rows, as_json=False, empty="nothing was measured", columns=("segment", "name", "value", "unit"))
    for line in outcome.summary:
        print(line)
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in outcome.report.stages.items())
    print(f"\nResults are in {out} ({stages}). Not for diagnostic use.")


def _tell(report: "Report") -> None:
    """Why there are no results."""
    print(f"{report.outcome}: {report.reason_code}: {report.reason}", flush=True)


def chosen_stacks(model: "Model", path: Path) -> "tuple[Folder, Mapping[str, Stack]]":
    """The study in a folder, and what the model would get of it. Raises NotFound where it holds nothing for it."""
    from node.intake.routes import compile_route
    from node.jobs.catalogue import model_facts
    from node.settings import Route

    folder, name = _study_in(path), model.card.name
    rule = compile_route(Route(name=name, model=name, destinations=("folder",)), model_facts({name: model}))
    decision = _decide(rule, folder.facts, folder.stacks, Arrival(None, "", ""))
    if decision.verdict is not Verdict.TAKEN:
        raise NotFound(f"{path}: {decision.why}")
    return folder, decision.chosen


def _study_in(path: Path) -> "Folder":
    """The study in a folder; what else lies there is told. Raises NotFound where there is none, or more than one."""
    from node.jobs.folder import read_folder

    if not path.exists():
        raise NotFound(f"{path}: no such file or folder")
    folder = read_folder(path, _progress("reading headers"))
    told = [f"{file}: {why}" for file, why in folder.others[:OTHERS_TOLD]]
    if len(folder.others) > OTHERS_TOLD:
        told.append(f"… {len(folder.others) - OTHERS_TOLD} more")
    if told:
        typer.echo("\n".join(("Left out, as they are no DICOM instances, or damaged:", *told)), err=True)
    return folder


@route.command("explain")
def explain(
    path: Annotated[Path, typer.Argument(help="A folder with one study, or one file.")],
    calling: Annotated[str, typer.Option(help="AE title that would send it.")] = "ANY",
    called: Annotated[str, typer.Option(help="Our AE title it would be sent to.")] = "",
) -> None:
    """Say which routes would take a study, with which stack, and why not.

    Example: isocenter route explain ~/studies/chest --calling PACS
    """
    from node.intake.routes import compile_route
    from node.jobs.catalogue import installed_models, model_facts

    configuration = here.configuration()
    if not configuration.routes:
        raise ConfigurationInvalid(f"{here.config_folder() / 'routes.toml'} names no route; add a [[route]]")
    folder = _study_in(path)
    installed = installed_models(configuration.models)
    peer = next((one.name for one in configuration.peers if one.ae_title == calling), None)
    came = Arrival(peer, calling, called or configuration.settings.node.ae_titles[0])
    print(f"study {folder.study_uid}: {len(folder.facts)} instances, {len(folder.stacks)} stacks")
    for one in configuration.routes:
        decision = _decide(compile_route(one, model_facts(installed)), folder.facts, folder.stacks, came)
        print(f"\nroute {one.name} (model {one.model}): {decision.verdict.value}\n  {decision.why}")
        _show_notes(decision, folder.stacks)
        if decision.verdict is Verdict.TAKEN:
            _show_gate(decision, folder.stacks, installed[one.model])


@route.command("try")
def try_routes(
    study: Annotated[str, typer.Argument(help="The id or Study Instance UID of a study that is here.")],
) -> None:
    """Say what each route would say to a study that came, without effect.

    Example: isocenter route try s4mno2kv3
    """
    from node.intake.trial import tried_on_study
    from node.jobs.catalogue import installed_models, model_facts

    configuration = here.configuration()
    facts = model_facts(installed_models(configuration.models))
    with here.ledger() as ledger:
        decisions, stacks = tried_on_study(ledger, configuration, facts, study)
    for one in decisions:
        print(f"route {one.route}: {one.verdict.value}\n  {one.why}")
        _show_notes(one, stacks)


def _decide(
    rule: RouteRule,
    facts: Sequence[InstanceFacts],
    stacks: Sequence[Stack],
    came: Arrival,
) -> Decision:
    return routing.decide(rule, came, routing.study_names(facts, stacks, came), stacks)


def _show_notes(decision: Decision, stacks: Sequence[Stack]) -> None:
    described = {stack.name: stack for stack in stacks}
    rows = [
        {
            "input": note.input,
            "series": described[note.stack].series_number,
            "stack": note.stack[-24:],
            "description": described[note.stack].description,
            "slices": described[note.stack].slice_count,
            "fits": {True: "yes", False: "no", None: "undecided"}[note.answer.holds],
            "why": note.answer.why,
            "preference": " ".join("?" if rank.value is None else f"{rank.value:g}" for rank in note.ranks),
            "chosen": "chosen" if note.chosen else "",
        }
        for note in decision.notes
    ]
    if rows:
        here.show(rows, as_json=False, empty="")


def _show_gate(decision: Decision, stacks: Sequence[Stack], model: "Model") -> None:
    from node.errors import Refused
    from node.jobs.gate import check

    cards = {card.name: card for card in model.card.inputs}
    for name, stack in decision.chosen.items():
        try:
            check(stack, cards[name], [one for one in stacks if one.series_uid == stack.series_uid])
        except Refused as refused:
            print(f"  but input {name} would be refused: {refused.reason.value}: {refused}")
        else:
            print(f"  input {name} passes the gate")


def _progress(title: str) -> Callable[[Sequence[Path]], Iterable[Path]]:
    """A progress bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    return lambda files: track(files, title, console=console, disable=not console.is_terminal, transient=True)
