"""Who must say who it is: the user's name and passcode on the wire, from two stacks; wrong ones never get further."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from node.core.admission import NO_REASON_GIVEN, RejectResult, RejectSource
from node.state.associations import AssociationOutcome
from tests.makers.elements import ct
from tests.makers.part10 import part10
from tests.makers.receiver import CONFIGURATION, VERIFICATION, Door, opened, process_settings, run

__all__ = ["process_settings"]

USER, PASSCODE = "modality-7", "correct horse"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """It asks one peer for name and passcode, another for its name alone."""
    (tmp_path / "passcode").write_text(f"{PASSCODE}\n")
    strict = {"user": USER, "passcode_file": str(tmp_path / "passcode")}
    peers = [
        {"name": "strict", "ae_title": "STRICT", "roles": ["source"], **strict},
        {"name": "named", "ae_title": "NAMED", "roles": ["source"], "user": USER},
    ]
    with opened(tmp_path / "home", configuration={**CONFIGURATION, "peers": peers}) as one:
        yield one


def store(door: Door, *options: str, calling: str = "STRICT") -> str:
    """What DCMTK says while it sends an image; nothing where that was taken."""
    image = door.home / "one.dcm"
    part10(image, ct())
    done = run("storescu", "-aet", calling, "-aec", "ISOCENTER", *options, "127.0.0.1", str(door.port), image)
    return done.stdout + done.stderr


@pytest.mark.real("dcmtk")
def test_the_right_user_is_let_in(door: Door) -> None:
    assert store(door, "--user", USER, "--password", PASSCODE) == ""
    assert store(door, "--user", USER, "--password", PASSCODE, "--pos-response") == ""
    assert store(door, "--user", USER, calling="NAMED") == ""
    assert store(door, "--user", USER, "--password", "anything", calling="NAMED") == ""


@pytest.mark.real("dcmtk")
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--user", USER),
        ("--user", USER, "--password", "wrong"),
        ("--user", USER, "--empty-password"),
        ("--user", "MODALITY-7", "--password", PASSCODE),
    ],
    ids=["none", "no passcode", "wrong passcode", "empty passcode", "wrong name"],
)
def test_others_are_rejected_and_the_list_says_why(door: Door, options: tuple[str, ...]) -> None:
    said = store(door, *options)

    assert "Rejected Permanent" in said
    assert "Service Provider (ACSE Related)" in said
    told = door.ended()
    assert told.outcome is AssociationOutcome.REJECTED
    assert "correct the user identity in the sender, or user and passcode_file in peers.toml" in told.why


def identity(kind: int, primary: bytes, secondary: bytes = b"") -> UserIdentityNegotiation:
    item = UserIdentityNegotiation()
    item.user_identity_type = kind
    item.primary_field = primary
    if secondary:
        item.secondary_field = secondary
    item.positive_response_requested = True
    return item


@pytest.mark.parametrize(
    ("item", "accepted"),
    [
        (identity(2, USER.encode(), PASSCODE.encode()), True),
        (identity(1, USER.encode()), False),
        (identity(2, USER.encode(), b"correct hors"), False),
        (identity(3, USER.encode()), False),
        (identity(4, b"<saml/>"), False),
        (identity(4, b"<saml>" + bytes(60_000)), False),
        (identity(5, USER.encode()), False),
    ],
    ids=["right", "name alone", "shorter", "Kerberos", "SAML", "long SAML", "JWT"],
)
def test_only_a_name_with_its_passcode_counts(door: Door, item: UserIdentityNegotiation, accepted: bool) -> None:
    """Tokens are not checked here, so they are no identity, whatever they say."""
    answers: list[A_ASSOCIATE_RJ] = []
    entity = ApplicationEntity("STRICT")
    entity.add_requested_context(VERIFICATION)
    heard = (evt.EVT_PDU_RECV, lambda event: answers.append(event.pdu))
    association = entity.associate("127.0.0.1", door.port, ae_title="ISOCENTER", ext_neg=[item], evt_handlers=[heard])

    assert association.is_established is accepted
    if accepted:
        assert association.send_c_echo().Status == 0
        association.release()
    else:
        (answer,) = answers
        expected = (RejectResult.PERMANENT, RejectSource.PROVIDER_ACSE, NO_REASON_GIVEN)
        assert (answer.result, answer.source, answer.reason_diagnostic) == expected


def test_a_token_is_no_name_even_where_the_name_is_enough(door: Door) -> None:
    for kind, accepted in ((5, False), (1, True)):
        entity = ApplicationEntity("NAMED")
        entity.add_requested_context(VERIFICATION)
        item = identity(kind, USER.encode())
        association = entity.associate("127.0.0.1", door.port, ae_title="ISOCENTER", ext_neg=[item])

        assert association.is_established is accepted
        if accepted:
            association.release()


def test_neither_name_nor_passcode_is_logged_or_kept(door: Door) -> None:
    with structlog.testing.capture_logs() as logged:
        for item in (identity(2, b"someone", b"swordfish"), identity(2, USER.encode(), PASSCODE.encode())):
            entity = ApplicationEntity("STRICT")
            entity.add_requested_context(VERIFICATION)
            association = entity.associate("127.0.0.1", door.port, ae_title="ISOCENTER", ext_neg=[item])
            if association.is_established:
                association.release()
        kept = [path.read_text() for path in (door.home / "spool" / "associations").glob("*.json")]

    assert logged
    assert kept
    for text in [str(logged), *kept]:
        assert "someone" not in text
        assert "swordfish" not in text
        assert PASSCODE not in text
