"""Looks into things beside the node's work, when somebody asks: one at a time, within a time; what was seen is kept."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import IO

from node.core.checkup import CheckUp, Seen, Subject, told
from node.errors import NotPossible

LIMIT_S: Mapping[Subject, float] = {Subject.NODE: 120.0, Subject.JOURNEY: 420.0, Subject.MODEL: 1800.0}
"""What takes longer is ended. A model's check is bounded by its time limit times what is checked, and then by this."""
ENDING_S = 75.0
"""How long what was ended may take to stop the node that it started."""
COMMAND = (sys.executable, "-m", "node.service.checkup")
NICENESS = 10
"""The node's own work goes first."""


class CheckUps:
    """Each look is a child process; the last one of each subject is a file, which outlives this process."""

    def __init__(
        self, home: Path, config_folder: Path, now: Callable[[], datetime], command: tuple[str, ...] = COMMAND
    ) -> None:
        self._folder, self._now, self._command = home / "run" / "check-ups", now, command
        self._environment = {
            **os.environ,
            "ISOCENTER_CONFIG": str(config_folder.absolute()),
            "ISOCENTER_HOME": str(home),
        }
        self._lock = threading.Lock()
        self._present: CheckUp | None = None
        self._process: subprocess.Popen[str] | None = None

    def start(self, subject: Subject, of: str = "") -> None:
        """Begin to look; returns at once. Raises NotPossible while another look lasts."""
        with self._lock:
            if self._present is not None:
                raise NotPossible("another check is running: one at a time, so that the node's work is not held up")
            self._present = CheckUp(subject, of, self._now())
            self._keep(self._present)
            arguments = [*self._command, subject.value, *([of] if of else [])]
            errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  the thread that reads it closes it
            self._process = subprocess.Popen(
                arguments, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                text=True, errors="replace",
            )  # fmt: skip
            os.setpriority(os.PRIO_PROCESS, self._process.pid, NICENESS)
            following = (self._process, errors, LIMIT_S[subject])
            threading.Thread(target=self._follow, args=following, name="check-up", daemon=True).start()

    def last(self, subject: Subject, of: str = "") -> CheckUp | None:
        """The look that lasts, or the last one; None where there was none."""
        with self._lock:
            if self._present is not None and (self._present.subject, self._present.of) == (subject, of):
                return self._present
        try:
            kept = json.loads(self._file(subject, of).read_text())
        except FileNotFoundError:
            return None
        found = CheckUp(
            subject,
            of,
            datetime.fromisoformat(kept["began_at"]),
            datetime.fromisoformat(kept["ended_at"]) if kept["ended_at"] else None,
            tuple(Seen(**one) for one in kept["seen"]),
            kept["why"],
        )
        if found.lasts:
            return replace(
                found, ended_at=found.began_at, why="it was broken off when the node's service process ended"
            )
        return found

    def close(self) -> None:
        """End a look that lasts; what it has started is stopped in order."""
        process = self._process
        if process is not None:
            process.terminate()

    def _follow(self, process: subprocess.Popen[str], errors: IO[str], limit_s: float) -> None:
        """Read what the child says until it ends, and keep it."""
        late = threading.Timer(limit_s, process.terminate)
        dead = threading.Timer(limit_s + ENDING_S, process.kill)
        for timer in (late, dead):
            timer.daemon = True
            timer.start()
        assert process.stdout is not None  # noqa: S101  it is a pipe
        with process, errors:
            for line in process.stdout:
                self._hear(Seen(**json.loads(line)))
            code = process.wait()
            errors.seek(0)
            words = errors.read().strip().splitlines()
        was_late = not late.is_alive()
        for timer in (late, dead):
            timer.cancel()
        why = ""
        if was_late:
            why = f"it was ended after {limit_s / 60:.0f} minutes"
        elif code != 0:
            why = words[-1] if words else f"it ended with exit code {code}"
        with self._lock:
            assert self._present is not None  # noqa: S101  only this thread ends it
            self._keep(replace(self._present, ended_at=self._now(), why=why))
            self._present = self._process = None

    def _hear(self, one: Seen) -> None:
        with self._lock:
            assert self._present is not None  # noqa: S101  only the thread that calls this ends it
            self._present = replace(self._present, seen=told(self._present.seen, one))

    def _keep(self, one: CheckUp) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._file(one.subject, one.of)
        aside = file.with_suffix(".part")
        aside.write_text(json.dumps(asdict(one), default=lambda value: value.isoformat()))
        aside.replace(file)

    def _file(self, subject: Subject, of: str) -> Path:
        return self._folder / f"{subject.value}{'-' if of else ''}{of}.json"
