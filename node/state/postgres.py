"""What PostgreSQL must let the node do, whatever else its administrator has set; and what it does not, in words."""

from collections.abc import Iterator

import sqlalchemy as sa

SCHEMA, ENGINES_SCHEMA = "isocenter", "dbos"
LOCK_TIMEOUT_MS = 30_000
IDLE_TIMEOUT_MS = 10_000
"""So long may a process fall silent within a transaction, before PostgreSQL ends it and lets others write."""
SILENT_S, PROBE_S, PROBES, UNHEARD_MS = 10, 5, 4, 30_000
"""A side that vanished is noticed within half a minute by the other, which lets go of what it held."""
TAKEN_BY_A_PROCESS = 10
"""Connections at most, in a node that has much to do."""

_CROWDED = "raise max_connections there, or the role's or the database's own limit (CONNECTION LIMIT)"
_ADVICE: tuple[tuple[str, str], ...] = (
    ("too many connections", _CROWDED),
    ("too many clients", _CROWDED),
    ("remaining connection slots", _CROWDED),
    ("the database system is", "it goes on by itself once that has started"),
    ("no pg_hba.conf entry", "let this role in there (pg_hba.conf), or correct state.database_url"),
    ("authentication failed", "correct the role and its password in state.database_url"),
    ("does not exist", "make it there (createuser, createdb), or correct state.database_url"),
    ("resolve host", "correct the host in state.database_url, or mend the name service"),
    ("connection failed", "start PostgreSQL, mend the network to it, or correct state.database_url"),
    ("connection timeout", "start PostgreSQL, mend the network to it, or correct state.database_url"),
)
"""What to do where no connection is had, by what libpq and the server say, in English; the first that fits."""

_SESSION = (
    # Within a transaction that began with an older state, the writers' turn would order nothing.
    r"-cdefault_transaction_isolation=read\ committed "
    "-csynchronous_commit=on "  # what was committed is not done again: it must outlive a crash of the server
    "-cstatement_timeout=0 "  # an upgrade of the tables takes as long as it takes; who vanished is noticed otherwise
    f"-cidle_in_transaction_session_timeout={IDLE_TIMEOUT_MS} "
    f"-ctcp_keepalives_idle={SILENT_S} -ctcp_keepalives_interval={PROBE_S} -ctcp_keepalives_count={PROBES} "
    f"-ctcp_user_timeout={UNHEARD_MS}"
)
_CONNECTION = {
    "client_encoding": "utf8",
    "connect_timeout": 10,
    "keepalives_idle": SILENT_S,
    "keepalives_interval": PROBE_S,
    "keepalives_count": PROBES,
    "tcp_user_timeout": UNHEARD_MS,
}
LEDGERS = {**_CONNECTION, "options": f"{_SESSION} -csearch_path={SCHEMA} -clock_timeout={LOCK_TIMEOUT_MS}"}
"""With what a connection of the ledger is opened: what is set for a role or a database comes second to it."""
ENGINES = {**_CONNECTION, "options": f"{_SESSION} -clock_timeout=0", "application_name": "dbos_transact"}
"""The same for the engine, which names its schema itself, and has no words for a lock that it did not get."""


def advice(why: str) -> str:
    """What to do about a fault, by its words; empty where they are of something else."""
    return next((advice for said, advice in _ADVICE if said in why), "")


def unfit(connection: sa.Connection) -> Iterator[str]:
    """What keeps a node from working with this database: what is so, and what its administrator does about it."""
    found = connection.execute(sa.text(_FACTS)).one()
    role = found.role
    if found.search_path != SCHEMA:
        yield (
            "what stands between the node and PostgreSQL keeps back the settings with which connections are opened (a "
            "pooler's ignore_startup_parameters): let state.database_url name PostgreSQL itself"
        )
    has_tables = False
    for schema in connection.execute(sa.text(_SCHEMAS), {"names": [SCHEMA, ENGINES_SCHEMA]}):
        has_tables = has_tables or schema.name == SCHEMA
        if not schema.is_open:
            yield (
                f"role {role} may not use schema {schema.name}, which is {schema.owner}'s: as {schema.owner}, REASSIGN "
                f"OWNED BY {schema.owner} TO {role}, or restore the dump as {role}"
            )
    if not has_tables and not found.may_create:
        yield f"role {role} may not make schemas there: ALTER DATABASE {found.database} OWNER TO {role}"
    if not has_tables and (words := poor_encoding(connection)):
        yield words


def poor_encoding(connection: sa.Connection) -> str:
    """Words where the database cannot hold every name; empty where it can."""
    found = connection.execute(sa.text(_FACTS)).one()
    if found.encoding in ("UTF8", "SQL_ASCII"):
        return ""
    return (
        f"database {found.database} is in {found.encoding}, which lacks letters of names and descriptions that come "
        f"with images: use one made by createdb --encoding UTF8 --template template0 --owner {found.role}"
    )


def too_few_connections(connection: sa.Connection, processes: int) -> str:
    """Words where fewer connections are allowed than a node of so many processes may need; empty where enough are."""
    allowed = int(connection.execute(sa.text(_ALLOWED)).scalar_one())
    needed = TAKEN_BY_A_PROCESS * processes
    if allowed >= needed:
        return ""
    return (
        f"PostgreSQL allows this role {allowed} connections, and the {processes} processes of this node that use it "
        f"may need {needed}: raise max_connections, or the role's or the database's own limit (CONNECTION LIMIT)"
    )


def forgetful(connection: sa.Connection) -> Iterator[str]:
    """Words for each setting of the server by which what was committed is lost, or damaged, when power fails."""
    for name, without in _DURABLE.items():
        if connection.execute(sa.text("SELECT current_setting(:name)"), {"name": name}).scalar_one() == "off":
            yield f"PostgreSQL runs with {name} = off: {without} when power fails; set it to on there"


def read_only(connection: sa.Connection) -> str:
    """Words where nothing can be written there; empty where it can."""
    if connection.execute(sa.text("SELECT pg_is_in_recovery()")).scalar_one():
        return "PostgreSQL there is a standby, which nobody can write to: let state.database_url name the primary"
    if connection.execute(sa.text("SELECT current_setting('default_transaction_read_only')")).scalar_one() == "on":
        return (
            "PostgreSQL lets this role only read (default_transaction_read_only): make room there where that is why, "
            "else ALTER ROLE or ALTER DATABASE … RESET default_transaction_read_only"
        )
    return ""


_DURABLE = {
    "fsync": "what was committed is lost, and the database damaged,",
    "full_page_writes": "a page that is half written damages the database",
}
_FACTS = """
SELECT current_user AS role, current_database() AS database, current_setting('search_path') AS search_path,
    current_setting('server_encoding') AS encoding,
    has_database_privilege(current_database(), 'CREATE') AS may_create
"""
_SCHEMAS = """
SELECT n.nspname AS name, pg_get_userbyid(n.nspowner) AS owner, has_schema_privilege(n.oid, 'USAGE') AND NOT EXISTS (
    SELECT FROM pg_class AS c WHERE c.relnamespace = n.oid AND c.relkind = 'r' AND NOT (
        has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
        AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))) AS is_open
FROM pg_namespace AS n WHERE n.nspname = ANY (:names) ORDER BY n.nspname DESC
"""
_ALLOWED = """
SELECT LEAST(
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
    (SELECT NULLIF(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
    (SELECT NULLIF(datconnlimit, -1) FROM pg_database WHERE datname = current_database()))
"""
