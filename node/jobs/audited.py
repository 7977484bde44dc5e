"""Says in the log which model was opened, with which files and by whose trust, or why it was not opened."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import structlog

from ai.contract import Model, ModelCard, Predict
from ai.device import Device
from ai.errors import CardInvalid
from ai.networks.model import NetworkModel
from node.jobs.trusting import trust_in

log = structlog.get_logger()


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
                log.warning("model-not-opened", **said, reason=str(error))
                raise
            trust = trust_in(self.model)
            if trust is not None and trust.by:
                said |= {"trusted": trust.sha256, "trusted_by": trust.by}
            log.info("model-opened", **said)
            yield predict
