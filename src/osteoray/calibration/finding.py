"""Where the phantom lies: its pattern searched in blocks of averaged slices, then followed along the body."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Shaped

from osteoray.calibration.pattern import Pattern, Plane, Pose, climb
from osteoray.calibration.phantom import Phantom
from osteoray.calibration.searching import CoarseSearch
from osteoray.imaging.volume import Volume

BLOCK_MM = 12.0
SEARCH_EVERY_MM = 36.0
CANDIDATES = 3
PHYSICAL_CONTRAST = (0.4, 2.0)
"""HU of the rods over those expected at 70 keV: 55 to 90 keV and a scanner far off its calibration."""
MOST_UNEVEN_HU = 45.0
"""Robust standard deviation of the slab between its rods; noise of 40 HU in thick slices makes 20 HU."""
SIZE_RANGE = (0.85, 1.15)
MAX_ROLL_RAD = 0.2
MAX_BEND = 3.0
"""Greatest sagitta searched, as a multiple of the table's."""
FOLLOW_SLACK = 0.1
"""How much less like its pattern the phantom may look in single blocks than where it looks best."""
STEP_PER_BLOCK_MM = 4.0
"""How far the phantom may move sideways from one block to the next."""


@dataclass(frozen=True, eq=False)
class Block:
    """The mean of some neighbouring slices.

    Attributes:
        z_mm: LPS z of its middle.
        image: HU.
    """

    z_mm: float
    image: Float[np.ndarray, "j i"]


@dataclass(frozen=True, eq=False)
class Sight:
    """One phantom seen in one block, as well as it can be seen anywhere.

    Attributes:
        phantom: what was looked for.
        pattern: as it should lie or turned round, whichever the image shows.
        block: number of the block.
        pose: where.
        likeness: correlation with the pattern; -1 if there is nothing to look at.
        contrast: of the rods over that expected at 70 keV.
        unevenness_hu: robust standard deviation of the slab between the rods.
    """

    phantom: Phantom
    pattern: Pattern
    block: int
    pose: Pose
    likeness: float
    contrast: float
    unevenness_hu: float

    @property
    def is_physical(self) -> bool:
        """Whether the rods are as bright as an X-ray tube can make them, in a slab of one material."""
        return PHYSICAL_CONTRAST[0] < self.contrast < PHYSICAL_CONTRAST[1] and self.unevenness_hu < MOST_UNEVEN_HU


@dataclass(frozen=True, eq=False)
class Track:
    """The phantom followed from block to block, from the feet up.

    Attributes:
        pattern: what was followed.
        z_mm: middles of the blocks that show it.
        poses: one per block; they differ in x and y only.
        likeness: correlation with the pattern, one per block.
    """

    pattern: Pattern
    z_mm: Float[np.ndarray, " blocks"]
    poses: tuple[Pose, ...]
    likeness: Float[np.ndarray, " blocks"]


def blocks_of(volume: Volume, is_metal: Bool[np.ndarray, " k"]) -> list[Block]:
    """Averages of about `BLOCK_MM` of slices without metal, from the feet up."""
    slices, spacing_mm = volume.array.shape[0], float(volume.grid.spacing_mm[0])
    per_block = max(1, min(round(BLOCK_MM / spacing_mm), slices))
    first_mm = float(volume.grid.world_from_index[2, 3])
    starts = range(0, slices - per_block + 1, per_block)
    groups = [start + np.flatnonzero(~is_metal[start : start + per_block]) for start in starts]
    return [
        Block(first_mm + spacing_mm * float(group.mean()), _mean(volume.array, group)) for group in groups if group.size
    ]


def _mean(array: Shaped[np.ndarray, "k j i"], group: np.ndarray) -> Float[np.ndarray, "j i"]:
    # Without metal the group is a run: a view, not a copy.
    run = slice(group[0], group[-1] + 1) if group[-1] - group[0] + 1 == group.size else group
    return array[run].mean(axis=0, dtype=np.float32)


