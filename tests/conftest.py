"""Fixtures for everything, and the rule for real parts: skip where one is missing, fail where it must not be."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom.config
import pytest

from node.bench.servers import ENVIRONMENT
from tests.makers.disks import can_mount

if TYPE_CHECKING:
    from tests.makers.postgres import Postgres

PROGRAMS = {
    "orthanc": "Orthanc",
    "dcmtk": "dcmsend",
    "dicom3tools": "dciodvfy",
    "pixelmed": "DicomSRValidator",
    "dcmqi": "segimage2itkimage",
    "chromium": "chromium",
    "postgresql": "psql",
    "strace": "strace",
    "gdcm": "gdcmscu",
    "faketime": "faketime",
}


def _missing(part: str) -> str | None:
    """Why a real part cannot be used here, or None where it can."""
    if part == "data":
        folder = os.environ.get("ISOCENTER_TEST_DATA", "")
        if not folder or not Path(folder).is_dir():
            return "the real images are not here: point ISOCENTER_TEST_DATA at them"
        return None
    if part == "namespaces":
        return None if os.geteuid() == 0 and shutil.which("ip") else "network namespaces need root and iproute2"
    if part == "mounts":
        return None if os.geteuid() == 0 and can_mount() else "mounting a small disk needs root, and its capabilities"
    if part == "ohif":
        pages = Path(os.environ.get("ISOCENTER_OHIF", "")) / "index.html"
        if not importlib.util.find_spec("playwright"):
            return "playwright is not installed"
        return None if pages.is_file() else "OHIF's pages are not here: point ISOCENTER_OHIF at the dist of @ohif/app"
    program = PROGRAMS[part]
    return None if shutil.which(program) else f"{program} is not installed"


def pytest_configure() -> None:
    """Find programs that pip installed (dcmqi) in Python's own folder, but last: pynetdicom puts an echoscu and a
    storescp there, and the tests mean those of DCMTK."""
    os.environ["PATH"] = ENVIRONMENT["PATH"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("real"):
        for part in mark.args:
            reason = _missing(part)
            if reason and os.environ.get("ISOCENTER_REQUIRE_REAL") == "1":
                pytest.fail(f"ISOCENTER_REQUIRE_REAL=1, but {reason}", pytrace=False)
            if reason:
                pytest.skip(reason)


@pytest.fixture(autouse=True)
def pydicom_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test finds pydicom as it comes, and what commands run in this process set in it is undone."""
    for name in ("reading_validation_mode", "writing_validation_mode"):
        monkeypatch.setattr(pydicom.config.settings, name, pydicom.config.WARN)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real images; use it only in tests marked real("data")."""
    return Path(os.environ["ISOCENTER_TEST_DATA"])


@pytest.fixture(scope="session")
def postgres() -> "Iterator[Postgres]":
    """A PostgreSQL that runs as long as the tests; use it only in tests marked real("postgresql")."""
    from tests.makers.postgres import running_postgres  # the engine takes a second to import; most tests need none

    with running_postgres() as found:
        yield found


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real("postgresql"))])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database with the tables of ledger and engine: the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres").new_with_tables())
    from tests.makers.ledger import sqlite_with_tables  # as above

    return f"sqlite:///{sqlite_with_tables(tmp_path)}"
