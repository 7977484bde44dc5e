"""Whatever a decoder does to its process, one job gets its reason and nobody else notices."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from node.errors import IsocenterError, ProcessEnded, ReasonCode, Refused, SpoolFull
from node.jobs.confined import run_confined
from tests.makers import misbehaving
from tests.makers.disks import small_disk
from tests.makers.programs import ENDS_WITH_US

MEMORY_MB = 200


def confined(function, *arguments: object, timeout_s: float = 30.0) -> None:
    run_confined(function, arguments, memory_mb=MEMORY_MB, timeout_s=timeout_s)


def test_what_goes_well_returns(tmp_path: Path) -> None:
    confined(misbehaving.write, tmp_path / "made")

    assert (tmp_path / "made").read_text() == "done"


@pytest.mark.parametrize(
    ("function", "reason", "words"),
    [
        (misbehaving.crash, ReasonCode.UNDECODABLE, "SIGSEGV"),
        (misbehaving.abort, ReasonCode.UNDECODABLE, "SIGABRT"),
        (misbehaving.leave, ReasonCode.UNDECODABLE, "exit code 3"),
        (misbehaving.be_killed, ReasonCode.OUT_OF_MEMORY, "too little memory free"),
    ],
)
def test_a_process_that_ends_is_told_with_its_reason(function, reason: ReasonCode, words: str) -> None:
    with pytest.raises(ProcessEnded, match=words) as ended:
        confined(function)

    assert ended.value.reason is reason


@pytest.mark.real("mounts")
def test_a_disk_that_fills_is_told_apart(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", size_mb=2), pytest.raises(SpoolFull, match="make room"):
        confined(misbehaving.keep_volume, tmp_path / "disk")


def test_a_hang_is_ended_and_told_apart() -> None:
    started = time.monotonic()
    with pytest.raises(ProcessEnded, match="longer than 1 s") as ended:
        confined(misbehaving.hang, timeout_s=1)

    assert ended.value.reason is ReasonCode.TIMEOUT
    assert time.monotonic() - started < 10


def test_more_memory_than_allowed_is_refused_and_less_is_given() -> None:
    confined(misbehaving.take_memory, MEMORY_MB // 2)
    with pytest.raises(Refused, match=r"jobs\.decode_memory_mb") as refused:
        confined(misbehaving.take_memory, MEMORY_MB * 2)

    assert refused.value.reason is ReasonCode.OUT_OF_MEMORY


def test_a_refusal_comes_through_as_it_is() -> None:
    with pytest.raises(Refused, match="tilted by 18 degrees") as refused:
        confined(misbehaving.refuse)

    assert refused.value.reason is ReasonCode.GANTRY_TILT


def test_an_error_of_ours_is_no_crash_of_a_decoder() -> None:
    """Its traceback is in the log, where whoever mends it looks."""
    with pytest.raises(IsocenterError, match="report it with the node's log") as failed:
        confined(misbehaving.fail)

    assert not isinstance(failed.value, ProcessEnded)


def test_it_ends_when_its_worker_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    worker = subprocess.Popen([*ENDS_WITH_US, sys.executable, "-m", "tests.makers.misbehaving", str(told)])
    deadline = time.monotonic() + 30
    while not (told.exists() and told.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    worker.kill()
    worker.wait()
    while Path(f"/proc/{told.read_text()}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
