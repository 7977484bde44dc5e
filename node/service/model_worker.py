"""The model worker: keeps models warm and predicts. What makes result objects is not loaded here."""

import os
import threading
from collections.abc import Callable

from ai.device import Device, best_device
from ai.networks.model import NetworkModel
from ai.networks.running import import_torch
from ai.preparation.images import import_itk
from node.jobs.audited import Audited
from node.jobs.inference import Inference
from node.jobs.predicting import Predicting
from node.service.renewal import Tables
from node.service.routed import usable_models
from node.service.working import Duties, Place, run_stages
from node.settings import Configuration


def run_model(
    configuration: Configuration,
    tables: Tables,
    slot: int,
    ready: Callable[[], None],
    stop: threading.Event,
    renew: Callable[[], None],
    check_process: Callable[[], None],
) -> None:
    """Predict until told to stop. renew: ends the process at once, to be started again. check_process: ends it as at a
    death where a model has closed its line to the supervisor."""
    routed = usable_models(configuration, {route.model for route in configuration.routes if route.enabled})
    if routed:
        import_itk()
    if any(isinstance(model, NetworkModel) for model in routed.values()):
        import_torch()  # takes seconds, which no job's time should hold

    def duties_at(place: Place) -> Duties:
        audited = {name: Audited(one) for name, one in place.models.items()}
        inference = Inference(audited, _device(configuration.settings.node.model_device, slot), check_process)
        return Duties(Predicting(place.models, inference).of_model(), inference=inference)

    run_stages(configuration, tables, "model", slot, ready, stop, duties_at, renew)


def _device(wanted: str, slot: int) -> Device:
    """What this model worker computes on."""
    processor = Device(threads=os.cpu_count() or 1)
    return processor if wanted == "cpu" else best_device(slot, processor)
