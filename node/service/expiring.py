"""Tells of certificates that end soon, or are not valid yet: by `isocenter check`, and in the log at each mark."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import structlog

from node.core.expiry import mark_reached
from node.settings import Configuration
from node.state.certificates import Certificate, CertificateFile, certificates_in_use

log = structlog.get_logger()


@dataclass(frozen=True)
class Ending:
    """A certificate past its first mark, one that is not valid yet, or a file of them that cannot be read.

    kind: a word for programs. mark_days: the last mark it has come to. message: what to do.
    """

    kind: str
    path: str
    certificate: Certificate | None
    mark_days: int
    message: str


class Expiring:
    """Looks at the certificates in use, and logs each that has come to a mark since the last look."""

    def __init__(self, configuration: Configuration, now: Callable[[], datetime]) -> None:
        self._configuration, self._now = configuration, now
        self._told: set[tuple[str, Certificate | None, int]] = set()

    def look(self) -> None:
        """Say what came to a mark; after a restart once more."""
        told = set()
        for one in endings(self._configuration, self._now()):
            told.add(key := (one.path, one.certificate, one.mark_days))
            if key not in self._told:
                log.warning(one.kind, why=one.message)
        self._told = told


def endings(configuration: Configuration, now: datetime) -> Iterator[Ending]:
    """Everything that is to be told of the certificates in use."""
    first_mark_days = configuration.settings.tls.warn_days
    for file in certificates_in_use(configuration):
        if file.fault:
            yield Ending("certificate-unusable", file.path, None, 0, f"{file.fault}: correct {file.setting}")
        for one in file.certificates:
            if one.not_before > now:
                yield Ending("certificate-not-yet-valid", file.path, one, 0, _not_yet(file, one))
            mark_days = mark_reached(one.days_left(now), first_mark_days)
            if mark_days is not None:
                kind = "certificate-expires" if mark_days else "certificate-expired"
                yield Ending(kind, file.path, one, mark_days, _in_words(file, one, now))


def _not_yet(file: CertificateFile, one: Certificate) -> str:
    begins = f"{one.subject} ({file.setting}) is valid from {one.not_before:%Y-%m-%d %H:%M} UTC on:"
    return f"{begins} until then {file.what_ends}; put one that is valid into {file.path}, or set this machine's clock"


def _in_words(file: CertificateFile, one: Certificate, now: datetime) -> str:
    left_days, day = one.days_left(now), f"{one.not_after:%Y-%m-%d}"
    when = f"ends in {left_days} days, on {day}: then" if left_days >= 0 else f"ended on {day}:"
    return f"{one.subject} ({file.setting}) {when} {file.what_ends}; put a new one into {file.path}"
