"""Which model was opened, and by whose trust, is an event; and so is a model that was not opened."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ai.contract import Predict
from ai.device import Device
from ai.errors import CardInvalid
from ai.findings import Findings
from ai.networks.model import NetworkModel
from ai.networks.timing import TimedModel, bright, card, network_card
from ai.warm import WarmModels
from node.bench.model import study
from node.jobs import audited
from node.jobs.audited import Audited
from node.jobs.inference import Inference
from tests.makers.bundles import configuration, write_bundle
from tests.makers.networks import write_bright


def test_an_opened_model_names_its_digest_and_whose_trust_it_had(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "spleen", trusted=True)
    card = folder / "card.toml"
    card.write_text(card.read_text().replace("trusted = ", 'trusted_by = "A. Physicist, 2026-11-02"\ntrusted = '))
    model = NetworkModel(folder)

    with capture_logs() as events, Audited(model).open(Device()):
        pass

    (event,) = events
    assert event["event"] == "model-opened"
    assert event["digest"] == model.card.digest
    assert event["files"] == model.network.sha256
    assert event["trusted"] == model.network.trusted
    assert event["trusted_by"] == "A. Physicist, 2026-11-02"


def test_trust_in_another_configuration_is_not_told(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "spleen", trusted=True)
    (folder / "configs" / "inference.json").write_text(json.dumps(configuration()))

    with capture_logs() as events, Audited(NetworkModel(folder)).open(Device()):
        pass

    assert events[0]["event"] == "model-opened"
    assert "trusted" not in events[0]


def test_a_model_that_is_not_opened_says_why(tmp_path: Path) -> None:
    folder = write_bright(tmp_path / "bright")
    (folder / "model.bin").write_bytes(b"another")

    with capture_logs() as events, pytest.raises(CardInvalid), Audited(NetworkModel(folder)).open(Device()):
        pass

    assert "trusted" not in events[0]
    assert [(one["event"], one["log_level"]) for one in events] == [("model-not-opened", "warning")]
    assert "the card pins" in events[0]["reason"]


def test_a_command_at_a_terminal_gets_no_lines_of_the_log_into_its_table(capfd: pytest.CaptureFixture[str]) -> None:
    model = TimedModel(card("small", spacing_mm=None), network_card(), bright)

    images = study((4, 8, 8), (2.0, 1.0, 1.0))
    with closing(Inference({"small": model}, Device())) as inference, inference.predicted("small", images):
        pass

    assert capfd.readouterr().out == ""


class Leaving:
    """A model that does something when it is closed."""

    def __init__(self, leave: Callable[[], object]) -> None:
        self.card, self.leave = replace(card("leaving", spacing_mm=None), memory_mb=60), leave

    @contextmanager
    def open(self, _device: Device) -> Iterator[Predict]:
        yield lambda _inputs: Findings()
        self.leave()


@pytest.mark.parametrize(
    ("leave", "words"),
    [
        (lambda: {}["weights"], "KeyError: 'weights'"),
        (lambda: sys.exit(3), "SystemExit: 3"),
        (lambda: threading.Event().wait(2), "its closing did not come to an end within 0.2 s"),
    ],
    ids=["raises", "exits", "hangs"],
)
def test_a_model_that_cannot_be_closed_is_told_and_the_next_one_computes(
    monkeypatch: pytest.MonkeyPatch, leave: Callable[[], object], words: str
) -> None:
    """Closed it is while another one's study needs its room, which then failed in its place."""
    monkeypatch.setattr(audited, "CLOSING_S", 0.2)
    models = {"leaving": Audited(Leaving(leave)), "next": Audited(Leaving(lambda: None))}
    free_mb = iter((100, 50, 100))
    warm = WarmModels(models, Device(), lambda _device: next(free_mb))

    with capture_logs() as events:
        for name in models:
            with warm.held(name) as predict:
                assert predict(study((4, 8, 8), (2.0, 1.0, 1.0))) == Findings()

    assert warm.names == ["next"]
    assert [one["reason"] for one in events if one["event"] == "model-not-closed"] == [words]
