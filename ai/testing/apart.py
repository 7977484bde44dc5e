"""Checks a model in a process of its own: one that hangs or ends its process gets a verdict as well."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection

from ai.contract import Model
from ai.device import Device
from ai.testing.checking import OPENING, Begin, Verdict, check_model
from ai.volume import Inputs

OPENING_S = 180.0
"""For importing what the model needs and reading its weights, beside what its card allows for a prediction."""


def check_apart(
    find: Callable[[], Model], samples: Sequence[Inputs], device: Device, begin: Begin = lambda _name: None
) -> Iterator[Verdict]:
    """check_model's verdicts as they come, each within the time that the card allows for a prediction.

    find: gives the model, here and in the other process; it must be picklable. Where a property takes longer or the
    process ends, that is the last verdict.
    """
    limit_s, context = find().card.timeout_s, multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_check, args=(sending, find, samples, device), daemon=True)
    process.start()
    sending.close()
    now, within_s = OPENING, OPENING_S + limit_s
    begin(now)
    try:
        while receiving.poll(within_s):
            told = receiving.recv()
            if told is None:
                return
            if isinstance(told, Verdict):
                yield told
                continue
            now, within_s = told, OPENING_S + limit_s if told == OPENING else float(limit_s)
            begin(now)
    except EOFError:
        process.join()
        yield _ended(now, process.exitcode or 0)
    else:
        mend = "find what hangs; where it only needs longer, declare a longer timeout_s in the card"
        yield Verdict(
            now, holds=False, seen=f"did not end within {within_s:.0f} s; nothing further was looked at", mend=mend
        )
    finally:
        process.kill()
        process.join()


def _check(sending: Connection, find: Callable[[], Model], samples: Sequence[Inputs], device: Device) -> None:
    for verdict in check_model(find(), samples, device, sending.send):
        sending.send(verdict)
    sending.send(None)


def _ended(name: str, code: int) -> Verdict:
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    mend = "need less memory" if code == -signal.SIGKILL else "mend what ends the process: native code, or an exit"
    return Verdict(name, holds=False, seen=f"ended its process ({how}); nothing further was looked at", mend=mend)
