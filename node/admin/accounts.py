"""Who may come in: passwords, the first user, and tokens for programs."""

import hashlib
import re
import secrets
import threading
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from node.core.role import Role
from node.errors import ConfigurationInvalid
from node.state import accounts
from node.state.accounts import TokenRow, UserRow
from node.state.ledger import Ledger

USER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
LEAST_CHARACTERS, MOST_CHARACTERS = 12, 256
LINK_LASTS = timedelta(days=1)
TOKEN_PREFIX = "isocenter_"  # noqa: S105  what every token begins with, so that scanners for secrets find them

_HASHER = PasswordHasher()


def _hash_of_none() -> str:
    """A hash as argon2 writes one, of which nobody knows a password: made up, because to compute one takes a tenth of a
    second of every start, while checking a password against it takes as long as against any other."""
    salt, made_up = (
        b64encode(secrets.token_bytes(length)).decode().rstrip("=") for length in (_HASHER.salt_len, _HASHER.hash_len)
    )
    cost = f"m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}"
    return f"$argon2id$v=19${cost}${salt}${made_up}"


_NOBODY = _hash_of_none()
"""What a password is compared with where there is no such user: the answer takes as long as for one that exists."""


def digest(secret: str) -> str:
    """Under which a session or token is kept: who reads the ledger cannot use what it holds."""
    return hashlib.sha256(secret.encode()).hexdigest()


def add_user(
    ledger: Ledger, name: str, password: str, role: Role, now: datetime, *, sees_names: bool = False
) -> UserRow:
    """Add a user, or give an existing one a new password and role. Raises ConfigurationInvalid, also for the last
    admin."""
    _check_name(name)
    _check_password(name, password)
    user = UserRow(name, _HASHER.hash(password), role, sees_names, now)
    with ledger.write() as connection:
        if role is not Role.ADMIN:
            _check_not_last(accounts.users(connection), name)
        accounts.put_user(connection, user)
    return user


def _check_name(name: str) -> None:
    if not USER_NAME.fullmatch(name):
        raise ConfigurationInvalid(
            "a user's name has 1 to 64 letters, digits or . _ @ -, and begins with a letter or digit"
        )


def _check_password(name: str, password: str) -> None:
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        raise ConfigurationInvalid(f"a password has {LEAST_CHARACTERS} to {MOST_CHARACTERS} characters")
    if password.casefold() == name.casefold():
        raise ConfigurationInvalid("the password must not be the user's name")


def invite(ledger: Ledger, name: str, role: Role, now: datetime, *, sees_names: bool = False) -> str:
    """Add a user without a password; the code lets one be chosen. Raises ConfigurationInvalid."""
    _check_name(name)
    with ledger.write() as connection:
        if accounts.find_user(connection, name) is not None:
            raise ConfigurationInvalid(f"there is a user {name!r} already")
        accounts.put_user(connection, UserRow(name, accounts.NO_PASSWORD, role, sees_names, now))
    return reset_link(ledger, name, now)


def reset_link(ledger: Ledger, name: str, now: datetime) -> str:
    """A code with which a user chooses a new password, once and within LINK_LASTS; it is told this once.

    Raises NotFound.
    """
    code = secrets.token_urlsafe(24)
    with ledger.write() as connection:
        accounts.get_user(connection, name)
        accounts.put_link(connection, digest(code), name, now)
    return code


def user_of_link(ledger: Ledger, code: str, now: datetime) -> UserRow | None:
    """Whose password this code lets choose, or None."""
    with ledger.read() as connection:
        return accounts.user_of_link(connection, digest(code), now - LINK_LASTS)


def choose_password(ledger: Ledger, code: str, password: str, now: datetime) -> UserRow:
    """Take the password that a user chose; the code counts no more. Raises ConfigurationInvalid."""
    with ledger.write() as connection:
        user = accounts.user_of_link(connection, digest(code), now - LINK_LASTS)
        if user is None:
            raise ConfigurationInvalid("this link was used already, or is too old: ask for another one")
        _check_password(user.name, password)
        chosen = replace(user, password_hash=_HASHER.hash(password))
        accounts.put_user(connection, chosen)
    return chosen


def change_user(ledger: Ledger, name: str, role: Role, *, sees_names: bool) -> None:
    """Give a user another role. Raises NotFound, and ConfigurationInvalid for the last admin."""
    with ledger.write() as connection:
        accounts.get_user(connection, name)
        if role is not Role.ADMIN:
            _check_not_last(accounts.users(connection), name)
        accounts.change_user(connection, name, role, sees_names=sees_names)


def disable_user(ledger: Ledger, name: str) -> None:
    """Let a user in no more until a new link is used. Raises NotFound, and ConfigurationInvalid for the last admin."""
    with ledger.write() as connection:
        user = accounts.get_user(connection, name)
        _check_not_last(accounts.users(connection), name)
        accounts.put_user(connection, replace(user, password_hash=accounts.NO_PASSWORD))


def remove_user(ledger: Ledger, name: str) -> None:
    """Remove a user. Raises NotFound, and ConfigurationInvalid for the last admin."""
    with ledger.write() as connection:
        _check_not_last(accounts.users(connection), name)
        accounts.remove_user(connection, name)


def _check_not_last(users: Iterable[UserRow], name: str) -> None:
    admins = [one.name for one in users if one.role is Role.ADMIN and one.can_sign_in]
    if admins == [name]:
        raise ConfigurationInvalid(f"{name} is the only admin: make another one first")


def check_password(ledger: Ledger, name: str, password: str) -> UserRow | None:
    """The user whose name and password these are, or None."""
    with ledger.read() as connection:
        user = accounts.find_user(connection, name)
    try:
        # As long for who is not there, or has no password yet: the time would tell which names exist.
        known = user.password_hash if user is not None and user.can_sign_in else _NOBODY
        _HASHER.verify(known, password[:MOST_CHARACTERS])
    except (VerificationError, InvalidHashError):
        return None
    return user


def new_token(ledger: Ledger, name: str, role: Role, created_by: str, now: datetime) -> str:
    """Make a token for a program; it is told this once and kept as its digest alone. Raises ConfigurationInvalid."""
    if not USER_NAME.fullmatch(name):
        raise ConfigurationInvalid("a token's name has 1 to 64 letters, digits or . _ @ -, and begins with a letter")
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    with ledger.write() as connection:
        if any(one.name == name for one in accounts.tokens(connection)):
            raise ConfigurationInvalid(f"there is a token {name!r} already: remove it first, or choose another name")
        accounts.add_token(connection, TokenRow(name, digest(secret), role, now, created_by))
    return secret


class FirstUser:
    """The one-time code with which the first admin is made, as long as there is no user at all."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._lock = ledger, threading.Lock()
        self._has_users = False
        self.code = secrets.token_urlsafe(24)

    def is_due(self) -> bool:
        """Whether nobody can sign in yet. Once there was a user, the node never comes back to this without a start."""
        if not self._has_users:
            with self._ledger.read() as connection:
                self._has_users = accounts.has_users(connection)
        return not self._has_users

    def is_code(self, code: str) -> bool:
        """Whether this is the code that was printed, and it can still be used."""
        return self.is_due() and secrets.compare_digest(code.encode(), self.code.encode())

    def make(self, code: str, name: str, password: str, now: datetime) -> UserRow:
        """Make the first admin. Raises ConfigurationInvalid."""
        with self._lock:
            if not self.is_code(code):
                raise ConfigurationInvalid("this link was used already, or is not the one that was printed last")
            return add_user(self._ledger, name, password, Role.ADMIN, now)
