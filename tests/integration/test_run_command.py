"""`isocenter run` ends with a report of what happened, whatever a model does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.makers.installed import DOING, installed_model
from tests.makers.series import ct_series


def run_strange(folder: Path) -> subprocess.CompletedProcess[str]:
    """The model on the study there; results into `out` beside it."""
    command = [sys.executable, "-m", "node", "run", "strange", str(folder / "study"), "--out", str(folder / "out")]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("does", "reason", "words"),
    [
        ("time.sleep(600)", "timeout", "longer than the 2 s that its card allows"),
        ("return np.ones((1 << 15, 1 << 15, 1 << 15))", "out-of-memory", "allocate"),
        ("raise ValueError('no such layer')", "model-failed", "ValueError: no such layer (strange.py, line 18)"),
        (
            "return Findings((Segment('bone', np.ones(inputs.reference_volume.array.shape, bool), 'ct'),), "
            "(Measurement('volume', 1, ('bone',)),) * 2)",
            "model-failed",
            "has two numbers labelled",
        ),
    ],
)
def test_a_model_that_does_not_come_to_an_end_is_reported(tmp_path: Path, does: str, reason: str, words: str) -> None:
    ct_series(tmp_path / "study", slices=12)
    with installed_model(tmp_path / "installed", "strange", DOING.format(does=does)) as installed:
        card = installed / "card.toml"
        card.write_text(card.read_text().replace("timeout_s = 60", "timeout_s = 2"))
        done = run_strange(tmp_path)

    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert done.returncode == 1, done.stderr
    assert (report["outcome"], report["reason_code"]) == ("failed", reason)
    assert words in report["reason"]
    assert f"failed: {reason}: " in done.stdout
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["report.json"]


def test_files_that_are_left_out_are_told(tmp_path: Path) -> None:
    """A damaged slice must not be missing without a word."""
    files = ct_series(tmp_path / "study", slices=13)
    files[12].write_bytes(files[12].read_bytes()[:300])
    (tmp_path / "study" / "notes.txt").write_text("brought on a stick")
    with installed_model(tmp_path / "installed", "strange", DOING.format(does="raise ValueError")):
        done = run_strange(tmp_path)

    assert "Left out" in done.stderr
    assert f"{files[12]}: " in done.stderr
    assert "notes.txt: " in done.stderr
    assert json.loads((tmp_path / "out" / "report.json").read_text())["other_files"] == 2
