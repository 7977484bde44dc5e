"""Which contexts are accepted, and in which transfer syntax."""

import pytest
from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext, build_context

from node.core.admission import Accepted
from node.intake.negotiation import VERIFICATION, settle
from tests.makers.elements import BIG_ENDIAN, CT_IMAGE, DEFLATED, EXPLICIT, IMPLICIT, JPEG_LOSSLESS

LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
NM_RETIRED = "1.2.840.10008.5.1.4.1.1.5"
JPIP = "1.2.840.10008.1.2.4.94"
J2K = "1.2.840.10008.1.2.4.90"


def proposed(*contexts: tuple[str, list[str]]) -> list[PresentationContext]:
    return [build_context(abstract, [UID(one) for one in syntaxes]) for abstract, syntaxes in contexts]


def settled(*contexts: tuple[str, list[str]], may_send: bool = True) -> tuple[dict[str, list[str]], list[list[str]]]:
    proposal = proposed(*contexts)
    supported = settle(proposal, Accepted("ct1", may_send))
    return {str(one.abstract_syntax): one.transfer_syntax for one in supported}, [
        one.transfer_syntax for one in proposal
    ]


@pytest.mark.parametrize("first", [IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED, JPEG_LOSSLESS, J2K])
def test_the_senders_first_transfer_syntax_is_taken(first: str) -> None:
    """So that it sends what it holds, unconverted."""
    _, narrowed = settled((CT_IMAGE, [first, IMPLICIT, EXPLICIT]))

    assert narrowed == [[first]]


def test_each_context_gets_its_own_choice() -> None:
    """Several contexts of one class, in opposite orders."""
    supported, narrowed = settled((CT_IMAGE, [EXPLICIT, J2K]), (CT_IMAGE, [J2K, EXPLICIT]))

    assert narrowed == [[EXPLICIT], [J2K]]
    assert supported == {CT_IMAGE: [EXPLICIT, J2K]}


def test_syntaxes_whose_pixels_stay_elsewhere_are_not_taken() -> None:
    """JPIP would give a study without images."""
    assert settled((CT_IMAGE, [JPIP, EXPLICIT]))[1] == [[EXPLICIT]]
    assert settled((CT_IMAGE, [JPIP]))[0] == {}


@pytest.mark.parametrize("abstract", [CT_IMAGE, LABEL_MAP, NM_RETIRED])
def test_storage_classes_old_and_new_are_taken(abstract: str) -> None:
    """Label maps of 2024, Nuclear Medicine of 1993."""
    assert settled((abstract, [EXPLICIT]))[0] == {abstract: [EXPLICIT]}


def test_what_is_no_storage_class_is_not_taken() -> None:
    """Query, and private classes."""
    assert settled(("1.2.840.10008.5.1.4.1.2.1.1", [EXPLICIT]), ("1.3.46.670589.2", [EXPLICIT]))[0] == {}


def test_who_may_not_send_may_verify() -> None:
    """A destination's echo is answered."""
    assert settled((CT_IMAGE, [EXPLICIT]), (VERIFICATION, [IMPLICIT]), may_send=False)[0] == {VERIFICATION: [IMPLICIT]}
