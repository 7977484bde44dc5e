"""Browsers that are signed in: what their cookie holds, how long it counts, and what their forms must carry."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from node.admin.accounts import TOKEN_PREFIX, digest
from node.core.role import Role
from node.state import accounts
from node.state.accounts import UserRow
from node.state.ledger import Ledger

COOKIE = "isocenter_session"
IDLE = timedelta(hours=2)
LONGEST = timedelta(hours=12)
SEEN_EVERY = timedelta(minutes=5)
"""How often it is noted that a session is in use."""


@dataclass(frozen=True)
class Visitor:
    """Who asks. csrf: what a form of this session must carry; empty for a program that comes with a token."""

    name: str
    role: Role
    sees_names: bool
    csrf: str


def open_session(ledger: Ledger, user: UserRow, now: datetime) -> str:
    """Sign a user in: what the cookie is to hold, fresh at every sign-in. Sessions that are over are forgotten."""
    secret = secrets.token_urlsafe(32)
    with ledger.write() as connection:
        accounts.forget_sessions(connection, created_before=now - LONGEST, seen_before=now - IDLE)
        accounts.add_session(connection, digest(secret), user.name, now)
    return secret


def close_session(ledger: Ledger, secret: str) -> None:
    """Sign out."""
    with ledger.write() as connection:
        accounts.end_session(connection, digest(secret))


def visitor_of_session(ledger: Ledger, secret: str, now: datetime) -> Visitor | None:
    """Who holds this cookie, or None where it counts no more."""
    with ledger.read() as connection:
        found = accounts.find_session(connection, digest(secret))
    if found is None or now - found.seen_at > IDLE or now - found.created_at > LONGEST:
        return None
    if now - found.seen_at > SEEN_EVERY:
        with ledger.write() as connection:
            accounts.touch_session(connection, digest(secret), now)
    user = found.user
    sees_names = user.sees_names or user.role is not Role.VIEWER
    return Visitor(user.name, user.role, sees_names, csrf_of(secret))


def visitor_of_token(ledger: Ledger, secret: str) -> Visitor | None:
    """Which program holds this token, or None."""
    if not secret.startswith(TOKEN_PREFIX):
        return None
    with ledger.read() as connection:
        found = accounts.find_token(connection, digest(secret))
    return None if found is None else Visitor(found.name, found.role, found.role is not Role.VIEWER, "")


def csrf_of(secret: str) -> str:
    """What forms of a session carry: another site can send the cookie, but cannot know this."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()
