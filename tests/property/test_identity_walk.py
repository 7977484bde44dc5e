"""Whatever bytes come, the walk ends with an identity or with an error that says what is wrong."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import IntakeError, Unreadable
from node.intake.instance import IdentityReader
from tests.makers.elements import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    INSTANCE,
    UNDEFINED,
    ct,
    element,
    item,
    sequence_end,
)
from tests.makers.identities import read_identity

syntaxes = st.sampled_from([EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED])
leaf = st.builds(lambda value: element(0x00400001, "OB", value), st.binary(max_size=20))


def as_sequence(contents: list[bytes], sequence_open: bool, item_open: bool) -> bytes:
    items = b"".join(item(content, UNDEFINED if item_open else None) for content in contents)
    if sequence_open:
        return element(0x00400002, "SQ", b"", length=UNDEFINED) + items + sequence_end()
    return element(0x00400002, "SQ", items)


trees = st.recursive(
    leaf,
    lambda inner: st.builds(
        as_sequence, st.lists(st.lists(inner, max_size=3).map(b"".join), max_size=3), st.booleans(), st.booleans()
    ),
    max_leaves=12,
)


@given(st.binary(max_size=2000), syntaxes)
@settings(max_examples=300)
def test_noise_never_breaks_the_walk(noise: bytes, syntax: str) -> None:
    """No other exception than an intake error, whatever comes."""
    try:
        read_identity(noise, syntax)
    except IntakeError:
        return


@given(st.data())
@settings(max_examples=300)
def test_a_damaged_data_set_never_breaks_the_walk(data: st.DataObject) -> None:
    """Bytes changed anywhere in a good one: read or refused, never a crash, never another instance's path."""
    content = bytearray(ct(extra=as_sequence([element(0x00100020, "LO", "X")], True, True)))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 2049))] = data.draw(st.integers(0, 255))
    try:
        found = read_identity(bytes(content), EXPLICIT)
    except IntakeError:
        return
    assert set(found.sop_instance_uid + found.study_uid) <= set("0123456789.")


def outcome(content: bytes, syntax: str, piece: int) -> tuple[object, ...]:
    reader = IdentityReader(syntax)
    try:
        for start in range(0, len(content), piece):
            reader.feed(content[start : start + piece])
        return (reader.finish(len(content)),)
    except IntakeError as error:
        return type(error), error.offending_tag, str(error)


odd_elements = st.builds(
    element,
    st.sampled_from([0x00020003, 0x00080018, 0x00100021, 0x00280010, 0x7FE00010, 0x7FE00008, 0xFFFCFFFC]),
    st.sampled_from(["UI", "US", "OW", "UN"]),
    st.sampled_from([b"", b"1.2.3", b"X" * 300]),
)


odd_parts = st.lists(odd_elements, max_size=3)


@given(odd_parts, odd_parts, st.just(0) | st.integers(1, 40), st.data())
@settings(max_examples=300)
def test_a_data_set_in_one_piece_is_read_as_byte_by_byte(
    before: list[bytes], after: list[bytes], missing: int, data: st.DataObject
) -> None:
    """Whole elements are passed on a shorter way, which must not see anything else: good ones, odd ones, cut ones."""
    syntax = data.draw(st.sampled_from([EXPLICIT, IMPLICIT]))
    content = b"".join([*before, ct(syntax=syntax, pixels=bytes(8)), *after])
    content = content[: len(content) - missing]

    assert outcome(content, syntax, len(content)) == outcome(content, syntax, 1)


@given(st.lists(trees, max_size=4).map(b"".join))
def test_any_nesting_is_followed_to_its_end(extra: bytes) -> None:
    """Items and sequences of defined and undefined length, in any order."""
    found = read_identity(ct(extra=extra), EXPLICIT)

    assert (found.sop_instance_uid, found.checked_to_end) == (INSTANCE, True)


@given(st.lists(trees, max_size=3).map(b"".join), st.integers(1, 2000))
def test_what_is_cut_off_is_always_found(extra: bytes, missing: int) -> None:
    """Whatever precedes the pixel data."""
    with pytest.raises(Unreadable) as caught:
        read_identity(ct(extra=extra)[:-missing], EXPLICIT)
    assert caught.value.offending_tag == 0x7FE00010


def test_the_longest_declared_length_is_not_believed() -> None:
    """4 GiB of pixels that are not there."""
    data_set = ct(pixels=b"")[:-12] + struct.pack("<HH2s2xI", 0x7FE0, 0x0010, b"OW", 0xFFFFFFFE)

    with pytest.raises(Unreadable, match="cut off"):
        read_identity(data_set, EXPLICIT)
