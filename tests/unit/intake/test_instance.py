"""What is read of a data set at the door, and what is turned away."""

import struct
import zlib

import pytest

from node.errors import DatasetMismatch, TooLarge, Unreadable
from node.intake import walk
from node.intake.instance import IdentityReader, check
from tests.makers.elements import (
    BIG_ENDIAN,
    CT_IMAGE,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    INSTANCE,
    JPEG_LOSSLESS,
    SERIES,
    STUDY,
    UNDEFINED,
    ct,
    element,
    item,
    sequence_end,
)
from tests.makers.identities import read_identity

FRAGMENTS = element(0x7FE00010, "OB", b"", length=UNDEFINED) + item() + item(b"frame one!") + item(b"frame two!")


def deflated(data_set: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data_set) + deflater.flush()


def sequence(content: bytes, tag: int = 0x00081140, vr: str = "SQ", syntax: str = EXPLICIT) -> bytes:
    return element(tag, vr, content + sequence_end(), syntax, length=UNDEFINED)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_identity_is_read_in_every_encoding(syntax: str) -> None:
    """UIDs without padding, other text as it came."""
    found = read_identity(ct(syntax=syntax), syntax)

    assert (found.sop_class_uid, found.sop_instance_uid) == (CT_IMAGE, INSTANCE)
    assert (found.study_uid, found.series_uid) == (STUDY, SERIES)
    assert (found.patient_id, found.issuer, found.accession_number, found.modality) == (b"P1", None, b"A1", b"CT")
    assert found.checked_to_end


def test_identity_of_a_deflated_data_set() -> None:
    """Deflated means the whole data set, PS3.5 section A.5."""
    assert read_identity(deflated(ct()), DEFLATED).sop_instance_uid == INSTANCE


def test_a_deflated_data_set_is_followed_to_its_end() -> None:
    """Inflated piece by piece: large or small, its last element is seen."""
    found = read_identity(deflated(ct(pixels=bytes(3 << 20))), DEFLATED)

    assert (found.sop_instance_uid, found.checked_to_end) == (INSTANCE, True)


def test_a_deflated_data_set_whose_content_is_cut_off_is_found() -> None:
    """Its stream is whole, but not what it holds."""
    with pytest.raises(Unreadable, match="cut off"):
        read_identity(deflated(ct()[:-1]), DEFLATED)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED])
@pytest.mark.parametrize("piece", [1, 7, 100])
def test_it_does_not_matter_in_which_pieces_the_bytes_come(syntax: str, piece: int) -> None:
    """Heads and values are cut anywhere."""
    nested_items = sequence(item(element(0x00100020, "LO", "X", syntax), UNDEFINED), syntax=syntax)
    content = ct(syntax=syntax, extra=nested_items if syntax in (EXPLICIT, IMPLICIT) else b"")
    content = deflated(ct(extra=sequence(item(b"", UNDEFINED)))) if syntax == DEFLATED else content
    reader = IdentityReader(syntax)
    for start in range(0, len(content), piece):
        reader.feed(memoryview(content)[start : start + piece])

    assert reader.finish(len(content)) == read_identity(content, syntax)


