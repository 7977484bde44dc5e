"""Association requests and acceptances, decoded and encoded by pynetdicom."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor

from node.core.upper_layer import PduType
from node.intake.pdu import HEAD, AbortReason, Breach
from node.state.file_meta import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

NAME, NAME_AND_PASSCODE = 1, 2
"""Kinds of User Identity that can be checked here; the others are tokens."""
APPLICATION_CONTEXT_NAME = "1.2.840.10008.3.1.1.1"
"""PS3.7 section A.2.1: the only one there is."""
PADDING = " \0"
"""Around AE titles: some devices pad them with NUL."""
DECODING_FAULTS = (
    ValueError, KeyError, TypeError, IndexError, AttributeError, AssertionError, NotImplementedError, struct.error,
)  # fmt: skip
"""What the library raises on bytes that are no A-ASSOCIATE-RQ."""


@dataclass(frozen=True)
class UserIdentity:
    """What a User Identity item says (PS3.7 section D.3.3.7). kind: 1 name, 2 name and passcode, 3 and more tokens."""

    kind: int
    name: bytes = field(repr=False)
    passcode: bytes = field(repr=False)
    wants_response: bool

    @property
    def user(self) -> str | None:
        """The name; None where a token came instead, which nobody here can check."""
        return self.name.decode("utf-8", "replace") if self.kind in (NAME, NAME_AND_PASSCODE) else None


@dataclass(frozen=True)
class AssociationRequest:
    """An A-ASSOCIATE-RQ. calling_ae, called_ae: without padding; largest_pdu: what the peer takes, 0 for any length.

    has_version: whether it offers the version of the protocol that there is (PS3.8 section 9.3.2).
    """

    primitive: A_ASSOCIATE
    calling_ae: str
    called_ae: str
    contexts: list[PresentationContext]
    largest_pdu: int
    identity: UserIdentity | None
    application_context: str
    has_version: bool


@dataclass(frozen=True)
class Context:
    """An accepted presentation context."""

    abstract_syntax_uid: str
    transfer_syntax_uid: str


def read_request(body: bytes) -> AssociationRequest:
    """The request in the body of an A-ASSOCIATE-RQ. Raises Breach where it is none."""
    pdu = A_ASSOCIATE_RQ()
    try:
        pdu.decode(HEAD.pack(PduType.ASSOCIATE_RQ, len(body)) + body)
        primitive = pdu.to_primitive()
        contexts = list(primitive.presentation_context_definition_list or ())
        ids = [context.context_id for context in contexts]
        if not contexts or len(set(ids)) < len(ids) or not all(map(_is_whole, contexts)):
            raise Breach("the request proposes no context, or one that is ambiguous", AbortReason.INVALID_PARAMETER)
        calling, called = (
            str(title).strip(PADDING) for title in (primitive.calling_ae_title, primitive.called_ae_title)
        )
        if not calling or not called:
            raise Breach("the request lacks an AE title", AbortReason.INVALID_PARAMETER)
        return AssociationRequest(
            primitive=primitive,
            calling_ae=calling,
            called_ae=called,
            contexts=contexts,
            largest_pdu=next(
                (
                    int(item.maximum_length_received or 0)
                    for item in primitive.user_information
                    if isinstance(item, MaximumLengthNotification)
                ),
                0,
            ),
            identity=_identity(primitive),
            application_context=str(primitive.application_context_name or ""),
            has_version=bool(pdu.protocol_version & 1),
        )
    except DECODING_FAULTS as error:
        raise Breach("the association request is garbled", AbortReason.INVALID_PARAMETER) from error


def _is_whole(context: PresentationContext) -> bool:
    return bool(context.abstract_syntax and context.transfer_syntax)


def negotiate(
    request: AssociationRequest, supported: Sequence[PresentationContext]
) -> tuple[list[PresentationContext], dict[int, Context], list[SCP_SCU_RoleSelectionNegotiation]]:
    """The results for all proposed contexts, the accepted ones by id, and roles to confirm."""
    asked = {
        item.sop_class_uid: (item.scu_role, item.scp_role)
        for item in request.primitive.user_information
        if isinstance(item, SCP_SCU_RoleSelectionNegotiation) and item.sop_class_uid is not None
    }
    results, roles = negotiate_as_acceptor(request.contexts, list(supported), asked)
    accepted = {
        int(result.context_id): Context(str(result.abstract_syntax), str(result.transfer_syntax[0]))
        for result in results
        if result.result == 0 and result.context_id is not None
    }
    return results, accepted, roles


def encode_acceptance(
    request: AssociationRequest,
    results: list[PresentationContext],
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation],
    *,
    largest_pdu: int,
) -> bytes:
    """The A-ASSOCIATE-AC. The asynchronous operations window is left out: one operation at a time (PS3.7 D.3.3.3)."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = UID(APPLICATION_CONTEXT_NAME)
    primitive.calling_ae_title = request.calling_ae
    primitive.called_ae_title = request.called_ae
    primitive.result = 0
    primitive.result_source = 1
    primitive.presentation_context_definition_results_list = results
    length = MaximumLengthNotification()
    length.maximum_length_received = largest_pdu
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    primitive.user_information = [length, implementation, version, *roles]
    if request.identity is not None and request.identity.wants_response:
        confirmed = UserIdentityNegotiation()
        confirmed.server_response = b""
        primitive.user_information.append(confirmed)
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())


def _identity(primitive: A_ASSOCIATE) -> UserIdentity | None:
    for item in primitive.user_information:
        if isinstance(item, UserIdentityNegotiation):
            return UserIdentity(
                kind=int(item.user_identity_type or 0),
                name=bytes(item.primary_field or b""),
                passcode=bytes(item.secondary_field or b""),
                wants_response=bool(item.positive_response_requested),
            )
    return None
