"""A ledger serves one home."""

from contextlib import closing
from pathlib import Path

import pytest

from node.errors import ConfigurationInvalid
from node.state.ledger import Ledger
from node.state.owner import NODE_ID, check_owner, node_id, take_for


@pytest.fixture
def homes(tmp_path: Path) -> tuple[Path, Path]:
    found = tmp_path / "one", tmp_path / "other"
    for home in found:
        home.mkdir()
    return found


def test_a_ledger_that_is_another_homes_is_refused(homes: tuple[Path, Path], database_url: str) -> None:
    """Also while nobody works in that one; with words that say how to go on where it is lost."""
    mine, other = homes
    with closing(Ledger(database_url)) as ledger:
        check_owner(ledger, other)  # it is nobody's yet
        take_for(ledger, mine)
        take_for(ledger, mine)
        check_owner(ledger, mine)
        for look in (check_owner, take_for):
            with pytest.raises(ConfigurationInvalid, match="another home's") as refused:
                look(ledger, other)
        assert f"write {node_id(mine)} into {other / NODE_ID}" in str(refused.value)
        (other / NODE_ID).write_text(f"{node_id(mine)}\n")
        take_for(ledger, other)


def test_a_name_that_a_full_disk_cut_off_is_made_anew(homes: tuple[Path, Path]) -> None:
    (homes[0] / NODE_ID).touch()

    assert len(node_id(homes[0])) == 16