def sight(blocks: list[Block], plane: Plane, phantom: Phantom) -> Sight:
    """Look for a phantom, either way round, and keep the best place.

    Args:
        blocks: of the CT.
        plane: of its slices.
        phantom: what to look for; its size is searched within 15 %.
    """
    every = max(1, round(SEARCH_EVERY_MM / BLOCK_MM))
    starts = []
    for is_turned in (False, True):
        pattern = Pattern.of(phantom, is_turned)
        search = CoarseSearch(pattern, plane, phantom.sagitta_mm)
        searched = range((len(blocks) // 2) % every, len(blocks), every)
        starts += [(pattern, index, *search.best_pose(blocks[index].image)) for index in searched]
    starts = sorted(starts, key=lambda start: -start[3])[:CANDIDATES]
    sights = [_refined(blocks, plane, phantom, *start[:3]) for start in starts]
    return max(sights, key=lambda seen: (seen.is_physical, seen.likeness))


def _refined(blocks: list[Block], plane: Plane, phantom: Phantom, pattern: Pattern, index: int, start: Pose) -> Sight:
    """Improve place, roll, size and bend of the pattern in one block."""
    image, sagitta_mm = blocks[index].image, phantom.sagitta_mm
    steps = Pose(3.0, 3.0, 0.05, 0.04, max(sagitta_mm / 2, 0.5))
    lower = Pose(-np.inf, -np.inf, -MAX_ROLL_RAD, SIZE_RANGE[0], 0.0)
    upper = Pose(np.inf, np.inf, MAX_ROLL_RAD, SIZE_RANGE[1], max(MAX_BEND * sagitta_mm, 3.0))

    def score(pose: Pose) -> float:
        return pattern.likeness(pattern.sample(image, plane, pattern.points_mm(pose)))

    pose, likeness = climb(score, start, steps, lower, upper, 5)
    hu = pattern.sample(image, plane, pattern.points_mm(pose))
    return Sight(phantom, pattern, index, pose, likeness, pattern.contrast(hu), pattern.unevenness_hu(hu))


def follow(blocks: list[Block], plane: Plane, seen: Sight, min_likeness: float) -> Track:
    """Follow the phantom from one block both ways, until two blocks in a row no longer show it.

    Args:
        blocks: of the CT.
        plane: of its slices.
        seen: where it shows.
        min_likeness: smallest correlation in the CT.
    """
    pattern, found = seen.pattern, {}
    for direction in (1, -1):
        latest, latest_mm, lost, index = seen.pose, blocks[seen.block].z_mm, 0, seen.block
        while 0 <= index < len(blocks) and lost < 2:
            reach_mm = STEP_PER_BLOCK_MM * max(abs(blocks[index].z_mm - latest_mm) / BLOCK_MM, 1.0)
            here, likeness = _next_pose(blocks[index].image, plane, pattern, latest, reach_mm)
            if likeness >= min_likeness - FOLLOW_SLACK:
                found[index], latest, latest_mm, lost = (here, likeness), here, blocks[index].z_mm, 0
            else:
                lost += 1
            index += direction
    order = sorted(found)
    return Track(
        pattern,
        np.array([blocks[i].z_mm for i in order]),
        tuple(found[i][0] for i in order),
        np.array([found[i][1] for i in order]),
    )


def _next_pose(
    image: Float[np.ndarray, "j i"], plane: Plane, pattern: Pattern, latest: Pose, reach_mm: float
) -> tuple[Pose, float]:
    lower = replace(latest, x_mm=latest.x_mm - reach_mm, y_mm=latest.y_mm - reach_mm)
    upper = replace(latest, x_mm=latest.x_mm + reach_mm, y_mm=latest.y_mm + reach_mm)

    def score(pose: Pose) -> float:
        return pattern.likeness(pattern.sample(image, plane, pattern.points_mm(pose)))

    return climb(score, latest, Pose(1.5, 1.5, 0.0, 0.0, 0.0), lower, upper, 5)
