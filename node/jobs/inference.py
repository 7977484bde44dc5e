"""Our side of the model: kept open and warm, one prediction at a time on its device."""

import contextlib
import threading
from collections.abc import Mapping

from ai.contract import Model, Predict
from ai.device import Device
from ai.errors import CardInvalid, ModelFailed
from ai.findings import Findings
from ai.volume import Inputs


class Inference:
    """The models of one process. Loading of one study's input overlaps with computing of another's."""

    def __init__(self, models: Mapping[str, Model], device: Device) -> None:
        self._models, self._device = models, device
        self._open: dict[str, Predict] = {}
        self._closing = contextlib.ExitStack()
        self._lock = threading.Lock()

    def predict(self, name: str, inputs: Inputs) -> Findings:
        """Findings of one model. Raises ModelRefused, or ModelFailed also where they do not fit the model's card."""
        with self._lock:
            if name not in self._open:
                self._open[name] = self._closing.enter_context(self._models[name].open(self._device))
            findings = self._open[name](inputs)
        check_findings(findings, self._models[name], inputs)
        return findings

    def close(self) -> None:
        """Close every open model."""
        self._closing.close()


def check_findings(findings: Findings, model: Model, inputs: Inputs) -> None:
    """Compare findings with the card and the grid. Raises ModelFailed: a model's slip must not become a result."""
    card = model.card
    try:
        for segment in findings.segments:
            card.segment(segment.key)
        for measurement in findings.measurements:
            card.measurement(measurement.key)
            for key in measurement.segments:
                card.segment(key)
    except CardInvalid as error:
        raise ModelFailed(str(error)) from error
    for segment in findings.segments:
        grid = inputs.volumes.get(segment.grid)
        if grid is None or grid.array.shape != segment.mask.shape:
            raise ModelFailed(
                f"{card.name}: segment {segment.key!r} does not lie on the grid of input {segment.grid!r}"
            )
