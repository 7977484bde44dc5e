"""A route that does not take a study says what it takes, beside what came."""

import pytest

from node.core.routing import Answer, Arrival, RouteRule, Verdict, decide


@pytest.mark.parametrize(
    ("arrival", "why"),
    [
        (Arrival("ct", "CT1", "ISOCENTER"), "it came from ct, the route takes from pacs, archive"),
        (Arrival(None, "ANY", "ISOCENTER"), "it came from ANY, the route takes from pacs, archive"),
        (Arrival("pacs", "PACS", "OTHER"), "it was sent to OTHER, the route listens to ISOCENTER"),
    ],
)
def test_a_study_from_elsewhere_is_not_taken(arrival: Arrival, why: str) -> None:
    rule = RouteRule("lungs", True, ("pacs", "archive"), ("ISOCENTER",), lambda _names: Answer(True, ""), ())

    decision = decide(rule, arrival, {}, [])

    assert (decision.verdict, decision.why) == (Verdict.NOT_TAKEN, why)
