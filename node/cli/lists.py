"""Commands that show: studies, instances, jobs, results, deliveries, associations, status."""

from typing import TYPE_CHECKING, Annotated

import typer

from node.cli import here
from node.core.job import DeliveryState

if TYPE_CHECKING:
    from node.cli.queries import Query

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Limit = Annotated[int, typer.Option(help="How many, the newest first.", min=1, max=1_000_000)]

# What people see of each list; programs get everything.
_STUDY = ("id", "state", "instances", "calling_ae", "called_ae", "last_at", "completed_at", "why")
_INSTANCE = ("sop_uid", "kind", "modality", "size_bytes", "in_force", "received_at", "why")
_JOB = ("id", "state", "stage", "run", "route", "study_id", "changed_at", "reason", "message")
_DELIVERY = ("id", "state", "destination", "job_id", "attempt", "next_at", "changed_at", "message")
_ASSOCIATION = ("id", "started_at", "calling_ae", "called_ae", "address", "outcome", "stored", "refused", "why")
_ATTEMPT = ("run", "stage", "outcome", "started_at", "seconds", "peak_mb", "message")


def add_to(app: typer.Typer) -> None:
    for command in (status, studies, instances, jobs, job, results, deliveries, associations):
        app.command()(command)


def status(as_json: AsJson = False) -> None:
    """Whether the node runs, its processes, what waits in its queues, and the room left on its disk.

    Exit code 0: it is ready; 1: it runs and is not; 5: it does not run.

    Example: isocenter status --json
    """
    from node.service.state import read_status

    found = read_status(here.configuration())
    if as_json:
        here.tell(found.as_json())
    else:
        print("ready" if found.ready else f"not ready: {found.why}")
        here.show([vars(one) for one in found.processes], as_json=False, empty="no process runs")
        if found.queues:  # they are not known before a ledger is there, nor while it cannot be read
            print("queues: " + ", ".join(f"{name} {count}" for name, count in found.queues.items()))
        print(f"disk: {found.disk_free_mb} MB free")
    raise typer.Exit(0 if found.ready else 1 if found.processes else 5)


def studies(limit: Limit = 50, as_json: AsJson = False) -> None:
    """Studies that arrived, with their state and why.

    Example: isocenter studies --limit 10
    """
    from node.cli import queries

    _list(queries.studies(limit), as_json, "no study has arrived yet", _STUDY)


def instances(
    study: Annotated[str, typer.Argument(help="A study's id or Study Instance UID.")], as_json: AsJson = False
) -> None:
    """Instances of one study.

    Example: isocenter instances s4mno2kv3
    """
    from node.cli import queries
    from node.state import arrivals

    with here.ledger() as ledger, ledger.read() as connection:
        found = arrivals.get_study(connection, study)
    _list(queries.instances(found.id), as_json, "no instance", _INSTANCE)


def jobs(limit: Limit = 50, as_json: AsJson = False) -> None:
    """Jobs with their state; a refused or failed one says why.

    Example: isocenter jobs --json
    """
    from node.cli import queries

    _list(queries.jobs(limit), as_json, "no job yet", _JOB)


def job(job_id: Annotated[str, typer.Argument(help="A job's id.")], as_json: AsJson = False) -> None:
    """One job: its attempts with their time and memory, and its history.

    Example: isocenter job jx5c2mzqa
    """
    from node.cli import queries
    from node.state import work

    with here.ledger() as ledger, ledger.read() as connection:
        found = work.get_job(connection, job_id)
        attempts = connection.execute(queries.attempts(found.id)).mappings().all()
        events = connection.execute(queries.events(found.id)).mappings().all()
    rows = [{**one, "seconds": here.seconds_between(one["started_at"], one["ended_at"])} for one in attempts]
    if as_json:
        head = {
            "id": found.id,
            "state": found.state.value,
            "run": found.run,
            "route": found.route,
            "model": found.model,
        }
        items = {"attempts": [here.plain(one) for one in rows], "events": [here.plain(dict(one)) for one in events]}
        here.tell({**head, "reason": found.reason, "message": found.message, **items})
        return
    print(f"job {found.id}: {found.state.value}, run {found.run}, route {found.route}, model {found.model}")
    if found.message:
        print(f"{found.reason or 'note'}: {found.message}")
    here.show(rows, as_json=False, empty="nothing was tried yet", columns=_ATTEMPT)
    here.show([dict(one) for one in events], as_json=False, empty="")


def results(job_id: Annotated[str, typer.Argument(help="A job's id.")], as_json: AsJson = False) -> None:
    """Result objects of a job's present run, and where their files are.

    Example: isocenter results jx5c2mzqa
    """
    from node.state import outbox, work

    with here.ledger() as ledger, ledger.read() as connection:
        found = work.get_job(connection, job_id)
        rows = [vars(one) for one in outbox.results_of(connection, found.id, found.run)]
    here.show(rows, as_json=as_json, empty=f"job {job_id} has no results yet; it is {found.state.value}")


def deliveries(
    limit: Limit = 50,
    state: Annotated[DeliveryState | None, typer.Option(help="Only those in this state.")] = None,
    destination: Annotated[str, typer.Option(metavar="NAME", help="Only those for this destination.")] = "",
    as_json: AsJson = False,
) -> None:
    """What was or is to be sent where: state, next try, and what the destination said.

    Example: isocenter deliveries --state parked --destination pacs
    """
    from node.cli import queries

    empty = "no delivery is like that" if state or destination else "no delivery yet"
    _list(queries.deliveries(limit, state, destination), as_json, empty, _DELIVERY)


def associations(
    limit: Limit = 50,
    troubled: Annotated[bool, typer.Option("--troubled", help="Only those that did not go as they should.")] = False,
    as_json: AsJson = False,
) -> None:
    """Who called: accepted or not, why, and what to change.

    Example: isocenter associations --troubled --limit 20
    """
    from node.cli import queries

    empty = "nobody was turned away, and every association ended as it should" if troubled else "nobody has called yet"
    _list(queries.associations(limit, troubled=troubled), as_json, empty, _ASSOCIATION)


def _list(query: "Query", as_json: bool, empty: str, columns: tuple[str, ...]) -> None:
    with here.ledger() as ledger, ledger.read() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    here.show(rows, as_json=as_json, empty=empty, columns=columns)
