"""Holds the ledger for the one service that works with it: two copies of a home never do so at once.

A copy has the home's name, as a cloned machine or a backup that was started beside the original has. Its service would
take the other's work for its own, of which it may have no images.
"""

import secrets
import threading
import time
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
import structlog

from node.errors import AlreadyRunning, LedgerUnusable
from node.state import schema
from node.state.ledger import Ledger
from node.state.replaced import replace_text

log = structlog.get_logger()

KEY = 0x15_0CE27E7
"""Of the advisory lock that PostgreSQL keeps for the service's session, and lets go of when that ends, however."""
TENURE = "tenure"
"""In a home: which tenures its services have begun lately, of which the ledger names the newest. Its other processes
see by it that a copy of the home has taken the ledger over."""
TENURES_KEPT = 4
LOST = "lost"
TELL_EVERY_S = 30.0
UNTOLD_S = 2.0
"""A service that was killed a moment ago is let go of within less."""
PROVEN_FREE_S = 15.0
"""Who found the ledger taken takes it only where it stays free for so long: a holder whose session was cut off with
the database's restart comes back sooner."""
TRY_EVERY_S = 0.5
WORDS = (
    "another copy of this home works with the ledger that state.database_url names{where}, and two never may: stop "
    "that one, or name an empty database for this one; where that host was lost, its place is free within a minute"
)


class Hold:
    """The service's hold on the ledger. With SQLite there is none to take: the home's own lock keeps others out."""

    def __init__(self, ledger: Ledger, home: Path) -> None:
        self._ledger, self._home = ledger, home
        self._tenure = secrets.token_hex(8)
        self._session: sa.Connection | None = None

    @property
    def _is_needed(self) -> bool:
        return self._ledger.engine.dialect.name == "postgresql"

    def wait(self, stop: threading.Event) -> bool:
        """Take the ledger, and say again and again who has it while that cannot be; False where told to stop.

        Raises LedgerUnusable.
        """
        if not self._is_needed:
            return True
        begun = time.monotonic()
        told_s = free_s = None
        while not stop.is_set():
            now_s = time.monotonic()
            if (has := self._has_it(is_told=told_s is not None)) is not None:
                free_s = None
                if now_s - (told_s or begun) > (TELL_EVERY_S if told_s else UNTOLD_S):
                    told_s = now_s
                    log.error("ledger-taken", why=WORDS.format(where=has))
                    self._give_up()
            else:
                free_s = free_s or now_s
                if (told_s is None or now_s - free_s > PROVEN_FREE_S) and self._take():
                    return True
            stop.wait(TRY_EVERY_S)
        return False

    def begin(self) -> None:
        """Let the ledger name this service's tenure, once its tables are there. Raises LedgerUnusable."""
        if not self._is_needed:
            return
        # The home first: who reads the ledger's and looks here then finds it.
        kept = "\n".join([*_tenures(self._home), self._tenure][-TENURES_KEPT:])
        replace_text(self._home / TENURE, f"{kept}\n")
        with self._ledger.write() as connection:
            connection.execute(schema.home.update().values(tenure=self._tenure))

    def keep(self) -> None:
        """Take the ledger again where the session was lost, as when the database restarts. Raises LedgerUnusable, and
        AlreadyRunning where a copy of the home has taken it meanwhile."""
        if not self._is_needed or self._is_held():
            return
        self.close()
        if not self._take():
            self._give_up()
            raise AlreadyRunning(WORDS.format(where=self._has_it(is_told=True) or ""))
        with self._ledger.read() as connection:
            if _named(connection) == self._tenure:
                return
        self._give_up()
        raise AlreadyRunning(WORDS.format(where=""))

    def close(self) -> None:
        """Let go of the ledger."""
        if self._session is not None:
            with suppress(sa.exc.DBAPIError):
                self._session.close()
            self._session = None

    def _give_up(self) -> None:
        """Let every other process of this home see that the ledger is not its own."""
        self.close()
        with suppress(OSError):
            replace_text(self._home / TENURE, f"{LOST}\n")

    def _take(self) -> bool:
        if not self._is_needed or self._session is not None:
            return True
        with self._ledger.in_words("read"):
            session = self._ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            session.detach()  # from the pool, which would close it after a while
            # Where there is such a limit it is for who forgot to leave; PostgreSQL 13 has none.
            session.exec_driver_sql(
                "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'"
            )
            if session.exec_driver_sql(f"SELECT pg_try_advisory_lock({KEY})").scalar():
                self._session = session
                return True
            session.close()
            return False

    def _is_held(self) -> bool:
        """A session that lives holds its lock, unless somebody between lends it to others as well."""
        if self._session is None:
            return False
        with suppress(sa.exc.DBAPIError):
            return self._session.execute(_OWN).first() is not None
        return False

    def _has_it(self, *, is_told: bool) -> str | None:
        """Who holds the ledger, in words; None where nobody does. While the database is away, who had it has it."""
        try:
            with self._ledger.read() as connection:
                found = connection.execute(_HOLDERS).first()
        except LedgerUnusable:
            if is_told:
                return ""
            raise
        if found is None:
            return None
        since = "" if found.backend_start is None else f", since {found.backend_start:%Y-%m-%d %H:%M %Z}"
        return f" (from {found.client_addr or 'the host of the database'}{since})"


_LOCK = ("locktype", "granted", "database", "classid", "objid", "objsubid", "pid")
_locks = sa.table("pg_locks", *map(sa.column, _LOCK))
_sessions = sa.table("pg_stat_activity", *map(sa.column, ("pid", "client_addr", "backend_start")))
_lock, _session = _locks.c, _sessions.c
_here = sa.table("pg_database", sa.column("oid"), sa.column("datname")).c
_IS_OURS = sa.and_(
    _lock.locktype == "advisory",
    _lock.granted,
    _lock.database == sa.select(_here.oid).where(_here.datname == sa.func.current_database()).scalar_subquery(),
    _lock.classid == KEY >> 32,
    _lock.objid == KEY & 0xFFFFFFFF,
    _lock.objsubid == 1,
)
_HOLDERS = (
    sa.select(sa.func.host(_session.client_addr).label("client_addr"), _session.backend_start)
    .select_from(_locks.outerjoin(_sessions, _session.pid == _lock.pid))
    .where(_IS_OURS)
)
_OWN = sa.select(_lock.pid).where(_IS_OURS, _lock.pid == sa.func.pg_backend_pid())


def check_tenure(ledger: Ledger, home: Path) -> None:
    """Raises AlreadyRunning where a copy of this home has taken the ledger over, LedgerUnusable."""
    with ledger.read() as connection:
        named = _named(connection)
    if named is None:
        return
    known = _tenures(home)
    if known and named not in known:
        raise AlreadyRunning(WORDS.format(where=""))


def _named(connection: sa.Connection) -> str | None:
    found: str | None = connection.execute(sa.select(schema.home.c.tenure)).scalar()
    return found


def _tenures(home: Path) -> list[str]:
    with suppress(FileNotFoundError):
        return (home / TENURE).read_text().split()
    return []
