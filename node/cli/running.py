"""Commands that run the node, or show it running: serve, demo, selftest."""

import socket
from pathlib import Path
from typing import Annotated

import typer

from node.cli import here
from node.errors import ConfigurationInvalid


def add_to(app: typer.Typer) -> None:
    app.command()(serve)
    app.command()(demo)
    app.command()(selftest)


def serve(
    only: Annotated[
        str, typer.Option(help="Run some processes only: receiver, service, worker, model; by comma.")
    ] = "",
    line: Annotated[int | None, typer.Option(hidden=True, help="A socket with whose other end the node ends.")] = None,
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
    Supervisor(settings, here.config_folder(), roles, None if line is None else socket.socket(fileno=line)).run()


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


def selftest() -> None:
    """Test this installation step by step: a phantom through a receiver, a model and a test destination.

    A node of its own is started for it, in a temporary folder and on free ports; one that runs here is not touched.
    Exit code 1: a step failed.

    Example: isocenter selftest
    """
    from node.core.checkup import Seen
    from node.rehearsal.selftest import run_selftest

    def tell(one: Seen) -> None:
        if one.holds is not None:
            print(f"{'ok  ' if one.holds else 'FAIL'}  {one.what}: {one.words}", flush=True)

    raise typer.Exit(0 if run_selftest(tell) else 1)
