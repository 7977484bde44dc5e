"""Our side of the model: kept open and warm, one prediction at a time on its device."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext

from ai.agreement import check_findings
from ai.contract import InParts, Model, Predict
from ai.device import Device
from ai.findings import Findings
from ai.volume import Inputs
from ai.warm import Waiting, WarmModels, taken
from node.jobs.growth import Growth


class Inference:
    """The models of one process, of which one computes at a time.

    Two studies may be under way in two threads: while the device computes one, the other is loaded or finished.
    """

    def __init__(
        self, models: Mapping[str, Model], device: Device, check_process: Callable[[], None] = lambda: None
    ) -> None:
        """check_process: called when a prediction has ended, before anything else is done; ends the process where the
        model has closed what is not its own."""
        self._models, self._check_process = models, check_process
        self._warm = WarmModels(models, device)
        self._device = threading.Lock()
        self.growth = Growth(device)

    @contextmanager
    def predicted(self, name: str, inputs: Inputs, waiting: Waiting = nullcontext) -> Iterator[Findings]:
        """Findings of one model, to be saved inside. Raises ModelRefused, or ModelFailed also where they do not fit the
        model's card.

        A model with code may write the next study's findings into the arrays of these: it computes nothing else before
        they are saved. waiting: entered while another study has the device, or the memory that this one needs.
        """
        with self._warm.held(name, waiting) as predict, ExitStack() as until_saved:
            if not isinstance(predict, InParts):
                until_saved.enter_context(taken(self._device, waiting))
            findings = self._found(name, predict, inputs, waiting)
            check_findings(findings, self._models[name], inputs)
            yield self._measured(findings, name, inputs)

    def _found(self, name: str, predict: Predict, inputs: Inputs, waiting: Waiting) -> Findings:
        with self._noted(name):
            if not isinstance(predict, InParts):
                with self._warm.measured(name):
                    return predict(inputs)
            loaded = predict.load(inputs)
            with taken(self._device, waiting), self._warm.measured(name):
                said = predict.compute(loaded)
            return predict.finish(said)

    @contextmanager
    def _noted(self, name: str) -> Iterator[None]:
        with ExitStack() as unless_done:
            unless_done.callback(self.growth.note, self._models[name].card, is_done=False)
            try:
                yield
            finally:
                self._check_process()
            unless_done.pop_all()
        self.growth.note(self._models[name].card, is_done=True)

    def _measured(self, findings: Findings, name: str, inputs: Inputs) -> Findings:
        """What the card wants measured beside what the model measures itself; its libraries load where one does."""
        card = self._models[name].card
        if not card.measures:
            return findings
        from ai.measures.measuring import measured

        return measured(findings, card, inputs)

    def close(self) -> None:
        """Close every open model."""
        self._warm.close()
