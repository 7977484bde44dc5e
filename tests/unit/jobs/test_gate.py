"""The gate: which stacks may go to a model, and the reason told for each that may not."""

from dataclasses import replace

import pytest

from ai.contract import InputCard
from ai.quality import Quality
from node.core.stacks import split_into_stacks
from node.core.study import InstanceFacts, Stack
from node.errors import ReasonCode, Refused
from node.jobs.gate import check, check_quality
from node.jobs.quality import asked_for, in_words, remarks
from node.settings import Route
from tests.makers.images import SAGITTAL, TILTED_14_DEG, even, slice_facts, volume_facts

CARD = InputCard(
    name="ct",
    modalities=("CT",),
    orientations=("axial",),
    min_slices=5,
    max_slice_spacing_mm=5.0,
    min_coverage_mm=20.0,
    min_field_mm=200.0,
    max_field_mm=500.0,
)


def stack_of(instances: list[InstanceFacts]) -> Stack:
    (stack,) = split_into_stacks(instances)
    return stack


def refusal(instances: list[InstanceFacts], card: InputCard = CARD) -> Refused:
    """Of the largest stack of a series."""
    stacks = split_into_stacks(instances)
    with pytest.raises(Refused) as caught:
        check(max(stacks, key=lambda one: one.slice_count), card, stacks)
    return caught.value


def test_an_even_volume_passes():
    check(stack_of(volume_facts(even(10))), CARD)


