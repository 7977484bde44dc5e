"""Runs a card's finishing steps and brings their labels to the source grid, by the scores wherever there are any."""

import numpy as np

from ai.contract import ModelCard
from ai.errors import CardInvalid, ModelFailed
from ai.findings import Segment
from ai.masks import mask_from
from ai.postprocessing.cleaning import merge
from ai.postprocessing.decided import Decided, Labels, highest, labelled
from ai.preparation.images import Array
from ai.preparation.pipeline import Prepared
from ai.preparation.restoring import restore_argmax, restore_mask
from ai.step import Chain, Family


def finish(prepared: Prepared, made: Array, chain: Chain) -> Labels:
    """Labels on the source grid of the reference: uint8 (layers, slices, rows, columns).

    made: what the model made on the prepared grid: scores (channels, slices, rows, columns), which may be overwritten,
    or a label map (slices, rows, columns). Cleaning happens on the prepared grid; scores are changed so that they say
    what was cleaned, then interpolated linearly, then decided. Raises ModelFailed where chain and model do not fit.
    """
    decided = _decide(prepared, made, chain)
    for chosen in chain:
        if chosen.step.family is Family.CLEANING:
            decided = chosen.step.call(decided, **chosen.values)
    scores = _agreeing(decided)
    if decided.at_least is None:
        labels = restore_argmax(prepared, scores)
        return (decided.merged[labels] if decided.renamed else labels)[None]
    layers = [
        restore_mask(prepared, scores[layer], decided.at_least).astype(np.uint8) * np.uint8(layer + 1)
        for layer in range(len(scores))
    ]
    return np.stack([one for layer, one in enumerate(layers, 1) if decided.merged[layer] == layer])


def check_order(chain: Chain) -> None:
    """Raises CardInvalid where a step decides after another: what was decided is only cleaned."""
    for chosen in chain[1:]:
        if chosen.step.family is Family.DECISION:
            raise CardInvalid(f"{chosen.where}: it decides from scores, so it must be the first step")


def check_channels(card: ModelCard, made: Array) -> None:
    """Raises ModelFailed where a segment has no channel, so that it would never be found, or a channel no segment."""
    if made.ndim != 4 or not _decides(card.finish):
        return  # a label map has no channels
    background = int(card.finish[0].step.call is highest)
    if len(made) == background:
        return  # it cannot be decided, and finish says so
    labels = set(range(1, len(made) + 1 - background))
    wanted = set(range(1, len(card.segments) + 1))
    if not labels - _merged(card.finish) <= wanted <= labels:
        meant = f"{'the background and ' if background else ''}labels 1 to {len(labels)}"
        raise ModelFailed(
            f"{card.name}: the network gave {len(made)} channels, {meant}, and the card has {len(wanted)} segments: it "
            "needs one [[segment]] for each label, in their order"
        )


def _merged(chain: Chain) -> set[int]:
    """The labels that have become others at its end."""
    asked = (one.values["labels"] for one in chain if one.step.call is merge)
    return {int(label) for labels in asked if isinstance(labels, tuple) for label in labels}


def segments_of(card: ModelCard, layers: Labels) -> tuple[Segment, ...]:
    """The card's segments in their order: label n of the layers is the n-th. Raises ModelFailed where one is left."""
    last = int(layers.max(initial=0))
    if last > len(card.segments):
        raise ModelFailed(f"{card.name}: found label {last}, but its card declares {len(card.segments)} segments")
    _, slices, rows, columns = layers.shape
    segments = []
    for label, one in enumerate(card.segments, 1):
        planes = ((layers[:, index] == label).any(axis=0) for index in range(slices))
        segments.append(Segment(one.key, mask_from(planes, (slices, rows, columns)), card.reference))
    return tuple(segments)


def _decide(prepared: Prepared, made: Array, chain: Chain) -> Decided:
    spacing, decides = prepared.reference_volume.spacing_mm, _decides(chain)
    if made.ndim == 3 and not decides:
        return labelled(made, spacing)
    if made.ndim == 4 and decides:
        found: Decided = chain[0].step.call(made, spacing_mm=spacing, **chain[0].values)
        return found
    if made.ndim == 4:
        raise ModelFailed("the model gave scores, and the card's first [[finish]] step does not decide: add `argmax`")
    raise ModelFailed(f"the model gave an array of shape {made.shape}: neither scores to decide from nor a label map")


def _decides(chain: Chain) -> bool:
    return bool(chain) and chain[0].step.family is Family.DECISION


def _agreeing(decided: Decided) -> Array:
    """The scores, changed where cleaning decided otherwise: there the label has the highest of the voxel's scores."""
    scores = decided.scores
    if decided.labels is decided.scored:
        return scores
    if decided.at_least is not None:
        for layer, labels in enumerate(decided.labels):
            found, scored = labels > 0, scores[layer] >= decided.at_least  # merging has changed scores
            scores[layer][found & ~scored] = 1
            scores[layer][scored & ~found] = 0
        return scores
    wanted = decided.labels[0]
    changed = np.flatnonzero(decided.merged[decided.scored[0]] != wanted)
    if changed.size:
        flat = scores.reshape(len(scores), -1)
        those = flat[:, changed]
        lowest, highest = those.min(axis=0), those.max(axis=0)
        those[:] = lowest
        those[wanted.reshape(-1)[changed], np.arange(changed.size)] = highest
        flat[:, changed] = those
    return scores
