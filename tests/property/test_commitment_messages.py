"""Whatever bytes come as a message of storage commitment, they are read, or refused with words."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.errors import Unreadable
from node.state.transaction import (
    Reference,
    Request,
    encode_report,
    encode_request,
    read_report,
    read_request,
)

SYNTAXES = [str(ImplicitVRLittleEndian), str(ExplicitVRLittleEndian)]
REFERENCES = tuple(Reference("1.2.840.10008.5.1.4.1.1.2", f"1.2.3.{number}") for number in range(4))
OUTCOMES = dict(zip((one.sop_uid for one in REFERENCES), (0, 0x0112, 0, 0x0213), strict=True))
SOUND = [encode_report("1.2.9", REFERENCES, OUTCOMES, syntax) for syntax in SYNTAXES]
SOUND.append(encode_request(Request("1.2.9", REFERENCES)))
mutations = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=6)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_written_is_read_back(syntax: str) -> None:
    report = read_report(encode_report("1.2.9", REFERENCES, OUTCOMES, syntax), syntax)

    assert (report.transaction_uid, dict(report.outcomes)) == ("1.2.9", OUTCOMES)
    assert read_request(SOUND[-1], SYNTAXES[0]) == Request("1.2.9", REFERENCES)


@given(st.sampled_from(SOUND), mutations, st.integers(0, 400), st.sampled_from(SYNTAXES))
@settings(max_examples=400, deadline=None)
def test_mutated_messages_are_read_or_refused(sound: bytes, changes: list, cut: int, syntax: str) -> None:
    content = bytearray(sound)
    for place, byte in changes:
        content[place % len(content)] = byte
    for read in (read_report, read_request):
        with suppress(Unreadable):
            read(bytes(content[: len(content) - cut]), syntax)


@given(st.binary(max_size=300), st.sampled_from(SYNTAXES))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_refused(content: bytes, syntax: str) -> None:
    for read in (read_report, read_request):
        with suppress(Unreadable):
            read(content, syntax)


def test_nesting_without_an_end_is_refused() -> None:
    """A thousand sequences in each other."""
    deep = (struct.pack("<HHI", 0x0008, 0x1199, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)) * 5000

    with pytest.raises(Unreadable):
        read_report(deep, SYNTAXES[0])


def test_a_failure_counts_more_than_a_commitment() -> None:
    """An archive that names an instance twice has not committed to it."""
    both = encode_report("1.2.9", REFERENCES, dict.fromkeys(OUTCOMES, 0))
    failed = encode_report("1.2.9", REFERENCES[:1], {REFERENCES[0].sop_uid: 0x0112})
    sequence = failed[failed.index(struct.pack("<HH", 0x0008, 0x1198)) :]
    start = both.index(struct.pack("<HH", 0x0008, 0x1199))

    assert read_report(both[:start] + sequence + both[start:], SYNTAXES[0]).outcomes[REFERENCES[0].sop_uid] == 0x0112