@pytest.mark.parametrize(
    ("instances", "reason"),
    [
        (volume_facts(even(10), samples_per_pixel=3), ReasonCode.NOT_AN_IMAGE),
        (volume_facts(even(10), samples_per_pixel=None), ReasonCode.NOT_AN_IMAGE),
        (volume_facts(even(10), has_pixels=False), ReasonCode.NO_PIXELS),
        (volume_facts(even(10), modality="MR"), ReasonCode.MODALITY),
        (volume_facts(even(10), modality=None), ReasonCode.MODALITY),
        (volume_facts(even(10), image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")), ReasonCode.LOCALIZER),
        (volume_facts(even(10), concatenation=("1.2.8", 1, 2)), ReasonCode.MISSING_SLICES),
        (volume_facts(even(4)), ReasonCode.TOO_FEW_SLICES),
        (volume_facts(even(10), position_lps_mm=None), ReasonCode.IRREGULAR_SPACING),
        (volume_facts(even(10), orientation=None), ReasonCode.IRREGULAR_SPACING),
        (volume_facts(even(10), pixel_spacing_mm=None), ReasonCode.IRREGULAR_SPACING),
        (volume_facts(even(10), gantry_tilt_deg=-12.0), ReasonCode.GANTRY_TILT),
        (volume_facts(even(10), orientation=TILTED_14_DEG), ReasonCode.GANTRY_TILT),
        (volume_facts([*even(10), 5.0]), ReasonCode.DUPLICATE_SLICES),
        (volume_facts([5.0] * 30), ReasonCode.NOT_A_VOLUME),
        (volume_facts([*even(10)] * 25), ReasonCode.NOT_A_VOLUME),
        (volume_facts([*even(10)] * 2), ReasonCode.DUPLICATE_SLICES),
        (volume_facts([5.0, 5.0]), ReasonCode.DUPLICATE_SLICES),
        (volume_facts([*even(10), 5.0, 5.0]), ReasonCode.DUPLICATE_SLICES),
        (volume_facts([0.0] * 4 + [5.0] * 3 + [10.0] * 2), ReasonCode.DUPLICATE_SLICES),
        (volume_facts([*even(10), 30.0, 32.5]), ReasonCode.MISSING_SLICES),
        (volume_facts([*even(10, 0.1), 1.1, 1.2]), ReasonCode.MISSING_SLICES),
        (volume_facts([*even(10), 23.5, 26.0]), ReasonCode.IRREGULAR_SPACING),
        (volume_facts(even(6)), ReasonCode.COVERAGE),
        (volume_facts(even(10, 6.0)), ReasonCode.OUT_OF_DECLARED_LIMITS),
        (volume_facts(even(10), pixel_spacing_mm=(0.2, 0.2)), ReasonCode.OUT_OF_DECLARED_LIMITS),
        (volume_facts(even(10), pixel_spacing_mm=(1.2, 1.2)), ReasonCode.OUT_OF_DECLARED_LIMITS),
    ],
)
def test_what_is_unsuitable_is_refused_with_its_reason(instances, reason):
    assert refusal(instances).reason is reason


def test_a_clip_says_that_it_is_one():
    frame = slice_facts(1, None, orientation=None, modality="US")
    clip = replace(frame, frames=frame.frames * 40)
    card = InputCard("us", ("US",), (), 1, None, None, None, None)

    told = refusal([clip], card)

    assert told.reason is ReasonCode.NOT_A_VOLUME
    assert str(told).startswith("one object of 40 frames that have no place")


def test_the_phases_of_a_cine_are_counted():
    told = str(refusal(volume_facts([*even(10)] * 25)))

    assert told == "25 images lie at each of 10 places: phases over time (a cine), or repetitions"


def test_phases_that_number_themselves_are_a_cine_as_well():
    phases = [volume_facts([5.0], temporal_position=number)[0] for number in range(25)]

    assert refusal([replace(one, sop_instance_uid=f"1.2.{n}") for n, one in enumerate(phases)]).reason is (
        ReasonCode.NOT_A_VOLUME
    )


def test_the_message_names_the_gap_and_where_it_is():
    told = str(refusal(volume_facts([*even(9), 25.0, 27.5])))
    assert told.startswith("gap of 5.0 mm between slices 9 and 10 where 2.5 mm is regular")


def test_coronal_slices_are_outside_the_limits_of_a_model_for_axial_ones():
    slices = [slice_facts(n, (2.5 * n, 0.0, 0.0), orientation=SAGITTAL) for n in range(1, 11)]
    assert refusal(slices).reason is ReasonCode.OUT_OF_DECLARED_LIMITS


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_no_irregular_spacing():
    check(stack_of(volume_facts([round(0.625 * k, 1) for k in range(60)])), CARD)


def test_many_small_differences_that_add_up_are_refused():
    heights = [2.5 * k + 0.002 * k * (k - 60) for k in range(60)]
    assert refusal(volume_facts(heights)).reason is ReasonCode.IRREGULAR_SPACING


def test_a_slice_shifted_sideways_is_refused():
    slices = volume_facts(even(10))
    slices[4] = slice_facts(5, (-170.0, -180.0, 10.0))
    assert refusal(slices).reason is ReasonCode.IRREGULAR_SPACING


def test_a_drift_of_orientation_along_the_stack_is_refused():
    slices = [
        slice_facts(n, (-180.0, -180.0, 2.5 * n), orientation=(1.0, 9e-4 * n, 0.0, -9e-4 * n, 1.0, 0.0))
        for n in range(9)
    ]
    assert refusal(slices).reason is ReasonCode.MIXED_ORIENTATION


def test_another_frame_of_reference_on_every_slice_passes_where_geometry_agrees():
    slices = [replace(one, frame_of_reference_uid=f"1.2.{n}") for n, one in enumerate(volume_facts(even(10)))]
    check(stack_of(slices), CARD)


def test_missing_frames_of_reference_pass_where_geometry_agrees():
    check(stack_of(volume_facts(even(10), frame_of_reference_uid=None)), CARD)


def test_two_frames_of_reference_shared_out_among_slices_are_refused():
    slices = [replace(one, frame_of_reference_uid=f"1.2.{n // 5}") for n, one in enumerate(volume_facts(even(10)))]
    assert refusal(slices).reason is ReasonCode.FRAME_OF_REFERENCE


def test_a_radiograph_passes_where_one_image_is_enough():
    card = InputCard("cxr", ("DX",), (), 1, None, None, None, None)
    check(stack_of([slice_facts(1, None, orientation=None, modality="DX")]), card)


def test_a_volume_passes_beside_a_scout_in_its_series():
    scout = slice_facts(99, (0.0, 0.0, 0.0), orientation=SAGITTAL)
    stacks = split_into_stacks([*volume_facts(even(10)), scout])
    check(max(stacks, key=lambda one: one.slice_count), CARD, stacks)


def test_a_series_of_a_few_slices_in_each_orientation_is_told_as_mixed():
    slices = [
        *volume_facts(even(4)),
        *(slice_facts(10 + n, (2.5 * n, 0.0, 0.0), orientation=SAGITTAL) for n in range(4)),
    ]
    assert refusal(slices).reason is ReasonCode.MIXED_ORIENTATION


@pytest.mark.parametrize(("count", "reason"), [(2, ReasonCode.DUPLICATE_SLICES), (4, ReasonCode.NOT_A_VOLUME)])
def test_a_series_of_repeats_of_one_slice_is_told_as_such(count, reason):
    slices = [slice_facts(n, (0.0, 0.0, 61.5), acquisition=n) for n in range(1, count + 1)]
    assert refusal(slices).reason is reason


@pytest.mark.parametrize(
    ("least", "words"),
    [
        ({}, ""),
        ({"noise": 0.4}, ""),
        ({"noise": 0.45}, "noise scores 0.42 (1 is best), at least 0.45 is asked for"),
        ({"coverage": 0.1}, "coverage cannot be scored"),
    ],
)
def test_images_below_the_quality_that_is_asked_for_are_refused(least: dict[str, float], words: str) -> None:
    route = Route(name="r", model="m", destinations=("pacs",), input={"ct": {"min_quality": least}})
    (card,) = asked_for([replace(CARD, min_quality=(("noise", 0.2),))], route)
    quality = Quality(noise=0.42, motion=1.0, artefact=1.0, coverage=None)
    if not words:
        check_quality(quality, card)
        return
    with pytest.raises(Refused) as caught:
        check_quality(quality, card)

    assert caught.value.reason is ReasonCode.IMAGE_QUALITY
    assert words in str(caught.value)


def test_quality_is_said_in_the_history_and_remarked_on_where_it_is_poor() -> None:
    quality = {"ct": {"noise": 0.31, "motion": 0.9, "coverage": 0.1}}

    assert in_words(quality) == "ct: noise 0.31, motion 0.90, coverage 0.10"
    assert remarks(quality) == ("The images (ct) are of low quality: noise 0.31 (1 is best).",)
    assert remarks({"ct": {"noise": 0.8}}) == ()
