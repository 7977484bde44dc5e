"""A database as its administrator has set it up: the node works with it, or says what is lacking."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count

import psycopg
import pytest
import sqlalchemy as sa

from node.errors import LedgerUnusable
from node.jobs.engine import prepare_engine
from node.rehearsal.running import free_ports
from node.state.ledger import Ledger
from node.state.postgres import ENGINES, forgetful, read_only, too_few_connections
from tests.makers.postgres import Postgres

pytestmark = pytest.mark.real("postgresql")
_numbers = count(1)


@dataclass(frozen=True)
class Site:
    """A server, a role that may do little there, and an empty database."""

    server: Postgres
    role: str
    database: str

    @property
    def url(self) -> str:
        return self.server.url(self.database).replace("//postgres@", f"//{self.role}@")

    def order(self, *statements: str, database: str = "postgres") -> None:
        """What the administrator does."""
        with psycopg.connect(self.server.url(database), autocommit=True) as connection:
            for one in statements:
                connection.execute(one)


@pytest.fixture
def site(postgres: Postgres) -> Iterator[Site]:
    name = f"node_{next(_numbers)}"
    found = Site(postgres, name, name)
    found.order(f"CREATE ROLE {name} LOGIN", f"CREATE DATABASE {name}")
    yield found
    found.order(f"DROP DATABASE {name} (FORCE)", f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def make_all(url: str) -> None:
    """What the service makes at its start."""
    with closing(Ledger(url)) as ledger:
        ledger.migrate()
    prepare_engine(url)


def test_a_role_that_may_not_make_schemas_is_told(site: Site) -> None:
    with pytest.raises(LedgerUnusable, match=f"ALTER DATABASE {site.database} OWNER TO {site.role}"):
        make_all(site.url)
    site.order(f"ALTER DATABASE {site.database} OWNER TO {site.role}")
    make_all(site.url)


def test_tables_of_somebody_else_are_told_and_not_taken_for_none(site: Site) -> None:
    """As where an administrator has restored a dump: the ledger would be a new one, and every image a new one."""
    owner = f"{site.role}_admin"
    site.order(f"CREATE ROLE {owner} SUPERUSER LOGIN")
    make_all(site.url.replace(f"//{site.role}@", f"//{owner}@"))
    site.order(f"ALTER DATABASE {site.database} OWNER TO {site.role}")
    with closing(Ledger(site.url)) as ledger:
        for look in (ledger.is_new, ledger.migrate):
            with pytest.raises(LedgerUnusable, match=f"REASSIGN OWNED BY {owner} TO {site.role}"):
                look()
        site.order(f"REASSIGN OWNED BY {owner} TO {site.role}", database=site.database)
        assert not ledger.is_new()
    make_all(site.url)
    site.order(f"DROP ROLE {owner}")


def test_an_alphabet_too_small_for_names_is_told_before_there_are_any(site: Site) -> None:
    site.order(
        f"DROP DATABASE {site.database}",
        f"CREATE DATABASE {site.database} OWNER {site.role} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' "
        "TEMPLATE template0",
    )
    with pytest.raises(LedgerUnusable, match=r"LATIN1, which lacks letters.*--encoding UTF8"):
        make_all(site.url)


def test_a_database_that_knows_no_alphabet_holds_every_name(site: Site) -> None:
    site.order(
        f"DROP DATABASE {site.database}",
        f"CREATE DATABASE {site.database} OWNER {site.role} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' "
        "TEMPLATE template0",
    )
    make_all(site.url)
    name = "Müller^山田"
    with closing(Ledger(site.url)) as ledger, ledger.read() as connection:
        assert connection.execute(sa.select(sa.literal(name))).scalar() == name


def test_what_is_set_for_the_role_comes_second(site: Site) -> None:
    """For the engine, too, whose connections are its own."""
    site.order(
        f"ALTER DATABASE {site.database} OWNER TO {site.role}",
        *(
            f"ALTER ROLE {site.role} SET {one}"
            for one in (
                "statement_timeout = '1ms'",
                "lock_timeout = '1ms'",
                "idle_in_transaction_session_timeout = '1ms'",
                "default_transaction_isolation = serializable",
                "client_encoding = latin1",
                "search_path = elsewhere",
                "synchronous_commit = off",
            )
        ),
    )
    make_all(site.url)
    with psycopg.connect(site.url, **ENGINES) as connection:
        names = (
            "statement_timeout",
            "lock_timeout",
            "default_transaction_isolation",
            "client_encoding",
            "synchronous_commit",
        )
        asked = ", ".join(f"current_setting('{one}')" for one in names)
        assert connection.execute(f"SELECT {asked}").fetchone() == ("0", "0", "read committed", "UTF8", "on")


def test_too_few_connections_are_told(site: Site) -> None:
    site.order(f"ALTER DATABASE {site.database} OWNER TO {site.role}", f"ALTER ROLE {site.role} CONNECTION LIMIT 25")
    with closing(Ledger(site.url)) as ledger, ledger.read() as connection:
        assert too_few_connections(connection, 2) == ""
        assert "allows this role 25 connections, and the 3 processes" in too_few_connections(connection, 3)


def test_what_loses_facts_when_power_fails_is_told(site: Site) -> None:
    """The server of the tests is set up so."""
    with closing(Ledger(site.url)) as ledger, ledger.read() as connection:
        told = list(forgetful(connection))

    assert [one.split("with ")[1].split(":")[0] for one in told] == ["fsync = off", "full_page_writes = off"]


def test_a_database_that_can_only_be_read_is_told(site: Site) -> None:
    with closing(Ledger(site.url)) as ledger, ledger.read() as connection:
        assert read_only(connection) == ""
    site.order(f"ALTER DATABASE {site.database} SET default_transaction_read_only = on")
    with closing(Ledger(site.url)) as ledger, ledger.read() as connection:
        assert "default_transaction_read_only" in read_only(connection)


@pytest.mark.parametrize(
    ("change", "role", "words"),
    [
        ("ALTER ROLE {0} CONNECTION LIMIT 0", "", "raise max_connections there"),
        ("ALTER ROLE {0} NOLOGIN", "", "not permitted to log in"),
        ("SELECT 1", "nobody", "make it there (createuser, createdb)"),
    ],
)
def test_why_no_connection_is_had_is_told_with_what_to_do(site: Site, change: str, role: str, words: str) -> None:
    site.order(change.format(site.role))
    url = site.url.replace(f"//{site.role}@", f"//{role or site.role}@")
    with closing(Ledger(url)) as ledger, pytest.raises(LedgerUnusable) as raised:
        ledger.is_ready()

    assert words in str(raised.value)
    assert "make room" not in str(raised.value)


def test_a_server_that_is_not_there_is_to_be_started() -> None:
    (port,) = free_ports(1)
    with closing(Ledger(f"postgresql://x@127.0.0.1:{port}/x")) as ledger, pytest.raises(LedgerUnusable) as raised:
        ledger.is_ready()

    assert str(raised.value).endswith("start PostgreSQL, mend the network to it, or correct state.database_url")
