"""Finds the trachea and the bronchi that lead from it, stopping before they leak into the lungs."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ai.errors import ModelRefused
from ai.findings import Mask
from ai.models.lung_ct.morphology import Blocks, Spacing, box_around, components, holding, section_components

LUMEN_HU = -700.0
"""Below it a section through the trachea shows, even where its wall shares the voxel."""
SECTION_MM2 = (40.0, 900.0)
"""Section of a trachea: 10 to 27 mm wide in adults (Breatnach 1984), with room for where it branches."""
SHORTEST_MM = 25.0
LARGEST_SHIFT_MM = 10.0
"""How far the trachea's centre moves at most from one slice to the next."""
BRANCH_MM2 = 1200.0
"""Largest section across the body of any airway: both main bronchi cut lengthwise."""
THRESHOLDS_HU = range(-975, -674, 25)
LARGEST_FIRST_ML, LARGEST_BRANCH_ML = 25.0, 4.0
"""Most that one piece may add: both main bronchi at the first threshold, then one branch; more is a leak."""
LARGEST_TREE_ML = 90.0
REACH_MM = 100.0
"""How far sideways from the trachea, and below it, bronchi are followed."""


@dataclass(frozen=True)
class Airways:
    """lumen: trachea and bronchi. trachea: as far as it was followed. carina: index of its lowest slice."""

    lumen: Mask
    trachea: Mask
    carina: int


@dataclass(frozen=True)
class _Section:
    label: int
    slice_index: int
    centre_mm: tuple[float, float]


def find_airways(hu: Blocks, inside: Mask, spacing_mm: Spacing) -> Airways:
    """The airways, on axes (head, back, left). Raises ModelRefused where no trachea is found beside the lungs."""
    air = (hu < LUMEN_HU) & inside
    pieces, counts = components(air)
    if len(counts) < 2:
        raise ModelRefused("no air was found inside the body, so there are no lungs to measure")
    heights = np.flatnonzero((pieces == 1).any(axis=(1, 2)))
    middle = (int(heights[0]) + int(heights[-1])) // 2

    labels, counts = section_components(air)
    chains = _chains(_sections(labels, counts, spacing_mm), spacing_mm)
    chain = max((one for one in chains if one[0].slice_index >= middle), key=len, default=[])
    if len(chain) * spacing_mm[0] < SHORTEST_MM:
        raise ModelRefused("no trachea was found between the lungs, so airways and lungs cannot be told apart")
    trachea = np.isin(labels, [section.label for section in chain])
    return Airways(lumen=_tree(hu, inside, trachea, spacing_mm), trachea=trachea, carina=chain[-1].slice_index)


def _sections(
    labels: npt.NDArray[np.uint32], counts: npt.NDArray[np.int64], spacing_mm: Spacing
) -> list[list[_Section]]:
    """The sections of a trachea's size in each slice."""
    areas_mm2 = counts * spacing_mm[1] * spacing_mm[2]
    fitting = (areas_mm2 >= SECTION_MM2[0]) & (areas_mm2 <= SECTION_MM2[1])
    fitting[0] = False
    indices = np.nonzero(fitting[labels])
    of_voxel = labels[indices]
    means = [np.bincount(of_voxel, weights=along, minlength=len(counts)) / counts for along in indices]
    found: list[list[_Section]] = [[] for _ in range(labels.shape[0])]
    for label in np.flatnonzero(fitting):
        centre_mm = float(means[1][label]) * spacing_mm[1], float(means[2][label]) * spacing_mm[2]
        index = round(float(means[0][label]))
        found[index].append(_Section(int(label), index, centre_mm))
    return found


def _chains(sections: list[list[_Section]], spacing_mm: Spacing) -> list[list[_Section]]:
    """Runs of sections that lie below one another, each from its top down."""
    done: list[list[_Section]] = []
    running: list[list[_Section]] = []
    reach_mm = LARGEST_SHIFT_MM + spacing_mm[0] / 2
    for in_slice in reversed(sections):
        free = list(in_slice)
        followed = []
        for chain in running:
            nearest = _nearest(free, chain[-1])
            if nearest is None or _shift_mm(nearest, chain[-1]) > reach_mm:
                done.append(chain)
            else:
                free.remove(nearest)
                followed.append([*chain, nearest])
        running = followed + [[section] for section in free]
    return done + running


def _nearest(sections: list[_Section], last: _Section) -> _Section | None:
    return min(sections, key=lambda one: _shift_mm(one, last), default=None)


def _shift_mm(one: _Section, other: _Section) -> float:
    return float(np.hypot(one.centre_mm[0] - other.centre_mm[0], one.centre_mm[1] - other.centre_mm[1]))


def _tree(hu: Blocks, inside: Mask, trachea: Mask, spacing_mm: Spacing) -> Mask:
    """Trachea and bronchi: what grows from the trachea as the threshold rises, without pieces that are leaks."""
    box = box_around(trachea, REACH_MM, spacing_mm)
    top = int(np.flatnonzero(trachea.any(axis=(1, 2)))[-1]) + 1
    box = (slice(box[0].start, top), box[1], box[2])
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    tree = trachea[box]
    largest_ml = LARGEST_FIRST_ML
    for threshold in THRESHOLDS_HU:
        reached = holding(_narrow((hu[box] < threshold) & inside[box], spacing_mm) | tree, tree)
        pieces, counts = components(reached & ~tree)
        branches = counts * voxel_ml <= largest_ml
        branches[0] = False
        grown_tree = tree | branches[pieces]
        if np.count_nonzero(grown_tree) * voxel_ml > LARGEST_TREE_ML:
            break
        tree, largest_ml = grown_tree, LARGEST_BRANCH_ML
    whole = np.zeros(hu.shape, dtype=np.bool_)
    whole[box] = tree
    return whole


def _narrow(air: Mask, spacing_mm: Spacing) -> Mask:
    """The air without its parts whose section across the body is wider than any airway."""
    labels, counts = section_components(air)
    narrow = counts <= BRANCH_MM2 / (spacing_mm[1] * spacing_mm[2])
    narrow[0] = False
    found: Mask = narrow[labels]
    return found
