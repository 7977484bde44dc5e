"""Takes the network away from a process that runs other people's networks, where the system allows it."""

import ctypes
import os
from urllib.parse import parse_qs, urlsplit

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
"""sched.h; os.unshare came with Python 3.12."""


def leave_network() -> bool:
    """Put this process where there is no network; sockets that are files, and pipes, still work. False: not allowed.

    Root may do it at once; others first need a user namespace of their own, which only a process of one thread may
    enter: call this before any thread is started.
    """
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) == 0:
        return True
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        return False
    # In its own user namespace the process keeps its user, so that files it makes are the node's.
    for name, line in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123  one write, as the kernel wants it
            file.write(line)
    return True


def needs_network(database_url: str) -> bool:
    """Whether the ledger can be reached over the network alone: not for SQLite, nor for a socket that is a file."""
    parts = urlsplit(database_url)
    if not parts.scheme.startswith("postgres"):
        return False
    host = parse_qs(parts.query).get("host", [parts.hostname or ""])[0]
    return bool(host) and not host.startswith("/")


def can_leave_network() -> bool:
    """Whether a process of this user may: tried in a child that ends at once."""
    child = os.fork()
    if child == 0:
        os._exit(0 if leave_network() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
