"""Follows the elements of an encoded data set while its bytes pass, in bounded memory and without recursion."""

import struct
import zlib
from collections.abc import Collection
from typing import Final

from node.errors import TooLarge, Unreadable

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1.99"

MAX_ELEMENTS = 1_000_000
"""Elements and items looked at, a second's work; a data set that has more is taken without a look at its end."""
MAX_DEPTH = 64
"""Sequences of undefined length inside each other; real objects have fewer than ten."""
MAX_VALUE_BYTES = 256
MAX_INFLATED_BYTES = 1 << 29
INFLATED_PIECE_BYTES = 1 << 18
MAX_PADDING_BYTES = 8
"""After the end of a deflated data set: one NUL (PS3.5 section A.5), or a checksum that some libraries add."""

_HEAD_BYTES = 12
"""The longest head of an element: tag, VR, two reserved bytes, 32 bits of length (PS3.5 section 7.1.2)."""
_UNDEFINED = 0xFFFFFFFF
_FIRST: Final = 0x00080000
"""Groups before it are those of commands, of file meta information and of a DICOMDIR (PS3.5 section 7.1). Of the
second, whatever begins a data set looks to readers like more of what the node wrote before it."""
_PIXELS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float, Double Float and Pixel Data."""
_FIRST_PIXELS: Final = min(_PIXELS)
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
"""VRs whose length has 16 bits (PS3.5 table 7.1-2); every other one, also one yet unknown, has 32."""

Bytes = bytes | bytearray | memoryview


class Walk:
    """One pass over the elements of a data set. found: the beginnings of the wanted values, by tag.

    Nested elements of the same tag are not taken for wanted ones. `feed` and `finish` raise Unreadable, with the
    element at fault, where the data set is malformed or ends before its last element does.
    """

    def __init__(self, transfer_syntax_uid: str, wanted: Collection[int]) -> None:
        order = ">" if transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN else "<"
        self._implicit = transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
        self._explicit_head = struct.Struct(f"{order}HH2sH").unpack_from
        self._implicit_head = struct.Struct(f"{order}HHI").unpack_from
        self._length = struct.Struct(f"{order}I").unpack_from
        self._wanted = wanted
        self.found: dict[int, bytearray] = {}
        self.checked_to_end = self._is_past_pixels = False
        self._carry = b""  # the beginning of a head, when it came in two pieces
        self._skip = 0  # bytes of a value that are still to pass
        self._keep = 0  # how many of them are kept
        self._kept = bytearray()
        self._tag = 0
        self._left = MAX_ELEMENTS
        self._levels: list[bool] = []
        """Of open sequences and, between them, open items, whether implicit: an odd count means items come next."""

    def feed(self, chunk: Bytes) -> None:
        """Look at the next bytes; none of them is kept but wanted values."""
        place, end = 0, len(chunk)
        while place < end and self._left:
            if self._skip:
                place = self._pass_value(chunk, place, end)
            elif self._carry:
                # The rest of a head that was cut in two is at most twelve bytes away.
                joint = self._carry + bytes(chunk[place : place + _HEAD_BYTES])
                size = self._head(joint, 0, len(joint))
                if not size:
                    self._carry = joint
                    return
                place += size - len(self._carry)
                self._carry = b""
            else:
                size = self._pass_whole_ones(chunk, place, end) or self._head(chunk, place, end - place)
                if not size:
                    self._carry = bytes(chunk[place:])
                    return
                place += size

    def finish(self) -> None:
        """The data set ended."""
        if not self._left:
            return
        # A few zeros are padding: some senders add them to reach an even or round length.
        if self._skip or self._levels or (len(self._carry) >= 8 or any(self._carry)):
            raise Unreadable(f"the data set is cut off in {name(self._tag)}: send the instance again", self._tag)
        self.checked_to_end = True

    def _pass_whole_ones(self, data: Bytes, place: int, end: int) -> int:
        """Pass elements outside sequences that are here to their end, as nearly all are; gives how many bytes they are.

        It does what `_head` and `_pass_value` do, in a third of their time.
        """
        if self._levels:
            return 0
        start, left, tag = place, self._left, self._tag
        while left and end - place >= 8:
            if self._implicit:
                group, element, length = self._implicit_head(data, place)
            else:
                group, element, vr, length = self._explicit_head(data, place)
                if vr not in _SHORT_VRS:
                    break
            after, number = place + 8 + length, group << 16 | element
            if after > end or not _FIRST <= number < _FIRST_PIXELS:
                break
            if number in self._wanted:
                self._check_place(number)
                self.found[number] = bytearray(data[place + 8 : min(after, place + 8 + MAX_VALUE_BYTES)])
            place, left, tag = after, left - 1, number
        self._left, self._tag = left, tag
        return place - start

    def _pass_value(self, chunk: Bytes, place: int, end: int) -> int:
        step = min(self._skip, end - place)
        if self._keep:
            taken = min(self._keep, step)
            self._kept += chunk[place : place + taken]
            self._keep -= taken
        self._skip -= step
        return place + step

    def _head(self, data: Bytes, place: int, room: int) -> int:
        """Take the head of an element or item; gives its size, 0 where it is not all there."""
        if room < 8:
            return 0
        if self._levels:
            return self._nested_head(data, place, room)
        size, tag, length, implicit = self._element(data, place, room, self._implicit)
        if not size:
            return 0
        self._tag = tag
        if tag < _FIRST:
            raise Unreadable(f"{name(tag)} has no place in a data set: correct it in the sender", tag)
        self._is_past_pixels |= tag in _PIXELS
        if length == _UNDEFINED:
            self._enter(implicit)
            return size
        self._skip = length
        if tag in self._wanted:
            self._check_place(tag)
            self._kept = self.found[tag] = bytearray()
            self._keep = min(length, MAX_VALUE_BYTES)
        return size

    def _check_place(self, tag: int) -> None:
        """Readers differ in what they make of a wanted element that is out of its place: one may believe the first of
        two, another the last, and most stop at the pixels."""
        if tag in self.found:
            raise Unreadable(f"{name(tag)} stands there twice: correct it in the sender", tag)
        if self._is_past_pixels:
            raise Unreadable(f"{name(tag)} comes after the pixels: correct it in the sender", tag)

    def _nested_head(self, data: Bytes, place: int, room: int) -> int:
        """The same within a sequence of undefined length, or within encapsulated pixel data."""
        levels = self._levels
        group, element, length = self._implicit_head(data, place)
        delimiter = group << 16 | element
        expects_item = len(levels) % 2
        if delimiter == (_SEQUENCE_END if expects_item else _ITEM_END):
            levels.pop()
            return 8
        if expects_item:
            if delimiter != _ITEM:
                raise Unreadable(f"{name(self._tag)} has something else where an item should be", self._tag)
            self._left -= 1
            if length == _UNDEFINED:
                self._enter(levels[-1])
            else:
                self._skip = length
            return 8
        size, _, length, implicit = self._element(data, place, room, levels[-1])
        if size and length == _UNDEFINED:
            self._enter(implicit)
        elif size:
            self._skip = length
        return size

    def _enter(self, implicit: bool) -> None:
        self._levels.append(implicit)
        if len(self._levels) > 2 * MAX_DEPTH:
            raise Unreadable(f"{name(self._tag)} nests deeper than {MAX_DEPTH} sequences", self._tag)

    def _element(self, data: Bytes, place: int, room: int, implicit: bool) -> tuple[int, int, int, bool]:
        """Size of the head at `place` (0: incomplete), tag, length of the value, whether it is implicit within."""
        if implicit:
            group, element, length = self._implicit_head(data, place)
            self._left -= 1
            return 8, group << 16 | element, length, True
        group, element, vr, length = self._explicit_head(data, place)
        tag = group << 16 | element
        if vr in _SHORT_VRS:
            self._left -= 1
            return 8, tag, length, False
        if not (vr.isalpha() and vr.isupper()):
            raise Unreadable(f"{name(tag)} has no VR: the data set is not in its transfer syntax", tag)
        if room < _HEAD_BYTES:
            return 0, tag, 0, False
        self._left -= 1
        # UN of undefined length holds a sequence in Implicit VR (PS3.5 section 6.2.2, note 2).
        return _HEAD_BYTES, tag, self._length(data, place + 8)[0], vr == b"UN"


class DeflatedWalk(Walk):
    """The same over a deflated data set (PS3.5 section A.5), inflated piece by piece and dropped.

    `feed` raises TooLarge where it inflates beyond MAX_INFLATED_BYTES, Unreadable where more follows it than padding.
    """

    def __init__(self, wanted: Collection[int]) -> None:
        super().__init__(DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, wanted)
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._total = self._padding = 0

    def feed(self, chunk: Bytes) -> None:
        piece: Bytes = chunk
        if self._inflater.eof:
            self._pad(len(piece))
            return
        try:
            while len(piece) and not self._inflater.eof:
                out = self._inflater.decompress(piece, INFLATED_PIECE_BYTES)
                self._total += len(out)
                if self._total > MAX_INFLATED_BYTES:
                    raise TooLarge(f"the deflated data set holds more than {MAX_INFLATED_BYTES >> 20} MB")
                super().feed(out)
                piece = self._inflater.unconsumed_tail
            self._pad(len(self._inflater.unused_data))
        except zlib.error as error:
            raise Unreadable("the deflated data set is damaged: send the instance again") from error

    def finish(self) -> None:
        while not self._inflater.eof and self._more():
            pass
        if not self._inflater.eof:
            raise Unreadable("the deflated data set is cut off: send the instance again")
        super().finish()

    def _pad(self, size: int) -> None:
        self._padding += size
        if self._padding > MAX_PADDING_BYTES:
            raise Unreadable("the deflated data set goes on after its end: correct it in the sender")

    def _more(self) -> bool:
        """Whether the inflater still held something back that it had no room for."""
        try:
            out = self._inflater.decompress(b"", INFLATED_PIECE_BYTES)
        except zlib.error as error:
            raise Unreadable("the deflated data set is damaged: send the instance again") from error
        super().feed(out)
        return bool(out)


def walk(transfer_syntax_uid: str, wanted: Collection[int]) -> Walk:
    """A pass over a data set in that transfer syntax."""
    if transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        return DeflatedWalk(wanted)
    return Walk(transfer_syntax_uid, wanted)


def name(tag: int) -> str:
    """A tag as the standard writes it."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
