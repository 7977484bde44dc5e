"""Facts about who may use the operator's window: users, their sessions, and tokens for programs."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from node.core.role import Role
from node.errors import NotFound
from node.state import schema

NO_PASSWORD = ""


@dataclass(frozen=True)
class UserRow:
    """A person. sees_names: whether patients' names and numbers are shown to a viewer; others see them anyway.

    password_hash: NO_PASSWORD for who cannot sign in.
    """

    name: str
    password_hash: str
    role: Role
    sees_names: bool
    created_at: datetime

    @property
    def can_sign_in(self) -> bool:
        """Whether there is a password."""
        return self.password_hash != NO_PASSWORD

    @classmethod
    def of(cls, row: sa.RowMapping) -> "UserRow":
        return cls(**{**row, "role": Role(row["role"])})


@dataclass(frozen=True)
class SessionRow:
    """A browser that is signed in: known by the digest of what its cookie holds."""

    user: UserRow
    created_at: datetime
    seen_at: datetime


@dataclass(frozen=True)
class TokenRow:
    """A program that may use the API: known by the digest of its token."""

    name: str
    token_sha256: str
    role: Role
    created_at: datetime
    created_by: str

    @classmethod
    def of(cls, row: sa.RowMapping) -> "TokenRow":
        return cls(**{**row, "role": Role(row["role"])})


def users(connection: sa.Connection) -> list[UserRow]:
    """Every user, by name."""
    query = sa.select(schema.user).order_by(schema.user.c.name)
    return [UserRow.of(row) for row in connection.execute(query).mappings()]


def has_users(connection: sa.Connection) -> bool:
    """Whether there is anyone who could sign in."""
    return connection.execute(sa.select(schema.user.c.name).limit(1)).first() is not None


def find_user(connection: sa.Connection, name: str) -> UserRow | None:
    """The user of that name, or None."""
    row = connection.execute(sa.select(schema.user).where(schema.user.c.name == name)).mappings().first()
    return None if row is None else UserRow.of(row)


def put_user(connection: sa.Connection, user: UserRow) -> None:
    """Add a user, or replace the one of that name; a replaced one is signed out everywhere."""
    end_sessions_of(connection, user.name)
    forget_links_of(connection, user.name)
    values = {**vars(user), "role": user.role.value}
    changed = connection.execute(schema.user.update().where(schema.user.c.name == user.name).values(values))
    if changed.rowcount == 0:
        connection.execute(schema.user.insert().values(values))


def get_user(connection: sa.Connection, name: str) -> UserRow:
    """The user of that name. Raises NotFound."""
    found = find_user(connection, name)
    if found is None:
        raise NotFound(f"no user is called {name!r}; `isocenter users list` shows them")
    return found


def change_user(connection: sa.Connection, name: str, role: Role, *, sees_names: bool) -> None:
    """Give a user another role; it holds from the next request on."""
    query = schema.user.update().where(schema.user.c.name == name)
    connection.execute(query.values(role=role.value, sees_names=sees_names))


def put_link(connection: sa.Connection, code_sha256: str, user: str, now: datetime) -> None:
    """Let whoever has that code choose the user's password; an earlier one counts no more."""
    forget_links_of(connection, user)
    connection.execute(schema.password_link.insert().values(code_sha256=code_sha256, user=user, created_at=now))


def user_of_link(connection: sa.Connection, code_sha256: str, created_after: datetime) -> UserRow | None:
    """Whose password that code lets choose, or None."""
    link = schema.password_link.c
    query = sa.select(link.user).where(link.code_sha256 == code_sha256, link.created_at > created_after)
    name = connection.execute(query).scalar()
    return None if name is None else find_user(connection, name)


def forget_links_of(connection: sa.Connection, user: str) -> None:
    """Let no link of a user count any more."""
    connection.execute(schema.password_link.delete().where(schema.password_link.c.user == user))


def remove_user(connection: sa.Connection, name: str) -> None:
    """Remove a user and its sessions. Raises NotFound."""
    end_sessions_of(connection, name)
    forget_links_of(connection, name)
    if connection.execute(schema.user.delete().where(schema.user.c.name == name)).rowcount == 0:
        raise NotFound(f"no user is called {name!r}; `isocenter users list` shows them")


def add_session(connection: sa.Connection, token_sha256: str, user: str, now: datetime) -> None:
    """Sign a user in."""
    values = {"token_sha256": token_sha256, "user": user, "created_at": now, "seen_at": now}
    connection.execute(schema.session.insert().values(values))


def find_session(connection: sa.Connection, token_sha256: str) -> SessionRow | None:
    """The session of that digest with its user, or None."""
    session, user = schema.session, schema.user
    query = sa.select(session.c.created_at.label("since"), session.c.seen_at, user).select_from(session.join(user))
    row = connection.execute(query.where(session.c.token_sha256 == token_sha256)).mappings().first()
    if row is None:
        return None
    since, seen_at = row["since"], row["seen_at"]
    found = {name: value for name, value in row.items() if name not in ("since", "seen_at")}
    return SessionRow(UserRow(**{**found, "role": Role(row["role"])}), since, seen_at)


def touch_session(connection: sa.Connection, token_sha256: str, now: datetime) -> None:
    """Note that the session is in use."""
    query = schema.session.update().where(schema.session.c.token_sha256 == token_sha256)
    connection.execute(query.values(seen_at=now))


def end_session(connection: sa.Connection, token_sha256: str) -> None:
    """Sign one browser out."""
    connection.execute(schema.session.delete().where(schema.session.c.token_sha256 == token_sha256))


def end_sessions_of(connection: sa.Connection, user: str) -> None:
    """Sign a user out everywhere."""
    connection.execute(schema.session.delete().where(schema.session.c.user == user))


def forget_sessions(connection: sa.Connection, *, created_before: datetime, seen_before: datetime) -> None:
    """Remove sessions that are too old, or were not used for too long."""
    table = schema.session
    old = sa.or_(table.c.created_at < created_before, table.c.seen_at < seen_before)
    connection.execute(table.delete().where(old))


def tokens(connection: sa.Connection) -> list[TokenRow]:
    """Every token, by name."""
    query = sa.select(schema.token).order_by(schema.token.c.name)
    return [TokenRow.of(row) for row in connection.execute(query).mappings()]


def find_token(connection: sa.Connection, token_sha256: str) -> TokenRow | None:
    """The token of that digest, or None."""
    query = sa.select(schema.token).where(schema.token.c.token_sha256 == token_sha256)
    row = connection.execute(query).mappings().first()
    return None if row is None else TokenRow.of(row)


def add_token(connection: sa.Connection, token: TokenRow) -> None:
    """Let a program in."""
    connection.execute(schema.token.insert().values({**vars(token), "role": token.role.value}))


def remove_token(connection: sa.Connection, name: str) -> None:
    """Let a program in no more. Raises NotFound."""
    if connection.execute(schema.token.delete().where(schema.token.c.name == name)).rowcount == 0:
        raise NotFound(f"no token is called {name!r}")
