"""The form of a peer: no key of the settings is forgotten there."""

from node.admin.pages.peer_form import FURTHER, PeerForm
from node.settings import Peer

IN_THE_FILE_ALONE = {"web_authorities", "web_user", "web_secret_file", "web_secret_env", "passcode_file", "token_file"}
"""They name files of secrets and whose they are: who may edit these may edit the file."""


def test_every_key_of_a_peer_is_on_the_form() -> None:
    assert set(PeerForm.model_fields) - {"of", "seen"} == set(Peer.model_fields) - IN_THE_FILE_ALONE


def test_what_is_as_usual_stays_out_of_the_file() -> None:
    usual = Peer(name="pacs", ae_title="PACS", address="a", port=104)
    assert all(key.value(key.shown(usual)) is None for key in FURTHER)


def test_what_is_shown_is_what_is_read_again() -> None:
    profile = Peer(
        name="pacs", ae_title="PACS", address="a", port=104, tls=True, label="AI trial", largest_seg_mb=200,
        syntaxes=("implicit",), rejections=True,
    )  # fmt: skip
    found = {key.name: key.value(key.shown(profile)) for key in FURTHER}
    read = Peer.model_validate(
        {"name": "pacs", "ae_title": "PACS", "address": "a", "port": 104}
        | {key: value for key, value in found.items() if value is not None}
    )

    assert read == profile
