"""Files of received instances, durable before they are acknowledged."""
# ruff: noqa: PTH102, PTH208

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from node.core.identity import ClassUID, InstanceUID, StudyUID, is_uid
from node.errors import ConflictRefused, SpoolFull, Unreadable
from node.state.digests import data_set_sha256
from node.state.direct import DirectWriter
from node.state.disk import disk_faults
from node.state.draft import Aside, Draft
from node.state.file_meta import Origin, SpoolMeta, read_meta

__all__ = ["Arrival", "Aside", "Draft", "Origin", "Outcome", "Published", "Spool", "SpoolMeta", "read_meta"]

ATTEMPTS = 3
KNOWN_FOR_S = 60.0
"""How long a study's folder is known to be durable itself. Retention never removes one that was used so recently."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Outcome(str, Enum):
    """What publishing an instance did."""

    NEW = "new"
    DUPLICATE = "duplicate"
    """The very same data set was there already: nothing changed."""
    CONFLICT = "conflict"
    """Another data set holds this UID: this one was kept beside it."""


@dataclass(frozen=True)
class Published:
    """A durable instance. file: its path. size_bytes: of the data set, file meta aside."""

    outcome: Outcome
    file: str
    size_bytes: int

    @property
    def path(self) -> Path:
        return Path(self.file)


@dataclass(frozen=True)
class Arrival:
    """An instance that nobody indexed yet. name: its entry in the folder of arrivals."""

    path: Path
    name: str


class Spool:
    """The folder `spool` of a home: `instances/STUDY/INSTANCE.dcm`, `new/` for arrivals, `aside/` for unfinished files.

    Any number of threads and processes may publish at the same time.
    """

    _writer: type[DirectWriter] = DirectWriter

    def __init__(self, home: Path) -> None:
        self.folder = home / "spool"
        # As text: every instance passes here, and pathlib costs more than the calls it is for.
        self._instances = f"{self.folder}/instances"
        self._new = f"{self.folder}/new"
        self._aside = f"{self.folder}/aside"
        self._lock = threading.Lock()
        self._known: dict[StudyUID, float] = {}
        self._failure = ""

    def open(self) -> bool:
        """Make the folders, remove what a crash left aside, and sweep after a restart of the machine.

        Returns whether it swept. Call it once when the node starts; doing so again is harmless.
        """
        for each in (self._instances, self._new, self._aside):
            Path(each).mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        for folder in (self.folder, self.folder.parent):
            self._make_durable(str(folder))
        for left in Path(self._aside).glob("*.part"):
            _remove_unless_held(left)
        note, boot = self.folder / "boot-id", BOOT_ID.read_text()
        if note.is_file() and note.read_text() == boot:
            return False
        self.sweep()
        note.touch(0o600)
        note.write_text(boot)
        return True

    def prepare(self) -> Aside | None:
        """An empty file for the next instance, made while nobody waits for it; None where none can be made now."""
        with suppress(OSError):
            return Aside.make(self._aside)
        return None

    def begin(
        self,
        *,
        sop_class_uid: ClassUID,
        sop_instance_uid: InstanceUID,
        transfer_syntax_uid: str,
        origin: Origin,
        aside: Aside | None = None,
    ) -> Draft:
        """Begin to write an instance, in the file that was prepared if one was; close the draft when done with it.

        Raises SpoolFull where there is no room or the disk fails, Unreadable where the UID is none.
        """
        meta = SpoolMeta(
            **vars(origin),
            sop_class_uid=sop_class_uid,
            sop_instance_uid=sop_instance_uid,
            transfer_syntax_uid=transfer_syntax_uid,
        )
        _checked(sop_instance_uid, 0x00080018)
        if self._failure:
            raise SpoolFull(self._failure)
        with suppress(FileNotFoundError), disk_faults():
            mine = aside or Aside.make(self._aside)
            try:
                return Draft(mine, meta, self._sync, self._writer)
            except OSError:
                if aside is None:
                    mine.close()
                raise
        raise SpoolFull(self._missing())

    def publish(self, draft: Draft, *, study_uid: StudyUID, refuse_conflict: bool = False) -> Published:
        """Keep an instance that was written; when this returns, it survives the loss of power.

        The file lies aside until it is whole and synced, then gets its name by link(), then its folder is synced
        (design section 1). Raises SpoolFull where there is no room or the disk fails, Unreadable where the UID is
        none, ConflictRefused where another data set holds the instance's UID and `refuse_conflict` asks for it.
        """
        _checked(study_uid, 0x0020000D)
        if self._failure:
            raise SpoolFull(self._failure)
        draft.seal()
        for _ in range(ATTEMPTS):
            with suppress(FileNotFoundError), disk_faults():
                folder = self._study_folder(study_uid)
                outcome, name = self._name(draft, folder, refuse_conflict=refuse_conflict)
                # A duplicate too: the first one's sender may have died between its two links.
                _link(f"{folder}/{name}.dcm", f"{self._new}/{study_uid}+{name}")
                self._make_durable(folder)
                return Published(outcome, f"{folder}/{name}.dcm", draft.size_bytes)
            self._known.pop(study_uid, None)  # its folder vanished under us: retention took the study away
        raise SpoolFull(self._missing())

    def _missing(self) -> str:
        return f"{self.folder} is not there: mount its disk, or start the node to make it"

    def _name(self, draft: Draft, folder: str, *, refuse_conflict: bool) -> tuple[Outcome, str]:
        """Give the file its name, or find that it has it already. Returns the name's stem."""
        uid = draft.meta.sop_instance_uid
        if _link(draft.path, f"{folder}/{uid}.dcm"):
            return Outcome.NEW, uid
        if draft.is_data_set_of(Path(f"{folder}/{uid}.dcm")):
            return Outcome.DUPLICATE, uid
        if refuse_conflict:
            raise ConflictRefused(f"instance {uid} is here with other bytes, and its peer's on_conflict is refuse")
        digest = data_set_sha256(Path(draft.path))
        for name in (f"{uid}~{digest[:12]}", f"{uid}~{digest}"):
            if _link(draft.path, f"{folder}/{name}.dcm"):
                return Outcome.CONFLICT, name
            if draft.is_data_set_of(Path(f"{folder}/{name}.dcm")):
                return Outcome.DUPLICATE, name
        raise SpoolFull(f"{folder} holds a damaged file of {uid}: look at the disk")

    def _study_folder(self, study_uid: StudyUID) -> str:
        """The study's folder, made where it is missing and durable in its parent."""
        folder = f"{self._instances}/{study_uid}"
        now = time.monotonic()
        if now - self._known.get(study_uid, -KNOWN_FOR_S) < KNOWN_FOR_S:
            return folder
        with self._lock:  # nobody may use a folder between its making and its parent's sync
            _make_folder(folder)
            self._make_durable(self._instances)
            self._known = {uid: at for uid, at in self._known.items() if now - at < KNOWN_FOR_S}
            self._known[study_uid] = now
        return folder

    def _make_durable(self, folder: str) -> None:
        """Sync a folder. A failure is final: Linux may have dropped the pages, and a second sync would lie."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._sync(descriptor)
        except OSError as error:
            self._failure = f"the disk of {folder} failed ({error.strerror}): check it, then start the node again"
            raise SpoolFull(self._failure) from error
        finally:
            os.close(descriptor)

    def _sync(self, descriptor: int) -> None:
        """Wait until the disk has it."""
        os.fsync(descriptor)

    def arrivals(self) -> Iterator[Arrival]:
        """Instances not indexed yet, study by study. A path may be gone where its study was removed meanwhile."""
        for name in sorted(os.listdir(self._new)):
            study_uid, plus, stem = name.partition("+")
            if plus and is_uid(study_uid):
                yield Arrival(Path(f"{self._instances}/{study_uid}/{stem}.dcm"), name)

    def taken(self, arrival: Arrival) -> None:
        """The arrival is indexed: strike it off."""
        Path(f"{self._new}/{arrival.name}").unlink(missing_ok=True)

    def holds(self, study_uid: StudyUID) -> bool:
        """Whether an arrival of that study waits to be indexed."""
        return any(name.startswith(f"{study_uid}+") for name in os.listdir(self._new))

    def sweep(self) -> None:
        """Make every instance an arrival again: after a loss of power, the list of arrivals is not to be trusted."""
        for path in Path(self._instances).glob("*/*.dcm"):
            with suppress(FileNotFoundError):
                _link(str(path), f"{self._new}/{path.parent.name}+{path.stem}")

    def free_mb(self) -> int:
        """Room that is left on the spool's disk, in MiB."""
        disk = os.statvfs(self._new)
        return disk.f_bavail * disk.f_frsize >> 20


def _checked(uid: str, tag: int) -> str:
    """The UID, safe to be part of a path."""
    if not is_uid(uid):
        raise Unreadable(f"{uid[:64]!a} is not a UID: correct it in the sender", tag)
    return uid


def _make_folder(folder: str) -> None:
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)


def _link(source: str, name: str) -> bool:
    """Give a file one more name; False where the name is taken."""
    try:
        os.link(source, name)
    except FileExistsError:
        return False
    return True


def _remove_unless_held(path: Path) -> None:
    """Remove a file that no running process holds locked."""
    with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
