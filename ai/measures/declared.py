"""Measurement cards of what a model's [[measure]] asks for: names, codes and units from the table of features."""

from collections.abc import Iterable, Sequence

from ai.contract import InputCard, MeasureCard, MeasurementCard
from ai.errors import CardInvalid
from ai.measures.table import MOST_GREY_LEVELS, Family, feature


def feature_cards(measures: Iterable[MeasureCard], inputs: Sequence[InputCard]) -> tuple[MeasurementCard, ...]:
    """One card for each feature, in the order in which they are named first.

    Raises CardInvalid where a feature is unknown, values would have two units, or texture has no grey levels.
    """
    wanted = list(measures)
    for one in wanted:
        _check(one)
    modalities = sorted({modality for one in inputs for modality in one.modalities})
    keys = dict.fromkeys(key for one in wanted for key in one.features)
    return tuple(_card(key, modalities) for key in keys)


def _card(key: str, modalities: Sequence[str]) -> MeasurementCard:
    found = feature(key)
    units = {found.unit_for(modality) for modality in modalities}
    if len(units) > 1:
        raise CardInvalid(f"feature {key!r} would have another unit on each of {', '.join(modalities)}")
    return MeasurementCard(
        key=key, label=found.label, name=found.name, unit=units.pop(), digits=found.digits, derivation=None, method=None
    )


def _check(measure: MeasureCard) -> None:
    texture = [key for key in measure.features if feature(key).family is Family.TEXTURE]
    levels, width = measure.grey_levels, measure.grey_level_width
    if texture and (levels is None) == (width is None):
        raise CardInvalid(f"[[measure]]: {texture[0]} needs grey_levels or grey_level_width, one of the two")
    if levels is not None and not 2 <= levels <= MOST_GREY_LEVELS:
        raise CardInvalid(f"[[measure]]: grey_levels must be from 2 to {MOST_GREY_LEVELS}, found {levels}")
    if width is not None and width <= 0:
        raise CardInvalid(f"[[measure]]: grey_level_width must be above 0, found {width:g}")
    if measure.grey_level_start is not None and width is None:
        raise CardInvalid("[[measure]]: grey_level_start is where bins of a grey_level_width begin; give that too")
