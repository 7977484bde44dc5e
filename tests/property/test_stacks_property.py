"""What holds for every set of slices."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.stacks import split_into_stacks
from tests.makers.images import AXIAL, SAGITTAL, TILTED_14_DEG, slice_facts

_SLICES = st.lists(
    st.fixed_dictionaries(
        {
            "position_lps_mm": st.sampled_from([(0.0, 1.0, z) for z in (0.0, 2.5, 2.52, 5.0, 7.5, 40.0)]),
            "orientation": st.sampled_from([AXIAL, SAGITTAL, TILTED_14_DEG, None]),
            "acquisition": st.sampled_from([None, 1, 2]),
            "echo_time_ms": st.sampled_from([None, 10.0, 10.01, 80.0]),
            "instance_number": st.one_of(st.none(), st.integers(1, 5)),
            "frame_of_reference_uid": st.sampled_from([None, "1.2.1", "1.2.2"]),
        }
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(_SLICES, st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_same_stacks_and_loses_no_frame(drawn, random):
    """Stacks depend on what was received, not on when; every frame is in exactly one."""
    instances = [slice_facts(n, None, **changes) for n, changes in enumerate(drawn, 1)]
    stacks = split_into_stacks(instances)
    shuffled = list(instances)
    random.shuffle(shuffled)
    assert split_into_stacks(shuffled) == stacks
    found = Counter(frame.sop_instance_uid for stack in stacks for frame in stack.frames)
    assert found == Counter(one.sop_instance_uid for one in instances)
