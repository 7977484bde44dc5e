"""Entry of a check-up: `python -m node.service.checkup SUBJECT [MODEL]` looks, and prints each thing seen as JSON."""

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ai.device import Device
from ai.errors import ModelError
from ai.registry import find_model
from ai.testing.apart import check_apart
from node.core.checkup import Seen, Subject
from node.errors import IsocenterError
from node.rehearsal.samples import made_inputs
from node.rehearsal.selftest import run_selftest
from node.service.check import find_faults

Tell = Callable[[Seen], None]


def main(arguments: list[str]) -> None:
    """Look at one subject; exit code 0 where it came to its end, whatever it found.

    SIGTERM ends it in order, so that a node that was started for it is stopped.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    subject, folder = Subject(arguments[0]), Path(os.environ["ISOCENTER_CONFIG"])
    try:
        if subject is Subject.NODE:
            _look_at_node(folder, tell)
        elif subject is Subject.JOURNEY:
            run_selftest(tell)
        else:
            _look_at_model(folder, arguments[1], tell)
    except (IsocenterError, ModelError) as error:
        sys.exit(str(error))


def tell(one: Seen) -> None:
    """One line for whoever started this."""
    sys.stdout.write(json.dumps(vars(one)) + "\n")
    sys.stdout.flush()


def _look_at_node(folder: Path, tell: Tell) -> None:
    for fault in find_faults(folder):
        tell(Seen(fault.message, False, ""))


def _look_at_model(folder: Path, name: str, tell: Tell) -> None:
    find = partial(find_model, name, folder / "models")
    for one in check_apart(find, made_inputs(find()), Device(), begin=lambda what: tell(Seen(what, None, ""))):
        tell(Seen(one.name, one.holds, f"{one.seen}; {one.mend}" if one.mend else one.seen))


if __name__ == "__main__":
    main(sys.argv[1:])
