"""Copies a PostgreSQL database into a file and back, by PostgreSQL's own programs."""

import os
import subprocess
from pathlib import Path

import sqlalchemy as sa

from node.errors import ConfigurationInvalid, LedgerUnusable


def dump(url: str, target: Path) -> None:
    """Write the database as it is at this moment, whoever writes meanwhile. Raises LedgerUnusable, and
    ConfigurationInvalid where the program is not there."""
    _run("pg_dump", url, "--format=custom", f"--file={target}")
    target.chmod(0o600)


def load(source: Path, url: str) -> None:
    """Fill an empty database from such a file, all of it or nothing. Raises as `dump` does."""
    _run("pg_restore", url, "--no-owner", "--single-transaction", str(source))


def _run(program: str, url: str, *arguments: str) -> None:
    parsed = sa.make_url(url)
    # The password goes by the environment: other users may see what is on a command line.
    place = parsed.set(drivername="postgresql", password=None).render_as_string()
    environment = {**os.environ, **({"PGPASSWORD": str(parsed.password)} if parsed.password else {})}
    command = [program, f"--dbname={place}", *arguments]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        words = f"{program} is not installed: install PostgreSQL's client programs of the server's version"
        raise ConfigurationInvalid(words) from error
    if done.returncode:
        told = done.stderr.strip().partition("\n")[0]
        raise LedgerUnusable(f"{program} failed on {place}: {told}")
