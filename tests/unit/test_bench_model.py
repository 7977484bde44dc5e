"""The figures of the model stage are taken from the real stage, and our windows equal MONAI's while they are timed."""

from ai.networks.timing import WINDOW_RUNS, TimedModel, bright, card, network_card, time_windows
from node.bench import model
from node.bench.model import study


def test_the_time_around_a_network_excludes_it() -> None:
    slow = TimedModel(card("slow", spacing_mm=None), network_card(), lambda: bright(0.5))

    (taken,) = model._around(slow, study((8, 16, 16), (2.0, 1.0, 1.0)), rounds=1)

    assert sum(slow.inside_s) >= 0.5
    assert 0 < taken < 0.5


def test_windows_are_timed_beside_monais_with_equal_output() -> None:
    found = time_windows(1, 2, (24, 24, 24), (16, 16, 16))

    assert len(found.ours) == len(found.monai) == WINDOW_RUNS
    assert found.largest_difference < 1e-5
