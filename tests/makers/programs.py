"""What tests start ends with the test run, also with one that is killed."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""What stands before a command: left alone, it would keep ports, memory and files from the next run."""


@contextmanager
def tidied_up(command: str, *arguments: object) -> Iterator[None]:
    """The shell runs a command when the block is left, or when this process is killed in it. arguments: "$1", "$2"."""
    waiting = ["sh", "-c", f"cat; {command}", "sh", *map(str, arguments)]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE, start_new_session=True) as after:
        yield
    assert after.returncode == 0, f"{command} {arguments}"
