"""A study as a folder of files: found, read, and split into stacks without a ledger."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from node.core.identity import InstanceUID, StudyUID
from node.core.stacks import split_into_stacks
from node.core.study import InstanceFacts, Stack
from node.errors import NotFound, ReasonCode, Refused, Unreadable
from node.state.digests import pixels_sha256
from node.state.files import files_below, unread
from node.state.header import read_facts


@dataclass(frozen=True)
class Folder:
    """One study's files. others: what is no DICOM instance or could not be read, and why."""

    study_uid: StudyUID
    facts: tuple[InstanceFacts, ...]
    stacks: tuple[Stack, ...]
    paths: dict[InstanceUID, Path]
    others: tuple[tuple[Path, str], ...]


def read_folder(path: Path, progress: Callable[[Sequence[Path]], Iterable[Path]] = lambda files: files) -> Folder:
    """Read every file below `path`, or that one file. Raises NotFound where there is no study, or more than one;
    Refused where the study is of two patients, or an instance lies there twice with other pixels.

    progress: may wrap the files to show how far it is.
    """
    files, closed = files_below(path)
    facts: dict[InstanceUID, InstanceFacts] = {}
    paths: dict[InstanceUID, Path] = {}
    others: list[tuple[Path, str]] = []
    for file in progress(files):
        try:
            one = read_facts(file)
        except Unreadable as error:
            others.append((file, str(error)))
            continue
        except OSError as error:
            others.append((file, unread(error)))
            continue
        first = paths.setdefault(one.sop_instance_uid, file)
        if first is not file:
            _check_same(first, file, one)
        facts.setdefault(one.sop_instance_uid, one)
    others += [(Path(one.filename), unread(one)) for one in closed]
    studies = sorted({one.study_uid for one in facts.values()})
    if not studies:
        raise NotFound(f"{path}: no DICOM instance was found there ({len(others)} other files)")
    if len(studies) > 1:
        raise NotFound(f"{path}: {len(studies)} studies lie there; name the folder of one: {', '.join(studies[:3])} …")
    found = tuple(facts.values())
    _check_one_patient(path, found)
    return Folder(StudyUID(studies[0]), found, split_into_stacks(found), paths, tuple(others))


def _check_same(first: Path, second: Path, facts: InstanceFacts) -> None:
    """Two files of one instance hold the same pixels: which of two others is right cannot be known."""
    if pixels_sha256(first) != pixels_sha256(second):
        raise Refused(
            ReasonCode.DUPLICATE_SLICES,
            f"{first} and {second} both say that they are instance {facts.sop_instance_uid} and hold other pixels; "
            "take one of them away",
        )


def _check_one_patient(path: Path, instances: Sequence[InstanceFacts]) -> None:
    """As at intake: whose study it is must be one patient, whatever else the images say."""
    if all(one.patient.same_as(instances[0].patient) for one in instances):
        return
    raise Refused(
        ReasonCode.TWO_PATIENTS, f"{path}: its images name different patients; correct them, or take the others away"
    )
