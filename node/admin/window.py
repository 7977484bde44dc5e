"""What the window looks at and what it can ask for: everything it is handed by the process that serves it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from node.actions import Operator, check_pausable
from node.admin.disk import DiskRecord
from node.admin.gpus import Gpus
from node.admin.health import Health
from node.core.checkup import CheckUp, Subject
from node.core.identity import Differing
from node.core.pausable import Pausable
from node.core.preview import Preview, View
from node.core.routing import Decision
from node.core.study import Stack
from node.editing import Editor
from node.errors import ChangedMeanwhile, ConfigurationInvalid, IsocenterError, NotFound, NotPossible
from node.settings import Configuration
from node.state.ledger import Ledger


@dataclass(frozen=True)
class ModelShown:
    """An installed model as its card tells it. inputs: what each must be, in words. trusted: by whom a MONAI bundle is,
    in words; empty for the others."""

    name: str
    version: str
    title: str
    vendor: str
    intended_use: str
    not_validated_for: tuple[str, ...]
    licence: str
    memory_mb: int
    timeout_s: int
    inputs: tuple[str, ...]
    digest: str
    trusted: str


class Previews(Protocol):
    """Pictures of a run; what they raise says why there are none."""

    def open(self, job_id: str) -> Preview:
        """What there is to see of a job's present run."""
        ...

    def picture(self, job_id: str, index: int, view: View | None, *, findings: bool) -> bytes:
        """One source slice as PNG, counted from 0."""
        ...


@dataclass(frozen=True)
class Answer:
    """What a peer said to a C-ECHO, in words."""

    ok: bool
    text: str


@dataclass(frozen=True)
class ClassTaken:
    """What a peer said of one SOP class. syntaxes: none where it is not taken."""

    name: str
    used_for: str
    syntaxes: tuple[str, ...]


@dataclass(frozen=True)
class Taken:
    """What a peer takes of ours. lines: proposed for its table in peers.toml."""

    classes: tuple[ClassTaken, ...]
    lines: tuple[str, ...]
    notes: tuple[str, ...]


class Asking(Protocol):
    """Asks peers over the network, for seconds at most. Raises IsocenterError where that is not possible."""

    def echo(self, name: str) -> Answer:
        """Whether it answers."""
        ...

    def probe(self, name: str) -> Taken:
        """What it takes; from now on the node goes by that."""
        ...

    def registered(self, delivery: str) -> Differing:
        """What a delivery's destination has registered of its study; NotPossible where it is what the results say."""
        ...


class Trying(Protocol):
    """What each route of a configuration would say, and the stacks it looks at. Raises NotFound."""

    def on_study(self, configuration: Configuration, key: str) -> tuple[list[Decision], list[Stack]]:
        """To a study that is here, by its id or Study Instance UID."""
        ...

    def on_files(
        self, configuration: Configuration, paths: Sequence[Path], calling: str
    ) -> tuple[list[Decision], list[Stack]]:
        """To files of one study that an AE title would send."""
        ...


class Looking(Protocol):
    """Looks into things beside the node's work, one at a time."""

    def start(self, subject: Subject, of: str = "") -> None:
        """Begin; returns at once. of: the model. Raises NotPossible while another look lasts."""
        ...

    def last(self, subject: Subject, of: str = "") -> CheckUp | None:
        """The look that lasts, or the last one."""
        ...


@dataclass(frozen=True)
class Window:
    """A node as the window sees it.

    configuration: what the node runs with now. look: its health. metrics: as monitoring reads them. models: what is
    installed, read anew, which takes a moment. model_names: of the same models, at hand. previews: pictures of runs.
    looking: check-ups. disk: how much room there was. editor: the configuration's files. asking: peers. trying: routes.
    """

    ledger: Ledger
    operator: Operator
    home: Path
    config_folder: Path
    configuration: Callable[[], Configuration]
    look: Callable[[], Health]
    metrics: Callable[[Health], bytes]
    models: Callable[[], Sequence[ModelShown]]
    model_names: Sequence[str]
    previews: Previews
    looking: Looking
    disk: DiskRecord
    editor: Editor
    asking: Asking
    trying: Trying
    now: Callable[[], datetime]
    gpus: Gpus = field(default_factory=Gpus)

    def check_pausable(self, kind: Pausable, name: str) -> None:
        """See that the node knows it, or will within seconds: pages show what is in the files. Raises NotFound."""
        try:
            check_pausable(self.configuration(), kind, name)
        except NotFound:
            check_pausable(self.editor.read(), kind, name)

    def registered(self, delivery: str) -> Differing:
        """Ask a delivery's destination whose study it is. Raises NotFound; NotPossible where that is no question, or
        it does not answer it."""
        try:
            return self.asking.registered(delivery)
        except (ConfigurationInvalid, NotFound, NotPossible):
            raise
        except IsocenterError as error:
            raise NotPossible(f"the destination of delivery {delivery} did not say whose it is: {error}") from error

    def correct(self, delivery: str, *, seen: str) -> int:
        """Make a study's results anew with what the destination has for it, as `Operator.correct` does. seen: the mark
        of what the person was shown. Raises ChangedMeanwhile where the destination has something else by now."""
        found = self.registered(delivery)
        if seen and found.mark != seen:
            raise ChangedMeanwhile(
                f"{found.destination} has another patient or order for this study than a moment ago, and nothing was "
                "changed: look at both again"
            )
        return self.operator.correct(delivery, found.theirs, self.now())
