"""Where the phantom lies: its pattern searched in blocks of averaged slices, then followed along the body."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from osteoray.calibration.pattern import Pattern, Plane, Pose, climb
from osteoray.calibration.phantom import Phantom
from osteoray.calibration.searching import CoarseSearch
from osteoray.errors.unreadable import Withheld
from osteoray.imaging.volume import Volume

BLOCK_MM = 12.0
SEARCH_EVERY_MM = 30.0
CANDIDATES = 4
PHYSICAL_HU_PER_MG_CM3 = (0.6, 3.0)
SIZE_RANGE = (0.85, 1.15)
MAX_ROLL_RAD = 0.2
MAX_BEND = 3.0
"""Greatest sagitta searched, as a multiple of the table's."""
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
class Track:
    """The phantom followed from block to block, from the feet up.

    Attributes:
        z_mm: middles of the blocks that show it.
        poses: one per block; they differ in x and y only.
        likeness: correlation with the pattern, one per block.
    """

    z_mm: Float[np.ndarray, " blocks"]
    poses: tuple[Pose, ...]
    likeness: Float[np.ndarray, " blocks"]


def blocks_of(volume: Volume) -> list[Block]:
    """Averages of about `BLOCK_MM` of slices, from the feet up."""
    slices, spacing_mm = volume.array.shape[0], float(volume.grid.spacing_mm[0])
    per_block = max(1, round(BLOCK_MM / spacing_mm))
    first_mm = float(volume.grid.world_from_index[2, 3])
    return [
        Block(
            first_mm + spacing_mm * (start + (per_block - 1) / 2),
            volume.array[start : start + per_block].mean(axis=0, dtype=np.float32),
        )
        for start in range(0, slices - per_block + 1, per_block)
    ]


def find_phantom(volume: Volume, phantom: Phantom, min_likeness: float) -> Track:
    """Find the phantom's cross-section and follow it as far as it shows.

    Args:
        volume: HU on an axial grid.
        phantom: what to look for; its size is searched within 15 %.
        min_likeness: smallest correlation with the pattern.

    Raises:
        Withheld: CAL-PHANTOM, nothing in the CT looks like the phantom.
    """
    pattern, plane, blocks = Pattern.of(phantom), Plane.of(volume), blocks_of(volume)
    search = CoarseSearch(pattern, plane, volume.array.shape[1:], phantom.sagitta_mm)
    every = max(1, round(SEARCH_EVERY_MM / BLOCK_MM))
    starts = [(index, *search.best_pose(blocks[index].image)) for index in range(0, len(blocks), every)]
    starts = sorted(starts, key=lambda start: -start[2])[:CANDIDATES]
    refined = [(i, *refine(blocks[i].image, plane, pattern, pose, phantom.sagitta_mm)) for i, pose, _ in starts]
    if not refined:
        raise Withheld("CAL-PHANTOM", f"expected at least {BLOCK_MM:g} mm of CT, got {volume.array.shape[0]} slices")
    index, pose, likeness = max(refined, key=lambda start: start[2])
    hu_per_mg = float(pattern.contrast(pattern.sample(blocks[index].image, plane, pose)))
    if likeness < min_likeness or not PHYSICAL_HU_PER_MG_CM3[0] < hu_per_mg < PHYSICAL_HU_PER_MG_CM3[1]:
        raise Withheld(
            "CAL-PHANTOM",
            f"likeness to {phantom.name}: expected at least {min_likeness:g}, got {likeness:.2f} "
            f"with {hu_per_mg:.2f} HU per mg/cm3",
        )
    return follow(blocks, index, pose, plane, pattern, min_likeness)


def refine(
    image: Float[np.ndarray, "j i"], plane: Plane, pattern: Pattern, start: Pose, sagitta_mm: float
) -> tuple[Pose, float]:
    """Improve place, roll, size and bend of the pattern in one image."""
    steps = Pose(3.0, 3.0, 0.05, 0.04, sagitta_mm / 2)
    lower = Pose(-np.inf, -np.inf, -MAX_ROLL_RAD, SIZE_RANGE[0], 0.0)
    upper = Pose(np.inf, np.inf, MAX_ROLL_RAD, SIZE_RANGE[1], MAX_BEND * sagitta_mm)
    return climb(lambda pose: pattern.likeness(pattern.sample(image, plane, pose)), start, steps, lower, upper, 5)


def follow(blocks: list[Block], first: int, pose: Pose, plane: Plane, pattern: Pattern, min_likeness: float) -> Track:
    """Follow the phantom from one block both ways, until two blocks in a row no longer show it."""
    found = {}
    for direction in (1, -1):
        latest, lost, index = pose, 0, first
        while 0 <= index < len(blocks) and lost < 2:
            image = blocks[index].image
            lower = replace(latest, x_mm=latest.x_mm - STEP_PER_BLOCK_MM, y_mm=latest.y_mm - STEP_PER_BLOCK_MM)
            upper = replace(latest, x_mm=latest.x_mm + STEP_PER_BLOCK_MM, y_mm=latest.y_mm + STEP_PER_BLOCK_MM)
            here, likeness = climb(
                lambda trial, image=image: pattern.likeness(pattern.sample(image, plane, trial)),
                latest, Pose(1.5, 1.5, 0.0, 0.0, 0.0), lower, upper, 5,
            )  # fmt: skip
            if likeness >= min_likeness:
                found[index], latest, lost = (here, likeness), here, 0
            else:
                lost += 1
            index += direction
    order = sorted(found)
    return Track(
        np.array([blocks[i].z_mm for i in order]),
        tuple(found[i][0] for i in order),
        np.array([found[i][1] for i in order]),
    )
