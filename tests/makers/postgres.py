"""A PostgreSQL of its own for the tests: a private cluster on a free port, and a fresh database for whoever asks."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import mkdtemp

import psycopg

from node.jobs.engine import prepare_engine
from node.rehearsal.running import free_ports
from node.state.ledger import Ledger
from tests.makers.programs import tidied_up

USER = "postgres"
TEMPLATE = "with_tables"
QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""No test turns the machine's power off."""
REMOVE = 'rm -rf "$1" || { sleep 1; rm -rf "$1"; }'
"""A server that was ended by our death may still write its last file."""
START_LIMIT_S = 60.0
_numbers = count(1)


@dataclass(frozen=True)
class Postgres:
    """A cluster that runs. address: where it listens. folder: a place that its server can reach."""

    address: str
    port: int
    folder: Path

    def url(self, name: str = "postgres") -> str:
        """What `state.database_url` says of one of its databases."""
        return f"postgresql://{USER}@{self.address}:{self.port}/{name}"

    def new(self, template: str = "template1") -> str:
        """The URL of a new database, empty or like another one."""
        name = f"test_{next(_numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def new_in_english(self) -> str:
        """The URL of a new, empty database that sorts texts as English does."""
        name = f"test_{next(_numbers)}"
        english = "LOCALE_PROVIDER icu ICU_LOCALE 'en-US' TEMPLATE template0"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" {english}')
        return self.url(name)

    def new_in_tablespace(self, place: Path) -> str:
        """The URL of a new database whose files lie in an empty folder of their own, which is made."""
        place.mkdir()
        if os.geteuid() == 0:
            shutil.chown(place, USER, USER)
        name = f"test_{next(_numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE \"{name}\" LOCATION '{place}'")
            connection.execute(f'CREATE DATABASE "{name}" TABLESPACE "{name}"')
        return self.url(name)

    def new_with_tables(self) -> str:
        """The URL of a new database that holds ledger and engine; copied, which is faster than migrating again."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (TEMPLATE,)).fetchone()
            if known is None:
                connection.execute(f'CREATE DATABASE "{TEMPLATE}"')
        if known is None:
            with closing(Ledger(self.url(TEMPLATE))) as ledger:
                ledger.migrate()
            prepare_engine(self.url(TEMPLATE))
        return self.new(TEMPLATE)


@contextmanager
def running_postgres(address: str = "127.0.0.1") -> Iterator[Postgres]:
    """A cluster from entry to exit, or until this process is killed; it trusts whoever reaches it."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: int(one.parent.name))
    (port,) = free_ports(1)
    settings = {"port": str(port), "listen_addresses": address, "unix_socket_directories": "", **QUICK}
    folder = Path(mkdtemp(prefix="isocenter-postgres-"))
    with tidied_up(REMOVE, folder):
        if os.geteuid() == 0:  # the server refuses to be root, which the tests may be
            shutil.chown(folder, USER, USER)
        cluster = folder / "cluster"
        initialise = [*_as_server(), programs / "initdb", "-D", cluster, "-U", USER, "-A", "trust", "-N"]
        subprocess.run(initialise, check=True, cwd=folder, stdout=subprocess.DEVNULL)
        with (cluster / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 0.0.0.0/0 trust\n")
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (folder / "log").open("wb") as log:
            command = [*_as_server(), programs / "postgres", "-D", cluster, *options]
            server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            _wait_for(Postgres("127.0.0.1", port, folder), server)
            yield Postgres(address, port, folder)
        finally:
            server.send_signal(signal.SIGQUIT)  # at once, without tidying up
            server.wait()


def _as_server() -> list[str]:
    """What runs a program of the server: ended with us, however we end, and not as root."""
    user = [f"--reuid={USER}", f"--regid={USER}", "--init-groups"] if os.geteuid() == 0 else []
    return ["setpriv", "--pdeathsig=QUIT", *user]


def _wait_for(found: Postgres, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            psycopg.connect(found.url()).close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
