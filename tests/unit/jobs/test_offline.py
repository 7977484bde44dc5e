"""A model run on a folder ends with a report of what happened, whatever happened."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from node.jobs import offline
from node.jobs.offline import run_model


def test_want_of_memory_before_or_after_the_network_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def _predict(*_given: object) -> None:
        raise MemoryError("Unable to allocate 81.7 TiB")

    monkeypatch.setattr(offline, "_predict", _predict)
    card = SimpleNamespace(name="fine", version="1", reference="ct")
    model: Any = SimpleNamespace(card=card)
    chosen: Any = {"ct": SimpleNamespace(series_uid="1.2")}
    folder: Any = None

    outcome = run_model(model, folder, chosen, tmp_path, datetime.now(UTC))

    assert outcome.report.outcome == "failed"
    assert json.loads((tmp_path / "report.json").read_text())["reason_code"] == "out-of-memory"
