"""What an admin asks of a peer from the command line, answered by a real PACS."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.integration.test_journey import peers
from tests.makers.orthanc import Orthanc, running_orthanc

pytestmark = pytest.mark.real("orthanc")
Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with running_orthanc(tmp_path_factory.mktemp("pacs")) as found:
        yield found


@pytest.fixture(scope="module")
def isocenter(pacs: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    config = tmp_path_factory.mktemp("config")
    (config / "node.toml").write_text("")
    (config / "routes.toml").write_text("")
    dead = '[[peer]]\nname = "dead"\nae_title = "DEAD"\naddress = "127.0.0.1"\nport = 1\n'
    (config / "peers.toml").write_text(peers(pacs) + dead)

    def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "node", "peers", *arguments]
        environment = {**os.environ, "ISOCENTER_CONFIG": str(config)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    return ask


def test_a_probe_shows_what_the_pacs_takes_and_proposes_it(isocenter: Ask) -> None:
    """This Orthanc takes every object but the label map, which is too new for it."""
    told = isocenter("probe", "pacs")

    assert told.returncode == 0
    proposed = '"seg", "sr", "text", "summary", "gsps", "map", "ko", "pdf", "rtstruct", "derived"'
    assert f"renditions = [{proposed}]" in told.stdout
    assert "labelmap" not in told.stdout.partition("in peers.toml")[2]
    assert len(re.findall("Deflated Explicit VR", told.stdout)) == 1, "it is asked of segmentations alone"
    assert '"deflated"]' in told.stdout


def test_an_echo_says_whether_the_peer_answers(isocenter: Ask) -> None:
    answered, dead = isocenter("echo", "pacs"), isocenter("echo", "dead")

    assert (answered.returncode, dead.returncode) == (0, 1)
    assert "answered C-ECHO" in answered.stdout
    assert "127.0.0.1" in dead.stdout


def test_a_peer_is_added_and_removed(isocenter: Ask) -> None:
    added = isocenter("add", "ct", "CT 1", "--kind", "scanner", "--role", "source")
    assert added.returncode == 0, added.stderr
    (told,) = [one for one in json.loads(isocenter("list", "--json").stdout)["items"] if one["name"] == "ct"]
    assert (told["ae_title"], told["kind"], told["roles"]) == ("CT 1", "scanner", "source")
    again, wrong = isocenter("add", "ct", "CT2"), isocenter("add", "mr", "MR", "--role", "destination")
    assert (again.returncode, wrong.returncode) == (2, 2)
    assert "a destination needs address and port" in wrong.stderr

    assert [isocenter("remove", "ct").returncode for _ in range(2)] == [0, 4]


def test_an_unknown_peer_is_not_found(isocenter: Ask) -> None:
    assert isocenter("probe", "nobody").returncode == 4


def test_the_list_shows_every_peer(isocenter: Ask) -> None:
    assert "dead" in isocenter("list").stdout
