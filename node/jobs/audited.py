"""Says in the log which model was opened, with which files and by whose trust, and why one was not opened or closed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import structlog

from ai.contract import Model, ModelCard, Predict
from ai.device import Device
from ai.errors import CardInvalid
from ai.networks.model import NetworkModel
from node.core.said import said_by, told_with_kind
from node.jobs.trusting import trust_in

log = structlog.get_logger()

CLOSING_S = 10.0


@dataclass(frozen=True)
class Audited:
    """A model whose opening is an event."""

    model: Model

    @property
    def card(self) -> ModelCard:
        return self.model.card

    @contextmanager
    def open(self, device: Device) -> Iterator[Predict]:
        """Raises what the model's own opening raises."""
        networks = self.model.networks if isinstance(self.model, NetworkModel) else ()
        said = {
            "model": self.card.name,
            "version": self.card.version,
            "digest": self.card.digest,
            "files": " ".join(one.sha256 for one in networks),
        }
        with ExitStack() as opened:
            try:
                predict = opened.enter_context(self.model.open(device))
            except CardInvalid as error:
                log.warning("model-not-opened", **said, reason=said_by(error))
                raise
            trust = trust_in(self.model)
            if trust is not None and trust.by:
                said |= {"trusted": trust.sha256, "trusted_by": trust.by}
            log.info("model-opened", **said)
            yield predict
            _close(opened.pop_all(), self.card.name)


def _close(opened: ExitStack, name: str) -> None:
    """A model is closed while another one's job needs its room: what its closing raises, or waits for, is not that
    one's fault."""
    thread = ThreadPoolExecutor(1, "closing")
    ended = thread.submit(opened.close)
    thread.shutdown(wait=False)
    try:
        fault = ended.exception(CLOSING_S)
    except TimeoutError:
        log.warning("model-not-closed", model=name, reason=f"its closing did not come to an end within {CLOSING_S:g} s")
        return
    if fault is not None:
        log.warning("model-not-closed", model=name, reason=told_with_kind(fault))
