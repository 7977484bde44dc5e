"""Commands that steer: complete, release, retry, again, cancel, resend, correct, drop, pause, resume, erase."""

from typing import Annotated

import typer

from node.cli import here
from node.core.pausable import Pausable

Job = Annotated[str, typer.Argument(help="A job's id, as `isocenter jobs` shows it.")]


def add_to(app: typer.Typer) -> None:
    for command in (complete, release, retry, again, cancel, resend, correct, drop, pause, resume, erase):
        app.command()(command)


def complete(study: Annotated[str, typer.Argument(help="A study's id or Study Instance UID.")]) -> None:
    """Take a study as complete now, without waiting for more of it.

    Example: isocenter complete 1.2.840.113619.2.55.3
    """
    with here.operator() as operator:
        print(f"study {operator.complete(study, here.now())} is taken as complete")


def release(
    study: Annotated[str, typer.Argument(help="A study's id or Study Instance UID.")],
    latest: Annotated[
        bool, typer.Option("--latest", help="Of images that came twice with other content, take the later ones.")
    ] = False,
) -> None:
    """Let a study go on that was held: its images are from one patient, and the right ones count.

    Example: isocenter release sab3de7fg --latest
    """
    with here.operator() as operator:
        identity = operator.release(study, here.now(), latest=latest)
    print(f"study {identity} goes on")


def retry(job: Job) -> None:
    """Try a failed, refused or cancelled job again, from the stage where it ended.

    Example: isocenter retry jx5c2mzqa
    """
    with here.operator() as operator:
        operator.retry(job, here.now())
    print(f"job {job} is queued again")


def again(job: Job) -> None:
    """Run an ended job anew from the start; its results are new objects.

    Example: isocenter again jx5c2mzqa
    """
    with here.operator() as operator:
        operator.again(job, here.now())
    print(f"job {job} runs again")


def cancel(job: Job) -> None:
    """Let no further stage of a job start.

    Example: isocenter cancel jx5c2mzqa
    """
    with here.operator() as operator:
        operator.cancel(job, here.now())
    print(f"job {job} is cancelled")


def resend(
    delivery: Annotated[str, typer.Argument(help="A delivery's id, as `isocenter deliveries` shows it.")] = "",
    parked: Annotated[
        str, typer.Option(metavar="DESTINATION", help="Instead of one: all that are parked for this destination.")
    ] = "",
) -> None:
    """Send a delivery now: one that waits, was parked, or was delivered before.

    Example: isocenter resend dk3f7q2ab

    Example: isocenter resend --parked pacs
    """
    from node.actions import check_pausable

    if bool(delivery) == bool(parked):
        raise typer.BadParameter("name a delivery, or a destination with --parked")
    with here.operator() as operator:
        if delivery:
            operator.resend(delivery, here.now())
            print(f"delivery {delivery} is being sent")
            return
        check_pausable(here.configuration(), Pausable.DESTINATION, parked)
        resent = operator.resend_parked(parked, here.now())
    left = f"; {resent.outdated} are not: newer results replaced them" if resent.outdated else ""
    print(f"{resent.sent} of what is parked for {parked} is being sent{left}")


def correct(
    delivery: Annotated[str, typer.Argument(help="A delivery's id, as `isocenter deliveries` shows it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Make a study's results anew with the patient and accession number that the destination has for it.

    For a study that was corrected there since its images were made. The destination is asked, and both are shown first.

    Example: isocenter correct dk3f7q2ab
    """
    from node.service.peers import registered_there

    with here.operator() as operator:
        found = registered_there(here.configuration(), operator.ledger, delivery)
        if not yes:
            rows = [{"": what, "the results say": ours, found.destination: theirs} for what, ours, theirs in found.rows]
            here.show(rows, as_json=False, empty="")
            typer.confirm(f"Make the results anew with what {found.destination} has?", abort=True)
        count = operator.correct(delivery, found.theirs, here.now())
    print(f"{count} jobs of the study run again, with the patient and order that {found.destination} has")


def drop(
    delivery: Annotated[str, typer.Argument(help="A delivery's id, as `isocenter deliveries` shows it.")],
    reason: Annotated[str, typer.Option(help="Why these results are not to be sent; it is kept in the history.")],
) -> None:
    """Give a delivery up that waits or is parked.

    Example: isocenter drop dk3f7q2ab --reason "sent by hand"
    """
    with here.operator() as operator:
        operator.drop(delivery, reason, here.now())
    print(f"delivery {delivery} is dropped")


def erase(
    study: Annotated[str, typer.Argument(help="A study's id or Study Instance UID.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove one study with its images, results and every fact about it, at once and for good.

    What was sent to other systems is theirs to erase.

    Example: isocenter erase sab3de7fg
    """
    if not yes:
        typer.confirm(f"Erase study {study} with all its images and results for good?", abort=True)
    home = here.configuration().settings.state.home.absolute()
    with here.operator() as operator:
        count = operator.erase(study, home, here.now())
    print(f"study {study} is erased: {count} files, its results and its facts")


Kind = Annotated[Pausable, typer.Argument(help="What is meant.")]
Name = Annotated[str, typer.Argument(help="Its name in the configuration.")]


def pause(kind: Kind, name: Name) -> None:
    """Start nothing more of a route, a model or a destination; what runs goes on, what comes waits.

    Example: isocenter pause destination pacs
    """
    from node.actions import check_pausable

    check_pausable(here.configuration(), kind, name)
    with here.operator() as operator:
        operator.pause(kind, name, here.now())
    print(f"{kind.value} {name} is paused")


def resume(kind: Kind, name: Name) -> None:
    """Go on with what waited while a route, a model or a destination was paused.

    Example: isocenter resume destination pacs
    """
    with here.operator() as operator:
        operator.resume(kind, name, here.now())
    print(f"{kind.value} {name} goes on")
