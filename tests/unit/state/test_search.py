"""Searching by how a text begins, on databases that sort texts differently."""

from contextlib import closing
from pathlib import Path

import pytest

from node.jobs.engine import prepare_engine
from node.state.ledger import Ledger
from node.state.search import Wanted, search
from tests.makers.ledger import books, ct_slice
from tests.makers.postgres import Postgres

PATIENTS = ("P00095", "P0009", "P000", "p00095", "PZ1", "P.1", "P:1", "P1")
BEGINNINGS = {
    "P0009": {"P0009", "P00095"},
    "PZ": {"PZ1"},
    "P.": {"P.1"},
    "P000": {"P000", "P0009", "P00095"},
    "p0": {"p00095"},
}


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.real("postgresql"))])
def test_a_beginning_finds_what_begins_so_and_nothing_else(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    url = None
    if database == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.new_in_english()
        with closing(Ledger(url)) as ledger:
            ledger.migrate()
        prepare_engine(url)
    with books(tmp_path, url) as found:
        for patient in PATIENTS:
            found.arrive(ct_slice(1, study=patient, patient=patient, accession_number=patient))
        with found.ledger.read() as connection:
            for beginning, expected in BEGINNINGS.items():
                page = search(connection, Wanted(text=beginning))
                assert {one.study.patient_id for one in page.studies} == expected, beginning
