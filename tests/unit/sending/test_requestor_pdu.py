"""What the requestor writes is what pynetdicom reads, and what it reads can be anything."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_RQ, P_DATA_TF

from node.sending import pdu
from node.sending.pdu import Malformed, Tag

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def test_another_library_reads_the_association_request() -> None:
    """Titles, contexts, maximum length and implementation arrive as meant (PS3.8 Table 9-11)."""
    read = A_ASSOCIATE_RQ()
    read.decode(pdu.associate_request("ISOCENTER", "ARCHIVE", [(CT, EXPLICIT), (CT, IMPLICIT)]))
    assert (read.calling_ae_title, read.called_ae_title) == ("ISOCENTER", "ARCHIVE")
    assert read.application_context_name == pdu.APPLICATION_CONTEXT
    contexts = [(one.context_id, one.abstract_syntax, one.transfer_syntax) for one in read.presentation_context]
    assert contexts == [(1, CT, [EXPLICIT]), (3, CT, [IMPLICIT])]
    assert read.user_information.maximum_length == pdu.OUR_MAXIMUM_LENGTH
    assert read.user_information.implementation_class_uid == pdu.IMPLEMENTATION_CLASS_UID
    assert read.user_information.implementation_version_name == pdu.IMPLEMENTATION_VERSION_NAME


def test_the_implementation_class_uid_is_a_uid() -> None:
    """Every association carries it."""
    assert UID(pdu.IMPLEMENTATION_CLASS_UID).is_valid


def test_too_many_contexts_are_refused() -> None:
    """An association holds 128 (PS3.8 section 9.3.2.2)."""
    with pytest.raises(ValueError, match="129 presentation contexts"):
        pdu.associate_request("A", "B", [(CT, IMPLICIT)] * 129)


def test_another_library_reads_a_fragment() -> None:
    """One presentation data value per PDU (PS3.8 Table 9-22)."""
    read = P_DATA_TF()
    read.decode(pdu.p_data(5, pdu.LAST_BIT, b"abcd"))
    (value,) = read.presentation_data_value_items
    assert (value.presentation_context_id, value.presentation_data_value) == (5, b"\x02abcd")


def test_a_response_is_read_with_its_explanation() -> None:
    """Status, offending elements and comment (PS3.7 section 9.3.1.2); unknown elements are skipped."""
    written = pdu.command_set(
        {
            Tag.MESSAGE_ID_BEING_RESPONDED_TO: 7,
            Tag.COMMAND_DATA_SET_TYPE: pdu.NO_DATA_SET,
            Tag.STATUS: 0xA900,
            Tag.OFFENDING_ELEMENT: "\x10\x00\x20\x00",
            Tag.ERROR_COMMENT: "wrong class",
        }
    )
    assert pdu.read_response(written) == pdu.Response(7, 0xA900, False, (0x00100020,), "wrong class")


def test_a_response_without_a_status_has_none() -> None:
    """Nothing is made up for what the peer left out."""
    assert pdu.read_response(b"") == pdu.Response(None, None, False, (), "")


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    """A hostile peer causes no other error."""
    for read in (pdu.read_acceptance, pdu.read_response, lambda body: list(pdu.read_p_data(body))):
        with contextlib.suppress(Malformed):
            read(data)
        with contextlib.suppress(Malformed):
            read(bytes(68) + data)
