"""A study whose patient the archive corrected meanwhile: nothing goes there until a person says which is right."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest

from node.admin.accounts import add_user
from node.core.role import Role
from node.rehearsal.modality import send_study
from node.rehearsal.running import RunningNode, running_node
from node.state import schema
from tests.integration.test_journey import ROUTES, send, wait_for
from tests.makers.orthanc import Orthanc, running_orthanc
from tests.makers.window import PASSWORD

pytestmark = [pytest.mark.real("orthanc", "dcmtk", "data"), pytest.mark.slow]


@pytest.fixture
def parked(tmp_path: Path, data: Path) -> Iterator[tuple[RunningNode, Orthanc]]:
    """The archive has the study under another patient, and the node's results wait for a person."""
    folder, images = tmp_path, data / "ct-chest-small" / "dicom"
    theirs = pydicom.dcmread(sorted(images.glob("*"))[0])
    theirs.PatientID, theirs.PatientName, theirs.PatientBirthDate = "RIGHT-1", "Right^Ana", "19600102"
    theirs.AccessionNumber = "ACC-9"
    theirs.save_as(folder / "theirs.dcm")
    with running_orthanc(folder / "pacs", more={"DicomAlwaysAllowFind": True}) as pacs:
        send_study([folder / "theirs.dcm"], "127.0.0.1", pacs.port, "CT", pacs.ae_title)
        where = f'ae_title = "{pacs.ae_title}"\naddress = "127.0.0.1"\nport = {pacs.port}\nquery = true\n'
        peers = f'[[peer]]\nname = "pacs"\n{where}'
        settings = {"gathering.quiet_s": "1"}
        with running_node(folder / "node", peers=peers, routes=ROUTES, settings=settings) as node:
            node.wait_until_ready()
            send(images, node.port, "PACS")
            wait_for(node, schema.delivery, "parked")
            yield node, pacs


def isocenter(node: RunningNode, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "node", *arguments]
    environment = {**os.environ, **node.environment}
    return subprocess.run(command, env=environment, input=answer, capture_output=True, text=True, timeout=60)


def deliveries(node: RunningNode) -> list[tuple[str, str, str]]:
    table = schema.delivery.c
    with node.ledger() as ledger, ledger.read() as connection:
        rows = connection.execute(schema.delivery.select().order_by(table.run))
        return [(row.id, row.state, row.message) for row in rows]


def stated_by_results(pacs: Orthanc) -> set[tuple[str, str, str]]:
    """Patient and order of every result that the archive has; there are some."""
    tags = [pacs.get(f"/instances/{one}/simplified-tags") for one in pacs.get("/instances")]
    tags = [one for one in tags if one["Modality"] != "CT"]
    assert {one["Modality"] for one in tags} >= {"SEG", "SR"}
    return {(one["PatientID"], one["PatientName"], one["AccessionNumber"]) for one in tags}


def test_a_person_sees_both_and_has_the_results_made_anew(parked: tuple[RunningNode, Orthanc]) -> None:
    node, pacs = parked
    ((first, _, why),) = deliveries(node)
    asked = isocenter(node, "correct", first, answer="n\n")

    assert "another patient" in why
    assert f"isocenter correct {first}" in why
    assert "RIGHT" not in why
    for told in ("RIGHT-1", "Right^Ana", "19600102", "ACC-9"):
        assert told in asked.stdout
    assert asked.returncode == 1
    assert [state for _, state, _ in deliveries(node)] == ["parked"]

    done = isocenter(node, "correct", first, "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    wait_for(node, schema.delivery, "accepted")
    assert stated_by_results(pacs) == {("RIGHT-1", "Right^Ana", "ACC-9")}

    assert [state for _, state, _ in deliveries(node)] == ["dropped", "accepted"]
    again = isocenter(node, "resend", first)
    assert again.returncode == 1
    assert "out of date" in again.stderr
    earlier = isocenter(node, "correct", first, "--yes")
    assert (earlier.returncode, "present run" in earlier.stderr) == (1, True)
    same = isocenter(node, "correct", deliveries(node)[-1][0], "--yes")
    assert (same.returncode, "the same patient and order" in same.stderr) == (1, True)
    told = (node.folder / "node.log").read_text()
    assert "RIGHT-1" not in told
    assert "Right^Ana" not in told

    with node.ledger() as ledger, ledger.read() as connection:
        study = connection.execute(schema.study.select()).one()
    erased = isocenter(node, "erase", study.id, "--yes")
    assert (erased.returncode, erased.stderr) == (0, "")


@pytest.mark.real("chromium")
def test_the_same_is_done_in_a_browser(parked: tuple[RunningNode, Orthanc]) -> None:
    """From what is parked in the outbox to results under the right patient, and nothing on the way is hard to use."""
    from tests.makers.ohif import running_browser
    from tests.makers.seat import seat

    node, pacs = parked
    with node.ledger() as ledger:
        add_user(ledger, "olga", PASSWORD, Role.OPERATOR, datetime.now(UTC))
    with running_browser() as browser, seat(browser, f"http://127.0.0.1:{node.admin_port}") as desk:
        desk.sign_in("olga", PASSWORD)
        desk.open("/outbox")
        desk.page.get_by_role("link", name="Compare patient and order").click()
        told = desk.until("Right\\^Ana")
        assert desk.faults("correct") == []
        desk.page.get_by_role("button", name="Make the results anew").click()
        desk.until("are made anew")
        assert "RIGHT-1" in desk.until("accepted")
        assert desk.complaints == []

    assert "ACC-9" in told
    assert stated_by_results(pacs) == {("RIGHT-1", "Right^Ana", "ACC-9")}
    log = node.log.read_text()
    assert "RIGHT-1" not in log
    assert "Right^Ana" not in log
