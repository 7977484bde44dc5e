"""What the operator's window is handed: the service process's own parts, as it looks at them and asks for them."""

import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from ai.contract import InputCard, Model, ModelCard
from node.actions import Operator
from node.admin.disk import DiskRecord
from node.admin.health import Health
from node.admin.window import ModelShown, Process, Window
from node.jobs.preview import Previews
from node.service.check import find_faults
from node.service.state import running_processes
from node.settings import Configuration
from node.state.ledger import Ledger
from node.state.queue import Queue


def window_of(
    configuration: Configuration,
    config_folder: Path,
    ledger: Ledger,
    queue: Queue,
    models: Mapping[str, Model],
    health: Callable[[], Health],
    now: Callable[[], datetime],
) -> Window:
    """The window of the node that this process serves."""
    home = configuration.settings.state.home.absolute()
    return Window(
        ledger=ledger,
        operator=Operator(ledger, queue),
        home=home,
        config_folder=config_folder,
        configuration=lambda: configuration,
        look=health,
        processes=lambda: [Process(**vars(one)) for one in running_processes(home)],
        models=lambda: [shown(one.card) for one in models.values()],
        previews=Previews(ledger, home, models, decode_memory_mb=configuration.settings.jobs.decode_memory_mb),
        faults=lambda: [one.message for one in find_faults(config_folder)],
        disk=DiskRecord(
            free_mb=lambda: shutil.disk_usage(home).free >> 20,
            total_mb=lambda: shutil.disk_usage(home).total >> 20,
            reserve_mb=configuration.settings.intake.disk_reserve_mb,
            now=now,
        ),
        now=now,
    )


def shown(card: ModelCard) -> ModelShown:
    """A model's card in words."""
    return ModelShown(
        name=card.name,
        version=card.version,
        title=card.title,
        vendor=card.vendor,
        intended_use=card.intended_use,
        not_validated_for=tuple(card.not_validated_for),
        licence=card.licence,
        memory_mb=card.memory_mb,
        timeout_s=card.timeout_s,
        inputs=tuple(_in_words(one) for one in card.inputs),
        digest=card.digest,
    )


def _in_words(one: InputCard) -> str:
    limits = [one.modality, " or ".join(one.orientations), f"{one.min_slices} slices or more"]
    if one.max_slice_spacing_mm is not None:
        limits.append(f"at most {one.max_slice_spacing_mm:g} mm apart")
    if one.min_coverage_mm is not None:
        limits.append(f"covering {one.min_coverage_mm:g} mm")
    return f"{one.name}: " + ", ".join(word for word in limits if word)
