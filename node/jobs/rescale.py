"""From stored values to the modality's quantity: each frame's rescale or lookup table (PS3.3 C.11.1)."""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from node.errors import ReasonCode, Refused
from node.state.attributes import Attributes
from node.state.part10 import tags_of

TAGS = tags_of(
    "RescaleSlope RescaleIntercept RescaleType ModalityLUTSequence PixelRepresentation "
    "SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence"
)


@dataclass(frozen=True)
class LookupTable:
    """values[i] stands for the stored value first + i; beyond its ends, the end's value. bits: of one value."""

    first: int
    values: npt.NDArray[Any]
    bits: int

    @property
    def highest(self) -> int:
        """The end of the range in which its values lie: that of their bits, unless one is higher than these can be."""
        most = int(np.iinfo(self.values.dtype).max)
        return min(most, max((1 << min(self.bits, 16)) - 1, int(self.values.max())))


@dataclass(frozen=True)
class Rescale:
    """quantity = slope x (table's value, else the stored value) + intercept.

    unit: what it is in, as far as that is said ("HU", "MGML", "Z_EFF" ...). is_stated: whether the header gives the
    rule; it may leave it out where stored values are no quantity.
    """

    slope: float = 1.0
    intercept: float = 0.0
    table: LookupTable | None = None
    unit: str | None = None
    is_stated: bool = True

    @property
    def is_whole(self) -> bool:
        """Whether whole numbers stay whole."""
        return self.slope.is_integer() and self.intercept.is_integer()

    def looked_up(self, stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The table's values for the stored ones; these themselves where there is no table."""
        if self.table is None:
            return stored
        index = np.clip(stored.astype(np.int64) - self.table.first, 0, len(self.table.values) - 1)
        found: npt.NDArray[Any] = self.table.values[index]
        return found


class Rules:
    """The rescale of every frame of an instance: its own functional group's, else the shared one's, else the image's.

    MR values are rescaled too where the header says so: some scanners scale every slice differently.
    """

    def __init__(self, header: Attributes) -> None:
        shared = header.item("SharedFunctionalGroupsSequence")
        self._common = _transformation(shared) if shared is not None else None
        self._header = header
        self._groups = header.items("PerFrameFunctionalGroupsSequence")

    def of(self, number: int) -> Rescale:
        """The rule of a frame, by its number from 1. Raises Refused where it cannot be applied."""
        own = _transformation(self._groups[number - 1]) if number <= len(self._groups) else None
        return _of(own or self._common or self._header)


def _transformation(groups: Attributes) -> Attributes | None:
    return groups.item("PixelValueTransformationSequence")


def _of(attributes: Attributes) -> Rescale:
    table = attributes.item("ModalityLUTSequence")
    if table is not None:
        found = _table(table, signed=attributes.integer("PixelRepresentation") == 1)
        return Rescale(table=found, unit=table.code("ModalityLUTType"))
    slope, intercept = _stated(attributes, "RescaleSlope", 1.0), _stated(attributes, "RescaleIntercept", 0.0)
    if slope == 0.0:
        raise Refused(ReasonCode.UNDECODABLE, "RescaleSlope is 0: every pixel would have one value")
    is_stated = attributes.has_value("RescaleSlope") and attributes.has_value("RescaleIntercept")
    return Rescale(slope, intercept, unit=attributes.code("RescaleType"), is_stated=is_stated)


def _stated(attributes: Attributes, keyword: str, absent: float) -> float:
    if not attributes.has_value(keyword):
        return absent
    found = attributes.number(keyword)
    if found is None:
        raise Refused(ReasonCode.UNDECODABLE, f"{keyword} is not a number, so the pixels' values are not known")
    return found


def _table(item: Attributes, *, signed: bool) -> LookupTable:
    """Number of entries (0 = 65536), first stored value, bits (PS3.3 C.11.1.1); entries of 16 bits, or of 8
    in words of two."""
    descriptor, data = item.raw("LUTDescriptor"), item.raw("LUTData")
    order = "<" if item.is_little_endian("LUTDescriptor") else ">"
    if len(descriptor) == 6:
        entries, first, bits = struct.unpack(f"{order}H{'h' if signed else 'H'}H", descriptor)
        entries = entries or 1 << 16
        if len(data) >= 2 * entries:
            return LookupTable(first, np.frombuffer(data, f"{order}u2", entries), bits)
        if bits <= 8 and entries <= len(data) and len(data) % 2 == 0:
            words = np.frombuffer(data, f"{order}u2").astype("<u2")
            return LookupTable(first, words.view("u1")[:entries], bits)
    raise Refused(ReasonCode.UNDECODABLE, "the modality lookup table is not as long as it says")
