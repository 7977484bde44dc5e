"""The documented model with code works as it is shown."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from ai.device import Device
from ai.errors import ModelRefused
from ai.findings import Findings
from ai.volume import Facts, Inputs, Volume
from node.jobs.inference import check_findings
from node.results.code_check import doubtful_codes
from tests.makers.installed import PAGE


def test_the_example_runs_as_it_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = PAGE.read_text(encoding="utf-8")
    code, card = (re.search(rf"```{kind}\n(.*?)```", page, re.DOTALL).group(1) for kind in ("python", "toml"))
    (tmp_path / "bone.py").write_text(code)
    (tmp_path / "card.toml").write_text(card)
    found = importlib.util.spec_from_file_location("bone", tmp_path / "bone.py")
    module = importlib.util.module_from_spec(found)
    monkeypatch.setitem(sys.modules, "bone", module)
    found.loader.exec_module(module)

    findings = predicted(module.MODEL, bright_ml=8)

    assert findings.measurements[0].value == pytest.approx(8)
    assert findings.segments[0].mask.sum() == 1000
    assert doubtful_codes(module.MODEL.card) == []
    with pytest.raises(ModelRefused, match="dense as bone"):
        predicted(module.MODEL, bright_ml=0)
    lines = [line for line in code.splitlines() if line and not line.startswith(("from ", "import "))]
    assert len(lines) <= 30


def predicted(model: object, bright_ml: int) -> Findings:
    array = np.zeros((20, 20, 20), np.int16)
    if bright_ml:
        array[:10, :10, :10] = 1000
    inputs = Inputs({"ct": Volume(array, np.diag([2.0, 2.0, 2.0, 1.0]), (2.0, 2.0, 2.0), Facts(modality="CT"))}, "ct")
    with model.open(Device()) as predict:
        findings = predict(inputs)
    check_findings(findings, model, inputs)
    return findings
