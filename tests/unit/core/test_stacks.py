"""Splitting series into stacks."""

from dataclasses import replace
from math import cos, radians, sin

import pytest

from node.core.stacks import split_into_stacks
from node.core.study import FrameFacts, InstanceKind, Orientation
from tests.makers.images import AXIAL, SAGITTAL, even, slice_facts, volume_facts


def test_slices_are_ordered_along_their_normal_whatever_their_numbers():
    (stack,) = split_into_stacks(volume_facts([5.0, 2.5, 0.0]))
    assert [frame.instance_number for frame in stack.frames] == [3, 2, 1]


def test_sagittal_slices_run_against_x_since_that_is_their_normal():
    slices = [slice_facts(n, (float(n), 0.0, 0.0), orientation=SAGITTAL) for n in (1, 2, 3)]
    (stack,) = split_into_stacks(slices)
    assert [frame.instance_number for frame in stack.frames] == [3, 2, 1]
    assert stack.orientation is Orientation.SAGITTAL


def test_spacing_is_the_median_and_coverage_reaches_from_edge_to_edge():
    (stack,) = split_into_stacks(volume_facts([0.0, 2.5, 5.0, 12.5]))
    assert (stack.spacing_mm, stack.coverage_mm) == (2.5, 15.0)


def test_a_single_slice_covers_its_thickness_and_has_no_spacing():
    (stack,) = split_into_stacks(volume_facts([7.0], slice_thickness_mm=5.0))
    assert (stack.spacing_mm, stack.coverage_mm) == (None, 5.0)


@pytest.mark.parametrize(
    ("parts", "missing"),
    [
        (((1, 2), (2, 2)), ()),
        (((1, 3), (2, 3)), (3,)),
        (((2, None), (3, None)), (1,)),
        (((1, None), (2, None)), ()),
        (((4, 5),), (1, 2, 3, 5)),
    ],
)
def test_parts_of_a_concatenation_that_did_not_come_are_known(parts, missing):
    """Without its last part a volume is as regular as with it."""
    heights = even(len(parts))
    slices = [
        slice_facts(number, (-180.0, -180.0, heights[k]), concatenation=("1.2.8", number, count))
        for k, (number, count) in enumerate(parts)
    ]

    (stack,) = split_into_stacks(slices)

    assert stack.missing_parts == missing


def test_what_is_no_image_is_in_no_stack():
    report = replace(slice_facts(9, None), kind=InstanceKind.OTHER)
    assert split_into_stacks([report]) == ()


@pytest.mark.parametrize(
    "other",
    [
        {"orientation": SAGITTAL},
        {"rows": 256},
        {"pixel_spacing_mm": (0.8, 0.8)},
        {"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")},
        {"image_type": ("ORIGINAL", "PRIMARY", "AXIAL", "WATER")},
        {"echo_time_ms": 80.0},
        {"b_value": 800.0},
        {"temporal_position": 2},
        {"stack": "2"},
        {"dimension": (2,)},
        {"modality": "MR"},
        {"orientation": None},
    ],
)
def test_slices_that_differ_in_kind_are_different_stacks(other):
    slices = [*volume_facts(even(3)), *(slice_facts(10 + n, (-180.0, -180.0, 2.5 * n), **other) for n in range(3))]
    assert [stack.slice_count for stack in split_into_stacks(slices)] == [3, 3]


def test_rounding_of_cosines_and_spacing_does_not_tear_a_volume():
    slices = volume_facts(even(4))
    jittered = [
        replace(one, frames=(replace(one.frames[0], orientation=(1.0, 4e-4 * n, 0.0, -4e-4 * n, 1.0, 0.0)),))
        for n, one in enumerate(slices)
    ]
    assert len(split_into_stacks(jittered)) == 1


def test_acquisitions_that_continue_each_other_are_one_volume():
    slices = [slice_facts(n, (0.0, 0.0, 2.5 * n), acquisition=n // 4) for n in range(1, 13)]
    assert len(split_into_stacks(slices)) == 1


def test_acquisitions_that_interleave_are_one_volume():
    slices = [slice_facts(n, (0.0, 0.0, 2.5 * n), acquisition=n % 2) for n in range(1, 13)]
    assert len(split_into_stacks(slices)) == 1


def test_acquisitions_of_the_same_places_are_different_volumes():
    slices = [slice_facts(n, (0.0, 0.0, 2.5 * (n % 6)), acquisition=n // 6) for n in range(12)]
    assert [stack.slice_count for stack in split_into_stacks(slices)] == [6, 6]


def test_another_frame_of_reference_on_every_slice_does_not_tear_a_volume():
    slices = [replace(one, frame_of_reference_uid=f"1.2.{n}") for n, one in enumerate(volume_facts(even(5)))]
    assert len(split_into_stacks(slices)) == 1


def test_radiographs_of_one_series_are_images_of_their_own():
    views = [slice_facts(n, None, orientation=None, modality="DX", view=view) for n, view in ((1, "PA"), (2, "LL"))]
    assert [stack.view for stack in split_into_stacks(views)] == ["PA", "LL"]


def test_ct_slices_without_position_stay_together_so_that_their_fault_can_be_told():
    slices = [slice_facts(n, None) for n in (1, 2, 3)]
    (stack,) = split_into_stacks(slices)
    assert (stack.slice_count, stack.orientation, stack.spacing_mm) == (3, None, None)


def test_one_multi_frame_image_holds_several_stacks():
    frames = tuple(
        FrameFacts((0.0, 0.0, 2.0 * k), AXIAL, (1.0, 1.0), 2.0, stack=name) for name in ("1", "2") for k in (1, 0)
    )
    first, second = split_into_stacks([slice_facts(1, None, frames=frames)])
    assert [frame.frame_number for frame in first.frames] == [2, 1]
    assert [frame.frame_number for frame in second.frames] == [4, 3]


def test_stacks_are_numbered_by_their_first_instance():
    scout = slice_facts(1, (0.0, 0.0, 0.0), orientation=SAGITTAL, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))
    stacks = split_into_stacks([*(slice_facts(n + 2, (0.0, 0.0, 2.5 * n)) for n in range(3)), scout])
    assert [(stack.number, stack.slice_count) for stack in stacks] == [(1, 1), (2, 3)]


def test_a_fact_that_slices_state_differently_is_no_fact_of_the_stack():
    first, second = volume_facts([0.0, 2.5])
    (stack,) = split_into_stacks([replace(first, kernel="B30f"), replace(second, kernel="B60f")])
    assert stack.kernel is None


@pytest.mark.parametrize(
    ("degrees", "plane"), [(0, Orientation.AXIAL), (19, Orientation.AXIAL), (21, Orientation.OBLIQUE)]
)
def test_a_plane_is_oblique_beyond_20_degrees(degrees, plane):
    turned = (1.0, 0.0, 0.0, 0.0, cos(radians(degrees)), -sin(radians(degrees)))
    (stack,) = split_into_stacks([slice_facts(1, (0.0, 0.0, 0.0), orientation=turned)])
    assert stack.orientation is plane