@pytest.mark.parametrize("pixels", [100, 3 << 20])
def test_a_deflated_data_set_that_is_cut_off_is_found(pixels: int) -> None:
    """Its stream lacks its end."""
    whole = deflated(ct(pixels=bytes(pixels)))

    for part in range(1, 10):
        with pytest.raises(Unreadable):
            read_identity(whole[: len(whole) * part // 10], DEFLATED)


def test_a_deflated_bomb_is_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound on what comes out."""
    monkeypatch.setattr(walk, "MAX_INFLATED_BYTES", 4 << 20)

    with pytest.raises(TooLarge):
        read_identity(deflated(ct(pixels=bytes(8 << 20))), DEFLATED)


@pytest.mark.parametrize("after", [b"\0", b"checksum"])
def test_a_few_bytes_after_a_deflated_data_set_are_padding(after: bytes) -> None:
    """One NUL makes the length even (PS3.5 section A.5); a checksum of some library's own does no harm."""
    assert read_identity(deflated(ct()) + after, DEFLATED).sop_instance_uid == INSTANCE


@pytest.mark.parametrize("at_once", [0, 8])
def test_what_follows_a_deflated_data_set_is_refused(at_once: int) -> None:
    """Whatever it is, nobody would look at it, and it might have any size."""
    reader = IdentityReader(DEFLATED)
    reader.feed(deflated(ct()) + bytes(at_once))
    with pytest.raises(Unreadable, match="goes on after its end"):
        reader.feed(bytes(9 - at_once))


def test_what_is_not_deflated_is_unreadable() -> None:
    """Garbage under the deflated syntax."""
    with pytest.raises(Unreadable, match="damaged"):
        read_identity(b"\xff" * 1000, DEFLATED)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_a_truncated_data_set_is_found_at_every_byte_of_its_pixels(syntax: str) -> None:
    """The last element declares more than is there; the element is named."""
    whole = ct(syntax=syntax)

    for missing in range(1, 2048, 7):
        with pytest.raises(Unreadable) as caught:
            read_identity(whole[:-missing], syntax)
        assert caught.value.offending_tag == 0x7FE00010


def test_encapsulated_pixels_are_followed_to_their_end() -> None:
    """Fragments and the closing delimiter."""
    head = ct()[: -len(element(0x7FE00010, "OW", bytes(2048)))]

    assert read_identity(head + FRAGMENTS + sequence_end(), JPEG_LOSSLESS).checked_to_end
    for cut in range(1, len(FRAGMENTS)):
        with pytest.raises(Unreadable):
            read_identity(head + FRAGMENTS[:cut], JPEG_LOSSLESS)


def test_encapsulated_pixels_without_their_delimiter_count_as_cut_off() -> None:
    """PS3.5 section A.4 demands it; without it a missing frame could not be told."""
    head = ct()[: -len(element(0x7FE00010, "OW", bytes(2048)))]

    with pytest.raises(Unreadable, match="cut off"):
        read_identity(head + FRAGMENTS, JPEG_LOSSLESS)


def test_uids_inside_sequences_are_not_those_of_the_instance() -> None:
    """Referenced instances carry the same tags."""
    other = element(0x00080018, "UI", "9.9.9") + element(0x0020000D, "UI", "8.8.8")
    data_set = ct(extra=sequence(item(other, UNDEFINED) + item(other)) + element(0x00081140, "SQ", item(other)))

    found = read_identity(data_set, EXPLICIT)
    assert (found.sop_instance_uid, found.study_uid, found.checked_to_end) == (INSTANCE, STUDY, True)


@pytest.mark.parametrize("tag", [0x00080018, 0x0020000D])
@pytest.mark.parametrize("first", [True, False])
def test_an_identity_that_is_said_twice_is_none(tag: int, first: bool) -> None:
    """Readers differ in which one they believe: what is compared with the command must be what all of them see."""
    other = element(tag, "UI", "1.2.99")
    with pytest.raises(Unreadable, match="stands there twice") as refused:
        read_identity(other + ct() if first else ct() + other, EXPLICIT)
    assert refused.value.offending_tag == tag


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED])
@pytest.mark.parametrize("tag", [0x00020003, 0x00020010, 0x00020018, 0x00000002])
def test_what_belongs_before_a_data_set_has_no_place_in_it(syntax: str, tag: int) -> None:
    """Readers of the file would take it for its file meta information: another instance, syntax or sender."""
    data_set = element(tag, "UI", "1.2.99", syntax) + ct(syntax=syntax)
    with pytest.raises(Unreadable, match="has no place in a data set") as refused:
        read_identity(deflated(data_set) if syntax == DEFLATED else data_set, syntax)
    assert refused.value.offending_tag == tag


@pytest.mark.parametrize("pixels", [FRAGMENTS + sequence_end(), element(0x7FE00010, "OW", bytes(8))])
def test_an_identity_after_the_pixels_is_none(pixels: bytes) -> None:
    """Elements ascend (PS3.5 section 7.1), and who reads a header stops at the pixels."""
    with pytest.raises(Unreadable, match="after the pixels") as refused:
        read_identity(pixels + ct(), JPEG_LOSSLESS)
    assert refused.value.offending_tag == 0x00080016


def test_sequences_of_undefined_length_are_followed_in_every_encoding() -> None:
    """Items of defined and undefined length, nested, empty; UN holds Implicit VR (PS3.5 section 6.2.2)."""
    inner = sequence(item(element(0x00100020, "LO", "X"), UNDEFINED) + item())
    implicit = sequence(item(element(0x00100020, "LO", "X", IMPLICIT), UNDEFINED), 0x00091010, "UN", IMPLICIT)
    unknown = element(0x00091010, "UN", b"", length=UNDEFINED) + implicit[8:]

    assert read_identity(ct(extra=sequence(item(inner, UNDEFINED)) + sequence(b"")), EXPLICIT).checked_to_end
    assert read_identity(ct(extra=implicit, syntax=IMPLICIT), IMPLICIT).checked_to_end
    assert read_identity(ct(extra=unknown), EXPLICIT).checked_to_end


