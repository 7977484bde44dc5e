"""What the operator's window is handed: the service process's own parts, as it looks at them and asks for them."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from ai.contract import InputCard, Model
from ai.errors import CardInvalid
from node.actions import Operator
from node.admin.disk import DiskRecord
from node.admin.health import Health
from node.admin.window import Answer, ClassTaken, Looking, ModelShown, Taken, Window
from node.core.identity import Differing
from node.editing import Editor
from node.intake.trial import Tried, tried_on_files, tried_on_study
from node.jobs.preview import Previews
from node.jobs.trusting import trust_in
from node.service.peers import echo_peer, probe_peer, registered_there
from node.service.routed import Judge
from node.settings import Configuration
from node.state.ledger import Ledger
from node.state.queue import Queue
from node.state.taken import record_taken

ANSWER_S = 5.0
"""How long a person at the window waits for each step of a peer's answer."""


def window_of(
    configuration: Callable[[], Configuration],
    config_folder: Path,
    ledger: Ledger,
    queue: Queue,
    models: Mapping[str, Model],
    *,
    health: Callable[[], Health],
    metrics: Callable[[Health], bytes],
    looking: Looking,
    now: Callable[[], datetime],
) -> Window:
    """The window of the node that this process serves. configuration: what it works by now."""
    settings = configuration().settings
    home = settings.state.home.absolute()
    judge = Judge()
    editor = Editor(config_folder, judge)
    return Window(
        ledger=ledger,
        operator=Operator(ledger, queue),
        home=home,
        config_folder=config_folder,
        configuration=configuration,
        look=health,
        metrics=metrics,
        models=lambda: [shown(one) for one in models.values()],
        model_names=tuple(models),
        previews=Previews(ledger, home, models, decode_memory_mb=settings.jobs.decode_memory_mb),
        looking=looking,
        disk=DiskRecord(
            free_mb=lambda: shutil.disk_usage(home).free >> 20,
            total_mb=lambda: shutil.disk_usage(home).total >> 20,
            reserve_mb=settings.intake.disk_reserve_mb,
            now=now,
        ),
        editor=editor,
        asking=_Asking(editor, ledger, now),
        trying=_Trying(ledger, judge),
        now=now,
    )


class _Trying:
    """Routes as the files say them now, with the models as they are now."""

    def __init__(self, ledger: Ledger, judge: Judge) -> None:
        self._ledger, self._judge = ledger, judge

    def on_study(self, configuration: Configuration, key: str) -> Tried:
        return tried_on_study(self._ledger, configuration, self._judge.facts(configuration), key)

    def on_files(self, configuration: Configuration, paths: Sequence[Path], calling: str) -> Tried:
        return tried_on_files(paths, calling, configuration, self._judge.facts(configuration))


class _Asking:
    """Asks peers as the files name them now: what was just saved can be tried at once."""

    def __init__(self, editor: Editor, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._editor, self._ledger, self._now = editor, ledger, now

    def echo(self, name: str) -> Answer:
        report = echo_peer(self._editor.read(), name, timeout_s=ANSWER_S)
        return Answer(report.ok, report.text)

    def probe(self, name: str) -> Taken:
        found = probe_peer(self._editor.read(), name, timeout_s=ANSWER_S)
        with self._ledger.write() as connection:
            record_taken(connection, name, found.taken, self._now())
        classes = tuple(ClassTaken(**vars(one)) for one in found.classes)
        return Taken(classes, found.proposal.lines, found.proposal.notes)

    def registered(self, delivery: str) -> Differing:
        return registered_there(self._editor.read(), self._ledger, delivery, timeout_s=ANSWER_S)


def shown(model: Model) -> ModelShown:
    """A model's card in words, and whose trust it has."""
    card = model.card
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
        trusted=_trust(model),
    )


def _trust(model: Model) -> str:
    """As it is now: it is given, and lost by a change, while the node runs."""
    try:
        found = trust_in(model)
    except CardInvalid as error:
        return str(error)
    return found.words if found else ""


def _in_words(one: InputCard) -> str:
    limits = [" or ".join(one.modalities), " or ".join(one.orientations), f"{one.min_slices} slices or more"]
    if one.max_slice_spacing_mm is not None:
        limits.append(f"at most {one.max_slice_spacing_mm:g} mm apart")
    if one.min_coverage_mm is not None:
        limits.append(f"covering {one.min_coverage_mm:g} mm")
    return f"{one.name}: " + ", ".join(word for word in limits if word)
