"""Which forms of a run each destination gets, from its table in peers.toml."""

from collections.abc import Collection, Iterable, Mapping

from node.core.forms import Forms, rejection_kind
from node.core.identity import InstanceUID
from node.results.profile import Coordinates, Predecessor, Profile, ReportClass, SegmentationType
from node.results.uids import RenditionKind
from node.settings import Peer
from node.state.rows import ResultRow

NOTICES = (RenditionKind.NOTICE.value, RenditionKind.NOTICE_PAGE.value)


def profile_of(peer: Peer | None, *, takes_label_maps: bool = False) -> Profile:
    """The profile a peer asks for; the usual one for a peer that is configured no more."""
    if peer is None:
        return Profile()
    renditions = frozenset(RenditionKind(one) for one in peer.renditions)
    form = peer.segmentation
    if form == "auto":
        form = "labelmap" if takes_label_maps else "binary"
    return Profile(
        report=ReportClass(peer.sr),
        segmentation=SegmentationType(form),
        series_base=peer.series_base,
        coordinates=Coordinates(peer.coordinates),
        outlines=RenditionKind.GSPS in renditions and RenditionKind.SEG not in renditions,
        renditions=renditions,
        label=peer.label,
        largest_seg_bytes=None if peer.largest_seg_mb is None else round(peer.largest_seg_mb * 1e6),
        is_seg_deflated="deflated" in peer.syntaxes,
    )


def profiles_of(destinations: Iterable[str], peers: Mapping[str, Peer], takers: Collection[str]) -> list[Profile]:
    """The profiles that a run must be encoded in so that every destination gets what it asks for, each once.

    takers: destinations that are known to take label maps.
    """
    return list(dict.fromkeys(profile_of(peers.get(name), takes_label_maps=name in takers) for name in destinations))


def forms_for(peer: Peer) -> Forms:
    """The kinds of results that a peer gets, with those that it gets instead where it may refuse the first."""
    notices = frozenset(NOTICES if peer.failures else ())
    if peer.rejections:
        notices |= {rejection_kind(peer.name)}
    first, other = (
        frozenset(profile_of(peer, takes_label_maps=takes).kind(one) for one in peer.renditions) | notices
        for takes in (True, False)
    )
    return Forms(first, other if other != first else frozenset())


def predecessors_in(profile: Profile, replaced: Iterable[ResultRow]) -> list[Predecessor]:
    """The documents among the objects of an earlier run that were made in this profile."""
    documents = {profile.kind(one): one for one in ("sr", "text")}
    return [
        Predecessor(documents[row.kind], row.series_uid, row.sop_class_uid, InstanceUID(row.sop_uid))
        for row in replaced
        if row.kind in documents
    ]
