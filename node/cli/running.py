"""Commands that run the node, or show it running: serve, demo."""

from pathlib import Path
from typing import Annotated

import typer

from node.cli import here
from node.errors import ConfigurationInvalid


def add_to(app: typer.Typer) -> None:
    app.command()(serve)
    app.command()(demo)


def serve(
    only: Annotated[
        str, typer.Option(help="Run some processes only: receiver, service, worker, model; by comma.")
    ] = "",
) -> None:
    """Run the node until SIGTERM or Ctrl-C; what runs is finished first, for at most 30 seconds.

    Example: isocenter --config /etc/isocenter serve
    """
    from node.logs import configure_logs
    from node.service.supervisor import ROLES, Supervisor

    roles = tuple(one.strip() for one in only.split(",") if one.strip()) or ROLES
    unknown = [one for one in roles if one not in ROLES]
    if unknown:
        raise ConfigurationInvalid(f"--only: there is no process {unknown[0]!r}; there are {', '.join(ROLES)}")
    settings = here.configuration().settings
    configure_logs(settings.log.level, role="supervisor")
    Supervisor(settings, here.config_folder(), roles).run()


def demo(
    out: Annotated[Path, typer.Option(help="Folder for what comes back; an earlier demo's is replaced.")] = Path(
        "demo-out"
    ),
) -> None:
    """Show the whole journey: a node and a stand-in PACS on this machine, a phantom goes in, results come back.

    Example: isocenter demo
    """
    from node.rehearsal.demo import run_demo

    raise typer.Exit(0 if run_demo(out) else 1)
