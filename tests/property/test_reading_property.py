"""Whatever the layout of pixels and the order of frames, a volume holds what was measured at each place."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from tests.makers.images import ct_dataset, write
from tests.makers.jpeg import jpeg_lossless
from tests.unit.jobs.test_reading import read

NATIVE = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian)
COMPRESSED = {
    uid.RLELossless: "pydicom",
    uid.JPEGLSLossless: "pyjpegls",
    uid.JPEG2000Lossless: "pylibjpeg",
}
ABOVE = ("nothing", "the sign", "anything")
"""What lies in the bits that are allocated and not stored."""


@settings(max_examples=40, deadline=None)
@given(
    syntax=st.sampled_from([*NATIVE, *COMPRESSED, uid.JPEGLosslessSV1]),
    layout=st.sampled_from([(8, 5), (8, 8), (16, 9), (16, 12), (16, 16)]),
    signed=st.booleans(),
    above=st.sampled_from(ABOVE),
    seed=st.integers(0, 2**32),
)
def test_values_are_those_of_the_stored_bits(syntax, layout, signed, above, seed):
    """In every lossless syntax, whether or not the bits above them are of use to somebody else."""
    allocated, bits = layout
    random, unused = np.random.default_rng(seed), (1 << allocated) - (1 << bits)
    low = -(1 << (bits - 1)) if signed else 0
    values = random.integers(low, low + (1 << bits), (33, 40))
    others = {"nothing": 0, "the sign": unused * (values < 0), "anything": unused & random.integers(0, 1 << 16)}
    words = ((values & ((1 << bits) - 1)) | others[above]).astype(f"u{allocated // 8}")
    ds = ct_dataset(stored=words, RescaleIntercept=0)
    if syntax in COMPRESSED:
        ds.compress(syntax, words, generate_instance_uid=False, encoding_plugin=COMPRESSED[syntax])
    elif syntax == uid.JPEGLosslessSV1:
        ds.PixelData = encapsulate([jpeg_lossless(words, allocated)])
        ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits - 1, int(signed)

    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "1.dcm", ds, syntax)
        assert np.array_equal(read(Path(folder))[0].array[0], values)


@settings(max_examples=25, deadline=None)
@given(together=st.booleans(), turned=st.booleans(), order=st.permutations(range(4)), seed=st.integers(0, 2**32))
def test_every_value_is_where_it_was_measured(together, turned, order, seed):
    """In slices of any orientation, each with a rescale of its own, as files or as frames in any order."""
    random = np.random.default_rng(seed)
    row, column = np.round(np.linalg.qr(random.normal(size=(3, 3)))[0][:2], 6)
    step = np.cross(row, column) * random.uniform(0.5, 5) * (-1 if turned else 1)
    start, spacing, slope = random.uniform(-200, 200, 3), np.round(random.uniform(0.3, 3, 2), 4), random.normal(size=3)
    i, j = np.mgrid[:5, :7]
    in_plane = i[..., None] * spacing[0] * column + j[..., None] * spacing[1] * row
    slices = []
    for number, k in enumerate(order, 1):
        place, scale = np.round(start + k * step, 4), random.choice([-0.5, 0.25, 1.0])
        measured = (place + in_plane) @ slope
        stored = np.rint((measured - number) / scale).astype(np.int16)
        slices.append((number, stored, place, {"RescaleSlope": scale, "RescaleIntercept": number}))

    with tempfile.TemporaryDirectory() as folder:
        for one in [framed(slices, row, column, spacing)] if together else filed(slices, row, column, spacing):
            write(Path(folder) / f"{one.InstanceNumber}.dcm", one)
        volume, grid = read(Path(folder))

    at = np.stack([*np.indices(volume.array.shape), np.ones(volume.array.shape)], axis=-1)
    assert np.abs(volume.array - (at @ volume.affine_lps.T)[..., :3] @ slope).max() < 0.51
    assert np.linalg.det(volume.affine_lps) < 0  # slices, rows and columns: the reverse of a right-handed x, y and z
    named = [number if together else int(instance.rpartition(".")[2]) for instance, number in grid.frames]
    assert named in ([order.index(k) + 1 for k in range(4)], [order.index(k) + 1 for k in reversed(range(4))])


def filed(slices, row, column, spacing) -> list[Dataset]:
    found = []
    for number, stored, place, rescale in slices:
        one = ct_dataset(number, stored=stored, PixelSpacing=list(spacing), **rescale)
        one.ImagePositionPatient, one.ImageOrientationPatient = place.tolist(), [*row.tolist(), *column.tolist()]
        found.append(one)
    return found


def framed(slices, row, column, spacing) -> Dataset:
    """What stands beside the functional groups, and in the shared one of what a frame has for itself, is wrong."""
    ds = ct_dataset(stored=np.stack([stored for _, stored, _, _ in slices]), SOPClassUID=uid.EnhancedCTImageStorage)
    ds.NumberOfFrames = len(slices)
    ds.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=[*row.tolist(), *column.tolist()])],
            PixelMeasuresSequence=[item(PixelSpacing=list(spacing))],
            PixelValueTransformationSequence=[item(RescaleSlope=7, RescaleIntercept=7)],
        )
    ]
    ds.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=place.tolist())],
            PixelValueTransformationSequence=[item(**rescale)],
        )
        for _, _, place, rescale in slices
    ]
    return ds


def item(**attributes: object) -> Dataset:
    found = Dataset()
    for keyword, value in attributes.items():
        setattr(found, keyword, value)
    return found
