"""Skin, subcutaneous fat, muscles, organs and bowel gas around a virtual skeleton."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.anatomy import AnatomyParameters
from osteoray.simulation.body_lattice import LATTICE_MM, body_lattice
from osteoray.simulation.body_outline import Outline
from osteoray.simulation.body_outline import core_outline as core_outline
from osteoray.simulation.femur_frame import world_from_femur as world_from_femur
from osteoray.simulation.medial_mesh import MedialMesh
from osteoray.simulation.muscle_solids import muscles as muscles
from osteoray.simulation.muscle_solids import separated_mm
from osteoray.simulation.organs import draw_organs
from osteoray.simulation.tissue_sampling import Field, TissueShares, sample_tissue

SKIN_MM = 2.0
"""Thickness of the skin."""

FAT_LEAN_SHARE = 0.04
"""Lean share of fat outside muscles and organs: vessels and the finest septa."""

MUSCLE_GRID_MM = 2.4
"""Distances to muscles are computed on voxels of this size, or on those of the body where they are larger."""


def soft_tissue(
    grid: VoxelGrid,
    core: Outline,
    parameters: AnatomyParameters,
    muscle_mesh: MedialMesh,
    rng: np.random.Generator,
) -> tuple[Float32[np.ndarray, "k j i"], Float32[np.ndarray, "k j i"]]:
    """Share of each voxel inside the body (gas excluded), and the lean share of its soft tissue.

    Args:
        grid: the voxels.
        core: outline below the subcutaneous fat.
        parameters: fat, muscles, size.
        muscle_mesh: the muscles; every connected part is one.
        rng: source of organs, gas, infiltration and small asymmetries.
    """
    body = body_lattice(grid, core.thickened(parameters.fat_mm), rng)
    coarse = _coarse(grid, max(MUSCLE_GRID_MM, float(grid.spacing_mm[0])))
    muscle = separated_mm(muscle_mesh, coarse)[..., None]
    shares = TissueShares(FAT_LEAN_SHARE, SKIN_MM, parameters.muscle_fat, parameters.size)
    organs = draw_organs(parameters.sex, rng)
    fields = Field(body, LATTICE_MM), Field(muscle, float(coarse.spacing_mm[0]))
    return sample_tissue(grid, *fields, organs, shares, rng)


def _coarse(grid: VoxelGrid, spacing_mm: float) -> VoxelGrid:
    """Grid of larger voxels that starts at the first voxel and reaches beyond the last."""
    shape = tuple(int(n) for n in np.ceil(np.array(grid.shape) * grid.spacing_mm / spacing_mm).astype(int) + 2)
    return VoxelGrid.axial(shape, (spacing_mm,) * 3, tuple(grid.world_from_index[:3, 3]))
