"""So much in so long, and no more."""

from node.core.allowance import Allowance


def test_what_is_allowed_in_one_span_is_allowed_again_in_the_next() -> None:
    allowance = Allowance(100, per_s=60.0)

    assert [allowance.take(70, at) for at in (0.0, 1.0, 59.0, 60.0, 61.0, 500.0)] == [70, 30, 0, 70, 30, 70]
