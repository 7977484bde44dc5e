"""A peer's url: what is refused before it can send a study or a secret astray."""

import pytest
from pydantic import ValidationError

from node.settings import Peer

WEB = "https://pacs.example/dicom-web"


def peer(**changes: str) -> Peer:
    return Peer.model_validate({"name": "pacs", "ae_title": "PACS", "url": WEB, **changes})


def test_a_url_stands_in_for_address_and_port() -> None:
    assert peer(proof="qido").url == WEB


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "pacs.example"}, "is not the URL of a DICOMweb server"),
        ({"url": "ftp://pacs.example"}, "is not the URL of a DICOMweb server"),
        ({"url": WEB + "?a=b"}, "is not the URL of a DICOMweb server"),
        ({"url": "https://pacs.example:99999"}, "is not a URL"),
        ({"url": "https://me:word@pacs.example"}, "names no user or password"),
        ({"url": "http://pacs.example", "web_secret_env": "A"}, "use https"),
        ({"url": "", "address": "a", "port": "104", "web_user": "a"}, "is of a DICOMweb server"),
        ({"url": "", "address": "a", "port": "104", "proof": "qido"}, "asks a DICOMweb server"),
        ({"web_user": "me"}, "needs its password"),
        ({"web_secret_env": "A", "web_secret_file": "b"}, "which is it?"),
        ({"proof": "find"}, 'use proof = "qido"'),
    ],
)
def test_what_cannot_work_or_would_give_a_secret_away_is_refused(changes: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words.replace("?", r"\?")):
        peer(**changes)


def test_a_secret_may_go_unencrypted_to_this_machine_alone() -> None:
    assert peer(url="http://127.0.0.1:8042/dicom-web", web_secret_env="A").web_secret_env == "A"  # noqa: S105, S106
