"""Connections of all receivers are counted together, and nothing of a dead one stays."""

import subprocess
import sys
from pathlib import Path

import pytest

from node.errors import AlreadyRunning
from node.state import seats
from node.state.seats import Caps, Full, Seat, Seats

CAPS = Caps(associations=2, associations_per_address=1)


def seat(found: Seat | Full) -> Seat:
    assert isinstance(found, Seat)
    return found


def test_receivers_share_the_places(tmp_path: Path) -> None:
    """What one gave away the other cannot give again; what one gets back both can."""
    first, second = Seats(tmp_path, CAPS), Seats(tmp_path, CAPS)
    given = [seat(one.connect(f"10.0.0.{n}")) for n, one in enumerate((first, second, first, second))]

    assert [first.connect("10.0.0.9"), second.connect("10.0.0.9")] == [Full.ALL, Full.ALL]
    second.leave(given[3])
    assert first.count() == second.count() == 3
    assert isinstance(first.connect("10.0.0.9"), Seat)


def test_one_address_gets_its_share_only(tmp_path: Path) -> None:
    """Twice as many connections as associations; another address is not affected."""
    ours = Seats(tmp_path, CAPS)
    first, second = (seat(ours.connect("10.0.0.1")) for _ in range(2))

    assert ours.connect("10.0.0.1") is Full.ADDRESS
    assert ours.promote(first) is None
    assert ours.promote(second) is Full.ADDRESS
    other = seat(ours.connect("10.0.0.2"))
    assert ours.promote(other) is None
    assert ours.promote(seat(ours.connect("10.0.0.3"))) is Full.ALL
    ours.leave(first)
    assert ours.promote(second) is None


def test_a_request_is_an_association_at_once(tmp_path: Path) -> None:
    """Of whichever process; it counts where associations are counted."""
    receiver, service = Seats(tmp_path, CAPS), Seats(tmp_path, CAPS)
    request = seat(service.associate("10.0.0.1"))

    assert service.associate("10.0.0.1") is Full.ADDRESS
    assert receiver.promote(seat(receiver.connect("10.0.0.1"))) is Full.ADDRESS
    assert receiver.promote(seat(receiver.connect("10.0.0.2"))) is None
    assert service.associate("10.0.0.3") is Full.ALL
    service.leave(request)
    assert isinstance(service.associate("10.0.0.3"), Seat)


def test_what_a_killed_receiver_held_is_free(tmp_path: Path) -> None:
    """Found out when it matters: when the places seem to be full."""
    code = """if True:
        import sys, pathlib
        from node.state.seats import Caps, Seats
        ours = Seats(pathlib.Path(sys.argv[1]), Caps(2, 2))
        for n in range(4):
            ours.connect(f"10.0.0.{n}")
        print("full", flush=True)
        sys.stdin.read()
    """
    other = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    ours = Seats(tmp_path, Caps(2, 2))
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"full\n"
        assert ours.connect("10.0.0.9") is Full.ALL
        other.kill()
        other.wait()

    assert isinstance(ours.connect("10.0.0.9"), Seat)
    assert ours.count() == 1


def test_a_receiver_that_comes_back_begins_empty(tmp_path: Path) -> None:
    """Closing leaves nothing; doing so twice is harmless."""
    for _ in range(3):
        ours = Seats(tmp_path, CAPS)
        assert ours.count() == 0
        seat(ours.connect("10.0.0.1"))
        ours.close()
        ours.close()


def test_there_is_an_end_to_the_number_of_receivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said in words, not by wrong counts."""
    monkeypatch.setattr(seats, "PROCESSES", 2)
    kept = [Seats(tmp_path, CAPS) for _ in range(2)]

    with pytest.raises(AlreadyRunning, match=r"node\.receivers"):
        Seats(tmp_path, CAPS)
    assert [one.count() for one in kept] == [0, 0]