def nested(levels: int) -> bytes:
    head = element(0x00081140, "SQ", b"", length=UNDEFINED) + struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)
    return head * levels + (struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + sequence_end()) * levels


def test_deep_nesting_is_refused_without_recursion() -> None:
    """64 levels are more than any real object has; a hundred thousand cost no stack."""
    assert read_identity(ct(extra=nested(63)), EXPLICIT).checked_to_end
    with pytest.raises(Unreadable, match="nests deeper"):
        read_identity(ct(extra=nested(100_000)), EXPLICIT)


def test_very_many_elements_are_not_all_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound costs the look at the end, not the instance; that is said."""
    monkeypatch.setattr(walk, "MAX_ELEMENTS", 50)
    many = ct(extra=element(0x00280010, "US", b"\1\0") * 100)

    assert read_identity(many, EXPLICIT).checked_to_end is False


@pytest.mark.parametrize(
    ("tag", "name"),
    [(0x00080016, "sop_class"), (0x00080018, "instance"), (0x0020000D, "study"), (0x0020000E, "series")],
)
@pytest.mark.parametrize("uid", ["", "../../x", "1.2\n", "1" * 65, "1.2\\1.3", "1" * 60_000])
def test_a_uid_that_is_none_is_named(tag: int, name: str, uid: str) -> None:
    """Each of the four, with its tag for Offending Element."""
    with pytest.raises(Unreadable) as caught:
        read_identity(ct(**{name: uid}), EXPLICIT)
    assert caught.value.offending_tag == tag
    assert len(str(caught.value)) < 200


def test_a_missing_uid_is_named() -> None:
    """A data set without Series Instance UID."""
    with pytest.raises(Unreadable, match=r"\(0020,000E\) is missing") as caught:
        read_identity(ct().replace(element(0x0020000E, "UI", SERIES), b""), EXPLICIT)
    assert caught.value.offending_tag == 0x0020000E


def test_an_empty_data_set_is_unreadable() -> None:
    """Nothing at all."""
    with pytest.raises(Unreadable, match="empty"):
        read_identity(b"", EXPLICIT)


@pytest.mark.parametrize("written", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("announced", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
def test_a_data_set_in_another_encoding_than_announced_is_unreadable(written: str, announced: str) -> None:
    """Never misread as something else."""
    if written == announced:
        return
    with pytest.raises(Unreadable):
        read_identity(ct(syntax=written), announced)


@pytest.mark.parametrize("noise", [b"\xff" * 1024, b"DICM" * 100, bytes(range(256)) * 4])
def test_noise_is_unreadable(noise: bytes) -> None:
    """Whatever it is."""
    for syntax in (IMPLICIT, EXPLICIT, BIG_ENDIAN):
        with pytest.raises(Unreadable):
            read_identity(noise, syntax)


def test_a_few_zeros_at_the_end_are_padding() -> None:
    """Some senders round up; less than an element's head of zeros cannot be the rest of one."""
    assert read_identity(ct() + bytes(6), EXPLICIT).checked_to_end
    with pytest.raises(Unreadable):
        read_identity(ct() + b"\xe0\x7f\x10", EXPLICIT)


def test_a_vr_of_the_future_has_a_long_length() -> None:
    """PS3.5 section 7.1.2: every VR to come has 32 bits of length."""
    future = struct.pack("<HH2s2xI", 0x0022, 0x0001, b"ZZ", 4) + b"abcd"

    assert read_identity(ct(extra=future), EXPLICIT).checked_to_end


@pytest.mark.parametrize(
    ("command_class", "command_instance", "tag"), [("1.2", INSTANCE, 0x00080016), (CT_IMAGE, "1.2", 0x00080018)]
)
def test_data_set_and_command_must_agree(command_class: str, command_instance: str, tag: int) -> None:
    """On class and instance; the element that differs is named."""
    identity = read_identity(ct(), EXPLICIT)

    check(identity, CT_IMAGE, INSTANCE)
    with pytest.raises(DatasetMismatch) as caught:
        check(identity, command_class, command_instance)
    assert caught.value.offending_tag == tag
