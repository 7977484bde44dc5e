"""Results of other makers' tools come in like anything else, are kept and listed, and no route takes them."""

from pathlib import Path

import pytest

from node.rehearsal.modality import send_study
from node.rehearsal.running import running_node
from node.state import schema

pytestmark = [pytest.mark.real("data"), pytest.mark.slow]
ROUTES = '[[route]]\nname = "all"\nmodel = "lung-ct"\ndestinations = ["pacs"]\n'
PEERS = '[[peer]]\nname = "pacs"\nae_title = "PACS"\naddress = "127.0.0.1"\nport = 1\n'
NO_IMAGES = {"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.22", "1.2.840.10008.5.1.4.1.1.88.34"}
LIMIT_S = 90


def part10_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.read_bytes()[128:132] == b"DICM")


def test_foreign_results_are_received_and_listed_and_start_nothing(data: Path, tmp_path: Path) -> None:
    """Every file is answered 0000 and indexed; jobs, where there are any, have images for inputs and no SEG or SR."""
    files = part10_files(data / "reference-results")
    with running_node(tmp_path, peers=PEERS, routes=ROUTES, settings={"gathering.quiet_s": "1"}) as node:
        node.wait_until_ready()
        statuses = [send_study([one], "127.0.0.1", node.port, "PACS", "ISOCENTER")[0][1] for one in files]
        with node.ledger() as ledger:
            for _ in node.until(LIMIT_S, "not every study became complete"):
                with ledger.read() as connection:
                    states = {row.state for row in connection.execute(schema.study.select())}
                    instances = connection.execute(schema.instance.select()).all()
                if states and not states & {"gathering"}:
                    break
            with ledger.read() as connection:
                jobs = connection.execute(schema.job.select()).all()

    assert len(files) > 20
    assert set(statuses) == {0}
    assert len({one.sop_uid for one in instances}) == len({str(uid_of(path)) for path in files})
    foreign = {one.series_uid for one in instances if one.sop_class_uid in NO_IMAGES}
    assert foreign
    assert not any(series in job.inputs for job in jobs for series in foreign)


def uid_of(path: Path) -> str:
    from pydicom import dcmread

    return str(dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"]).SOPInstanceUID)
