"""What holds for every file, however broken: it is read, or refused with a reason, and nothing else happens."""

import contextlib
import logging
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import uid

from node.core.stacks import split_into_stacks
from node.errors import Refused, Unreadable
from node.jobs.reading import read_volume
from node.state.header import read_facts
from tests.makers.images import ct_dataset, enhanced_mr_dataset, write

NATIVE = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
)
COMPRESSED = (uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless)
LIES = (
    b"\xff\xff\xff\xff",  # an undefined length, where it lands on one
    b"\x7f\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"SQ\x00\x00",
    b"UN\x00\x00",
    b"ZZ",
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff",  # an item
    b"\xfe\xff\xdd\xe0\x00\x00\x00\x00",  # a sequence's end
    b"\x08\x00\x05\x00FD",  # a character set of numbers
)


def _originals() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "original.dcm"
        made = [
            write(path, make(), syntax).read_bytes() for syntax in NATIVE for make in (ct_dataset, enhanced_mr_dataset)
        ]
        for syntax in COMPRESSED:
            stored = np.arange(64 * 48, dtype=np.int16).reshape(64, 48)
            ds = ct_dataset(stored=stored)
            ds.compress(syntax, stored, generate_instance_uid=False)
            made.append(write(path, ds, syntax).read_bytes())
        nested = enhanced_mr_dataset()
        nested["PerFrameFunctionalGroupsSequence"].is_undefined_length = True
        made.append(write(path, nested).read_bytes())
    return made


ORIGINALS = _originals()

_EDITS = st.lists(
    st.tuples(st.integers(132, 3000), st.sampled_from(["set", "cut", "double", "lie"]), st.integers(0, 255)),
    min_size=1,
    max_size=6,
)


def _edited(original: bytes, edits: list[tuple[int, str, int]]) -> bytes:
    data = bytearray(original)
    for place, kind, value in edits:
        at = 132 + (place - 132) % (len(data) - 132)
        if kind == "set":
            data[at] = value
        elif kind == "cut":
            del data[at : at + value % 32]
        elif kind == "double":
            data[at:at] = data[at : at + value % 64]
        else:
            lie = LIES[value % len(LIES)]
            data[at : at + len(lie)] = lie
        if len(data) < 200:
            break
    return bytes(data)


@pytest.fixture(scope="module", autouse=True)
def _quiet():
    """pydicom logs each fault it meets; here there are thousands."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@settings(max_examples=400, deadline=2000)
@given(st.sampled_from(ORIGINALS), _EDITS)
def test_a_broken_file_is_read_or_refused(original, edits):
    """The header raises Unreadable alone, reading Refused alone, whatever bytes were changed."""
    with tempfile.NamedTemporaryFile(suffix=".dcm") as file:
        path = Path(file.name)
        path.write_bytes(_edited(original, edits))
        try:
            facts = read_facts(path)
        except Unreadable:
            return
        for stack in split_into_stacks([facts]):
            with contextlib.suppress(Refused):
                volume, _ = read_volume(stack, {facts.sop_instance_uid: path}, facts.study_uid)
                assert volume.array.shape == (stack.slice_count, stack.rows, stack.columns)
