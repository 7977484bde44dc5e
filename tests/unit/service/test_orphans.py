"""What a process has started and left behind is ended, and nothing else is."""

import os
import subprocess
import sys
import time
from pathlib import Path

DETACHED = """
import os, subprocess, sys, time
from node.service.orphans import adopt_orphans, children, end_orphans

others = children()
adopt_orphans()
mine = subprocess.Popen(["sleep", "600"])
subprocess.run(["sh", "-c", "setsid sh -c 'sleep 600 & echo $$ $! > pids; wait' &"])
while not os.path.exists("pids") or not os.path.getsize("pids"):
    time.sleep(0.01)
print(end_orphans(others | {mine.pid}), mine.poll())
mine.kill()
"""


def test_what_went_into_a_session_of_its_own_is_ended_with_what_it_started(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    told = subprocess.run(
        [sys.executable, "-c", DETACHED], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )

    assert told.stdout.split() == ["2", "None"], told.stderr
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in (tmp_path / "pids").read_text().split()):
        assert time.monotonic() < deadline
