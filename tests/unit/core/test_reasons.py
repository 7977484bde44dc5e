"""Every reason has advice a person can follow."""

from node.core.reasons import ADVICE
from node.errors import ReasonCode


def test_advice_is_total_over_the_reason_codes() -> None:
    assert set(ADVICE) == set(ReasonCode)
