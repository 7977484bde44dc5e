"""A damaged A-ASSOCIATE-RQ is answered or refused; nothing else comes of it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.admission import Accepted
from node.intake.negotiation import settle
from node.intake.pdu import Breach
from node.intake.request import encode_acceptance, negotiate, read_request
from node.state.transaction import PUSH_MODEL_CLASS
from tests.makers.bare import proposed, request, sub_item
from tests.makers.elements import CT_IMAGE, EXPLICIT, IMPLICIT
from tests.makers.receiver import process_settings

__all__ = ["process_settings"]

ROLE = sub_item(0x54, b"\0\x14" + PUSH_MODEL_CLASS.encode() + b"\1\1")
IDENTITY = sub_item(0x58, b"\2\1\0\3bob\0\1x")
SOUND = request(
    proposed(1, CT_IMAGE, [EXPLICIT, IMPLICIT]) + proposed(3, PUSH_MODEL_CLASS, [IMPLICIT]),
    more=ROLE + IDENTITY + sub_item(0x53, bytes(4)) + sub_item(0x56, b"\0\x031.2\2\0"),
)[6:]
RIGHTS = Accepted("peer", may_send=True, may_report=True, may_ask=True)


def answer_or_refuse(content: bytes) -> None:
    try:
        found = read_request(content)
    except Breach:
        return
    results, _, roles = negotiate(found, settle(found.contexts, RIGHTS))
    assert encode_acceptance(found, results, roles, largest_pdu=1 << 17)[0] == 2


def test_a_request_that_is_cut_off_anywhere_is_answered_or_refused() -> None:
    """At the end of an item it is none the worse."""
    for end in range(len(SOUND)):
        answer_or_refuse(SOUND[:end])


@given(st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 8), st.binary(max_size=8)), max_size=4))
@settings(max_examples=400, deadline=None)
def test_a_mutated_request_is_answered_or_refused(changes: list[tuple[int, int, bytes]]) -> None:
    """Each change takes some bytes out and puts others in."""
    content = bytearray(SOUND)
    for place, taken, put in changes:
        content[place : place + taken] = put
    answer_or_refuse(bytes(content))
