"""Typed values of a raw DICOM data set: what is malformed is absent, and nothing raises on a single value."""

import math
import re
import struct
from functools import cache
from io import BytesIO

from pydicom.charset import decode_bytes, python_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_sequence
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag

from node.core.identity import is_uid
from node.errors import Unreadable

UNDEFINED_LENGTH = 0xFFFFFFFF

VALUE_BYTES = 4096
"""The longest value that is interpreted: a thousand characters of text or six decimal strings are far below it."""

ITEMS = 250_000
"""Items a sequence of defined length may hold, all levels together: 20,000 frames with a dozen groups each."""

NUMBER_FORMATS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d"}
"""struct format of each binary number VR (PS3.5 table 6.2-1)."""

DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
CONTROLS = dict.fromkeys(range(32))
ASCII = "ascii"
ITEM_TAG = {True: b"\xfe\xff\x00\xe0", False: b"\xff\xfe\xe0\x00"}


class Attributes:
    """The attributes of a data set or of a sequence's item, named by keyword; `parent` gives the character set."""

    def __init__(self, dataset: Dataset, parent: "Attributes | None" = None) -> None:
        self._dataset = dataset
        terms = self.texts("SpecificCharacterSet")
        self._codecs: list[str] = (
            [python_encoding.get(term, "iso8859") for term in terms]
            if terms
            else parent._codecs  # noqa: SLF001 - of its own class
            if parent
            else ["iso8859"]
        )

    def has_value(self, keyword: str) -> bool:
        """Whether the attribute is there and more than blanks, well formed or not."""
        return bool(self.raw(keyword).strip(b" \0"))

    @property
    def is_cut_short(self) -> bool:
        """Whether a value has fewer bytes than its element declares: the file ended in it."""
        raw = [one for one in self._dataset.values() if isinstance(one, RawDataElement)]
        return any(len(one.value or b"") < one.length for one in raw if one.length != UNDEFINED_LENGTH)

    def is_oversize(self, keyword: str) -> bool:
        """Whether the attribute is there but longer than VALUE_BYTES, so that its value counts as absent."""
        element = self._raw(keyword)
        return element is not None and element.length > VALUE_BYTES

    def text(self, keyword: str) -> str | None:
        """The whole value as one text, decoded by the data set's character set; None where empty."""
        value = self._bytes(keyword)
        if value is None:
            return None
        return decode_bytes(value, self._codecs, {0x0A, 0x0C, 0x0D}).translate(CONTROLS).strip() or None

    def texts(self, keyword: str) -> tuple[str, ...]:
        """The values of a code string, upper case as DICOM has them; undecodable characters are replaced, those that
        control something left out."""
        value = self._bytes(keyword)
        if value is None:
            return ()
        return tuple(one.strip().upper() for one in value.decode(ASCII, "replace").translate(CONTROLS).split("\\"))

    def code(self, keyword: str) -> str | None:
        """The first value of a code string; None where empty."""
        return next((one for one in self.texts(keyword) if one), None)

    def uid(self, keyword: str) -> str | None:
        """A UID; None where malformed."""
        value = (self._bytes(keyword) or b"").decode(ASCII, "replace").strip(" \0")
        return value if is_uid(value) else None

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """All values as finite numbers; empty where any is malformed."""
        element, value = self._raw(keyword), self._bytes(keyword)
        if element is None or value is None:
            return ()
        vr = element.VR if element.VR and element.VR != "UN" else dictionary_VR(element.tag)
        if vr in NUMBER_FORMATS:
            return _binary(value, NUMBER_FORMATS[vr], little=element.VR == "UN" or element.is_little_endian)
        texts = [one.strip(" \0") for one in value.decode(ASCII, "replace").split("\\")]
        if not all(DECIMAL.fullmatch(one) for one in texts):
            return ()
        found = tuple(float(one) for one in texts)
        return found if all(math.isfinite(one) for one in found) else ()

    def number(self, keyword: str) -> float | None:
        """The first value as a finite number; None where malformed or absent."""
        return next(iter(self.numbers(keyword)), None)

    def integer(self, keyword: str) -> int | None:
        """The first value as an integer within 32 bits signed (IS, PS3.5 table 6.2-1); None where malformed."""
        found = self.number(keyword)
        if found is None or found != int(found) or not -(2**31) <= found < 2**31:
            return None
        return int(found)

    def items(self, keyword: str) -> list["Attributes"]:
        """The items of a sequence; none where absent. Raises Unreadable where it has too many items."""
        element = self._dataset.get_item(_tag(keyword), keep_deferred=True)
        if isinstance(element, DataElement):
            found = element.value if isinstance(element.value, Sequence) else []
        elif element is None or not element.value:
            found = []
        else:
            found = _parsed_items(element)
        return [Attributes(one, self) for one in found]

    def item(self, keyword: str) -> "Attributes | None":
        """The first item of a sequence."""
        return next(iter(self.items(keyword)), None)

    def tag_value(self, keyword: str) -> tuple[int, int] | None:
        """An attribute tag (AT) as (group, element)."""
        element, value = self._raw(keyword), self._bytes(keyword)
        if element is None or value is None or len(value) != 4:
            return None
        group, number = struct.unpack("<HH" if element.is_little_endian else ">HH", value)
        return (group, number)

    def raw(self, keyword: str) -> bytes:
        """The value's bytes as they stand, however long; empty where absent."""
        element = self._raw(keyword)
        return element.value or b"" if element else b""

    def is_little_endian(self, keyword: str) -> bool:
        """The byte order of `raw`; little where the attribute is absent."""
        element = self._raw(keyword)
        return element is None or element.is_little_endian

    def _raw(self, keyword: str) -> RawDataElement | None:
        element = self._dataset.get_item(_tag(keyword), keep_deferred=True)
        return element if isinstance(element, RawDataElement) else None

    def _bytes(self, keyword: str) -> bytes | None:
        element = self._raw(keyword)
        if element is None or not element.value or element.length > VALUE_BYTES:
            return None
        return element.value


@cache
def _tag(keyword: str) -> BaseTag:
    """The tag of a keyword of the dictionary; kept, since every frame of an image asks for the same few."""
    return Tag(keyword)


def _binary(value: bytes, letter: str, *, little: bool) -> tuple[float, ...]:
    count, rest = divmod(len(value), struct.calcsize(f"<{letter}"))
    if rest:
        return ()
    found = struct.unpack(f"{'<' if little else '>'}{count}{letter}", value)
    return found if all(math.isfinite(one) for one in found) else ()


def _parsed_items(element: RawDataElement) -> Sequence:
    """Items of a sequence of defined length; one written as UN is implicit VR little endian (PS3.5 6.2.2)."""
    value = element.value or b""
    implicit = element.VR == "UN" or element.is_implicit_VR
    little = element.VR == "UN" or element.is_little_endian
    if value.count(ITEM_TAG[little]) > ITEMS:
        raise Unreadable(f"a sequence holds more than {ITEMS} items", int(element.tag))
    return read_sequence(BytesIO(value), implicit, little, len(value), "iso8859")
