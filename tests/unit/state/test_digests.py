"""Digests of a data set and of its pixels in one reading, beside each computed on its own."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from pydicom import uid

from node.errors import Unreadable
from node.state.digests import CHUNK_BYTES, data_set_sha256, digests_of, pixels_sha256
from node.state.header import TAGS
from node.state.part10 import opened
from tests.makers.images import ct_dataset, write
from tests.makers.part10 import data_set_of

STORED = np.random.default_rng(1).integers(0, 2000, (300, CHUNK_BYTES // 100), np.int16)
"""Of several chunks, and of a size that ends within one."""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian]
)
@pytest.mark.parametrize("after", [b"", bytes(10)])
def test_both_are_what_each_is_on_its_own(tmp_path: Path, syntax: str, after: bytes) -> None:
    """The pixels' end where the element ends, whatever follows it."""
    ds = ct_dataset(stored=STORED)
    if after:
        ds.DataSetTrailingPadding = after
    path = write(tmp_path / "a.dcm", ds, syntax)
    with opened(path, TAGS) as found:
        digests = digests_of(found)

    assert digests.pixels == pixels_sha256(path) == sha256(STORED.tobytes())
    assert digests.data_set == data_set_sha256(path) == sha256(data_set_of(path))


def test_without_pixels_there_is_no_digest_of_them(tmp_path: Path) -> None:
    ds = ct_dataset()
    del ds.PixelData
    path = write(tmp_path / "a.dcm", ds)
    with opened(path, TAGS) as found:
        assert digests_of(found).pixels is None


def test_encapsulated_pixels_reach_to_the_end(tmp_path: Path) -> None:
    ds = ct_dataset(stored=STORED)
    ds.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    ds.compress(uid.RLELossless, generate_instance_uid=False)
    path = write(tmp_path / "a.dcm", ds, uid.RLELossless)
    with opened(path, TAGS) as found:
        digests = digests_of(found)
        assert found.pixels is not None
        value = path.read_bytes()[found.pixels.offset :]

    assert digests.pixels == sha256(value)
    assert digests.data_set == sha256(data_set_of(path))


def test_what_cannot_be_parsed_has_a_digest_of_its_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", ct_dataset())
    content = path.read_bytes()
    path.write_bytes(content[:-5])

    with pytest.raises(Unreadable):
        pixels_sha256(path)
    assert data_set_sha256(path) == sha256(data_set_of(path))
