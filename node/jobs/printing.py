"""What models print goes apart from the node's log, which holds nothing of a patient: under a heading for each job."""

import faulthandler
import os
import sys
from contextlib import suppress
from typing import TextIO

OUTPUT, ERRORS = 1, 2


def print_apart(pipe: int) -> TextIO:
    """From here on all that is printed in this process, by native code and by its children too, goes into a pipe.

    Returns where the log goes on. What Python knows when native code ends the process is printed as well.
    """
    log = _text(os.dup(ERRORS))
    for one in (OUTPUT, ERRORS):
        os.dup2(pipe, one)
    os.close(pipe)
    sys.stdout, sys.stderr = _text(OUTPUT), _text(ERRORS)
    faulthandler.enable(ERRORS)
    return log


def begin_job(heading: str) -> None:
    """Say whose what follows is; a model that has closed its output closed it for itself alone."""
    if sys.stdout.closed:
        sys.stdout = _text(OUTPUT)
    if sys.stderr.closed:
        sys.stderr = _text(ERRORS)
    with suppress(OSError):
        os.write(ERRORS, f"--- {heading}\n".encode())


def _text(descriptor: int) -> TextIO:
    """Nobody closes what lies beneath: another file would get its number."""
    return os.fdopen(descriptor, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
