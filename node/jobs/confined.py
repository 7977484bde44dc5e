"""Runs a function in a process of its own under limits of memory and time: what ends it ends nothing else.

Decoders are native code that reads what strangers sent. One that crashes, hangs or wants all memory costs one job.
"""

import fcntl
import gc
import logging
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path

from node.errors import IsocenterError, ProcessEnded, ReasonCode, Refused, SpoolFull
from node.state.disk import room_needed

UNCAUGHT = 1
"""Exit code of a Python process that ends by an exception."""

_CONTEXT = multiprocessing.get_context("forkserver")
"""Processes are forked from one that has imported what they need and has no threads: quick, and safe to fork."""

_PRELOADED = ["node.jobs.inputs", "SimpleITK", "node.configuration", "node.logs"]
"""What reading images and judging them needs, and what the entry of a worker imports."""


def warm_up() -> None:
    """Start the process from which the others are forked, so that the first job does not wait for its imports."""
    _CONTEXT.set_forkserver_preload(_PRELOADED)
    forkserver.ensure_running()


def run_confined(
    function: Callable[..., None], arguments: tuple[object, ...], *, memory_mb: int, timeout_s: float
) -> None:
    """Run function(*arguments) and wait for its end; both must be picklable.

    memory_mb: that it may take beyond what the process has from its start.

    Raises Refused as it was raised there, or as out-of-memory where it wanted more memory than it may have;
    SpoolFull where there is no room for what it writes; IsocenterError with the words of one, or for an error of ours,
    whose traceback is then in the log; ProcessEnded where it took longer than `timeout_s`, where the system ended it
    for want of memory, or where it crashed.
    """
    receiving, sending = _CONTEXT.Pipe(duplex=False)
    with receiving:
        with sending:
            process = _CONTEXT.Process(target=_confined, args=(sending, memory_mb, function, arguments), daemon=True)
            process.start()
        try:
            told: list[str] | None = receiving.recv() if receiving.poll(timeout_s) else []
        except EOFError:
            told = None
    if told == []:
        process.kill()
    process.join()
    code = process.exitcode or 0
    process.close()
    _judge(told, code, timeout_s)


def _judge(told: list[str] | None, code: int, timeout_s: float) -> None:
    """told: done, refused, full or failed, with words; empty where the time was over, None where it just ended."""
    match told:
        case ["done"]:
            return
        case ["refused", reason, words]:
            raise Refused(ReasonCode(reason), words)
        case ["full", words]:
            raise SpoolFull(words)
        case ["failed", words]:
            raise IsocenterError(words)
        case []:
            raise ProcessEnded(ReasonCode.TIMEOUT, f"reading the images took longer than {timeout_s:.0f} s")
    if code == UNCAUGHT:
        raise IsocenterError("reading the images met an error of the node itself: report it with the node's log")
    if code == -signal.SIGKILL:
        words = "the system ended the process that read the images: this host has too little memory free"
        raise ProcessEnded(ReasonCode.OUT_OF_MEMORY, words)
    ended = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    raise ProcessEnded(ReasonCode.UNDECODABLE, f"reading the images ended its process ({ended})")


def _confined(
    sending: Connection, memory_mb: int, function: Callable[..., None], arguments: tuple[object, ...]
) -> None:
    """The process: bound, quiet, and gone when its worker is."""
    gc.freeze()  # what it shares with the others stays shared: looking through it would copy it, page by page
    _end_with_worker()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("pydicom").setLevel(logging.ERROR)  # its warnings quote values, which may name a patient
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold the images
    bound = _data_bytes() + (memory_mb << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, resource.RLIM_INFINITY))
    try:
        with room_needed():
            function(*arguments)
    except Refused as refused:
        sending.send(["refused", refused.reason.value, str(refused)])
    except SpoolFull as full:
        sending.send(["full", str(full)])
    except MemoryError:
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        words = f"the images need more memory than jobs.decode_memory_mb ({memory_mb} MB)"
        sending.send(["refused", ReasonCode.OUT_OF_MEMORY.value, words])
    except IsocenterError as error:
        sending.send(["failed", str(error)])
    else:
        sending.send(["done"])


def _end_with_worker() -> None:
    """Have the system end this process when its worker is gone, even while native code holds the interpreter.

    The worker holds the other end of a pipe; its closing raises SIGIO here, whose default is to end the process.
    """
    worker = multiprocessing.parent_process()
    assert worker is not None  # noqa: S101  it was started by one
    pipe = worker.sentinel
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)


def _data_bytes() -> int:
    """What RLIMIT_DATA counts, as it is now (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
