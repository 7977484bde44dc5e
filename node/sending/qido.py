"""Asks a DICOMweb server by QIDO-RS what it holds: instances of series, and what it says of a study (PS3.18 10.6)."""

import asyncio
from collections.abc import Iterable, Mapping

from pydicom.datadict import tag_for_keyword

from node.sending.destination import Destination, QueryRefused, SendOutcome
from node.sending.outcome import NotReached
from node.sending.web import Exchange
from node.sending.web_answer import Item, NotJsonModel, read_items, text
from node.sending.web_outcome import of_http

STUDIES = "/studies"
LONGEST_ANSWER = 16 << 20
PAGE = 1000
"""Matches asked for at once: servers cut longer answers without always saying so."""
MOST_PAGES = 100


def studies(peer: Destination, study_uid: str, keywords: Iterable[str]) -> list[dict[str, str]]:
    """What the server says of a study, by keyword. Raises ExchangeFailed, or QueryRefused where it does not answer."""
    tags = {keyword: _tag(keyword) for keyword in keywords}
    parameters = {"StudyInstanceUID": study_uid, "includefield": ",".join(tags.values())}
    found = asyncio.run(_asked(peer, [STUDIES], parameters))
    return [{keyword: text(item, tag) for keyword, tag in tags.items()} for item in found]


def instances_held(peer: Destination, study_uid: str, series_uids: Iterable[str]) -> set[str]:
    """SOP Instance UIDs that the server holds of some series of a study. Raises as `studies` does."""
    paths = [f"/studies/{study_uid}/series/{one}/instances" for one in series_uids]
    found = asyncio.run(_asked(peer, paths, {}))
    return {text(item, _tag("SOPInstanceUID")) for item in found} - {""}


def asked_for_one_study(peer: Destination) -> None:
    """See whether the server answers at all. Raises as `studies` does."""
    asyncio.run(_page(peer, STUDIES, {"limit": "1"}))


async def _page(peer: Destination, path: str, parameters: Mapping[str, str]) -> list[Item]:
    async with Exchange(peer) as exchange:
        return await _matches(exchange, peer, path, parameters)


async def _asked(peer: Destination, paths: Iterable[str], parameters: Mapping[str, str]) -> list[Item]:
    found: list[Item] = []
    async with Exchange(peer) as exchange:
        for path in paths:
            for page in range(MOST_PAGES):
                part = {**parameters, "limit": str(PAGE), "offset": str(page * PAGE)}
                matches = await _matches(exchange, peer, path, part)
                found += matches
                if len(matches) < PAGE:
                    break
    return found


async def _matches(exchange: Exchange, peer: Destination, path: str, parameters: Mapping[str, str]) -> list[Item]:
    """Matches of one query; a series that the server does not know has none."""
    reply = await exchange.get(path, parameters, longest=LONGEST_ANSWER)
    if reply.status == 204 or (reply.status == 404 and path != STUDIES):
        return []
    row = of_http(reply.status)
    if row.answer.outcome is SendOutcome.LATER:
        raise NotReached(peer, row.answer, reply.pause_s)
    if not 200 <= reply.status <= 299:
        raise QueryRefused(f"{peer.name} does not answer QIDO-RS (HTTP {reply.status}): enable it there for our user")
    try:
        return read_items(reply)
    except NotJsonModel as error:
        raise QueryRefused(f"{peer.name} does not answer QIDO-RS in DICOM's JSON model: check its url here") from error


def _tag(keyword: str) -> str:
    return f"{tag_for_keyword(keyword) or 0:08X}"
