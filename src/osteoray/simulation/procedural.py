"""A virtual body from drawn parameters: skeleton, mineral and soft tissue on one grid."""

from __future__ import annotations

from functools import partial

import numpy as np
from jaxtyping import Float32

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import FEMUR, Bone, Side
from osteoray.simulation.anatomy import AnatomyParameters
from osteoray.simulation.body import Body, FemurTruth
from osteoray.simulation.composition import Composition, add_bone, add_soft_tissue, masses_g_cm3, roughened, smoothed
from osteoray.simulation.density import femur_fields, hip_fields, sacrum_fields, vertebra_fields
from osteoray.simulation.femur import build_femur, with_fovea
from osteoray.simulation.medial_mesh import Box, MedialMesh, crop_around, distance_mm
from osteoray.simulation.pelvis import Pelvis, build_pelvis, hip_distance_mm, with_uneven_tuberosity
from osteoray.simulation.proximal import proximal_femur_labels
from osteoray.simulation.sacrum import Sacrum, sacrum_distance_mm
from osteoray.simulation.soft_tissue import core_outline, muscles, soft_tissue, world_from_femur
from osteoray.simulation.spine import Vertebra, add_facet_gap, vertebra_distance_mm
from osteoray.simulation.texture import Wobble

_BAND_MM = 8.0
_ROUNDING_MM = 1.2
_ABOVE_CREST_MM = 75.0
_BELOW_TROCHANTER_MM = 125.0
_AIR_MM = 12.0
_HIP = {Side.LEFT: Bone.LEFT_HIP, Side.RIGHT: Bone.RIGHT_HIP}


def procedural_body(parameters: AnatomyParameters, spacing_mm: float, rng: np.random.Generator) -> Body:
    """Build a virtual patient.

    Args:
        parameters: what was drawn about the patient.
        spacing_mm: edge of the cubic voxels.
        rng: source of shape, texture and organs.
    """
    pelvis = build_pelvis(parameters, rng)
    common = rng.integers(2**32)
    femurs: dict[Side, tuple[MedialMesh, FemurTruth]] = {}
    for side in Side:
        shared, own = Wobble(np.random.default_rng(common), 45.0, 1.2), Wobble(rng, 35.0, 0.5)
        femurs[side] = build_femur(
            parameters.femurs[side],
            parameters.size,
            side,
            pelvis.head_centres_mm[side],
            lambda points, shared=shared, own=own: own(shared(points)),
        )
    truths = {side: truth for side, (_, truth) in femurs.items()}
    grid, reach_mm = _grid(parameters, pelvis, femurs, spacing_mm)
    composition = Composition.empty(grid)
    _add_skeleton(composition, parameters, pelvis, femurs, rng)
    heights_mm = grid.world_from_index[2, 3] + spacing_mm * np.arange(grid.shape[0])
    core = core_outline(heights_mm, parameters, truths, reach_mm)
    frames = {side: world_from_femur(truth, side, parameters.size) for side, truth in truths.items()}
    mesh = muscles(parameters, pelvis.world_from_template, frames)
    add_soft_tissue(composition, *soft_tissue(grid, core, parameters, mesh, rng))
    adipose, lean = masses_g_cm3(composition)
    return Body(
        grid=grid,
        bones=composition.bones,
        ha_mg_cm3=composition.ha_mg_cm3,
        adipose_g_cm3=adipose,
        lean_g_cm3=lean,
        femurs=truths,
        proximal_femur=proximal_femur_labels(composition.bones, grid, truths),
        description=parameters.described(),
    )


def _grid(
    parameters: AnatomyParameters, pelvis: Pelvis, femurs: dict[Side, tuple[MedialMesh, FemurTruth]], spacing_mm: float
) -> tuple[VoxelGrid, float]:
    """Grid from above the crest to below the lesser trochanters that holds the skin; lateral reach of the femurs."""
    top = max(mesh.box(_ABOVE_CREST_MM)[1, 2] for mesh in pelvis.hips.values())
    bottom = min(truth.lesser_trochanter_mm[2] for _, truth in femurs.values()) - _BELOW_TROCHANTER_MM
    reach_mm = max(float(np.abs(mesh.box(0.0)[:, 0]).max()) for mesh, _ in femurs.values())
    truths = {side: truth for side, (_, truth) in femurs.items()}
    core = core_outline(np.linspace(bottom, top, 60), parameters, truths, reach_mm)
    side, front, back = core.thickened(parameters.fat_mm).reach_mm() + _AIR_MM
    n_k, n_j, n_i = (int(np.ceil(extent / spacing_mm)) for extent in (top - bottom, front + back, 2 * side))
    return VoxelGrid.axial((n_k, n_j, n_i), (spacing_mm,) * 3, (-side, -front, bottom)), reach_mm


def _add_skeleton(
    composition: Composition,
    parameters: AnatomyParameters,
    pelvis: Pelvis,
    femurs: dict[Side, tuple[MedialMesh, FemurTruth]],
    rng: np.random.Generator,
) -> None:
    """Femurs, then hip bones with sockets around them, then the sacrum between those, then the spine from below."""
    grid = composition.grid
    femurs_mm = np.full(grid.shape, _BAND_MM, np.float32)
    hips_mm = np.full(grid.shape, _BAND_MM, np.float32)
    for side, (mesh, truth) in femurs.items():
        box, raw = _distance(mesh, grid)
        distance = with_fovea(raw, grid.crop(tuple(s.start for s in box), raw.shape), truth)
        scale = parameters.femurs[side].bmd_scale
        seed, voxel_mm = int(rng.integers(2**31)), float(grid.spacing_mm[0])
        fields = partial(femur_fields, femur=truth, bmd_scale=scale, voxel_mm=voxel_mm, seed=seed)
        add_bone(composition, box, distance, FEMUR[side], fields, scale, 0.92, rng)
        femurs_mm[box] = np.minimum(femurs_mm[box], distance)
    for side, mesh in pelvis.hips.items():
        box, raw = _distance(mesh, grid)
        head_mm = pelvis.head_centres_mm[side]
        socket_mm = parameters.femurs[side].head_radius_mm + parameters.joint_gap_mm
        crop = grid.crop(tuple(s.start for s in box), raw.shape)
        raw = with_uneven_tuberosity(roughened(raw, crop, rng), crop, parameters.size, rng)
        distance = hip_distance_mm(raw, crop, head_mm, socket_mm, side)
        distance = np.maximum(distance, 0.6 * parameters.joint_gap_mm - femurs_mm[box])
        fields = partial(hip_fields, head_centre_mm=head_mm, socket_mm=socket_mm, bmd_scale=parameters.bmd_scale)
        add_bone(composition, box, distance, _HIP[side], fields, parameters.bmd_scale, parameters.yellow_marrow, rng)
        hips_mm[box] = np.minimum(hips_mm[box], distance)
    _add_sacrum(composition, parameters, pelvis.sacrum, hips_mm, rng)
    _add_spine(composition, parameters, pelvis.spine, hips_mm, rng)


def _add_sacrum(
    composition: Composition,
    parameters: AnatomyParameters,
    sacrum: Sacrum,
    neighbours_mm: Float32[np.ndarray, "k j i"],
    rng: np.random.Generator,
) -> None:
    """Fill the sacrum between the hip bones and join it to the distance to its neighbours."""
    box, raw = _distance(sacrum.solid, composition.grid)
    crop = composition.grid.crop(tuple(s.start for s in box), raw.shape)
    distance = sacrum_distance_mm(roughened(raw, crop, rng), crop, sacrum, neighbours_mm[box], _BAND_MM)
    scale = parameters.bmd_scale
    fields = partial(sacrum_fields, fusions_mm=sacrum.fusions_mm, down=sacrum.down, size=sacrum.size, bmd_scale=scale)
    add_bone(composition, box, distance, Bone.SACRUM, fields, scale, parameters.yellow_marrow, rng)
    neighbours_mm[box] = np.minimum(neighbours_mm[box], distance)


def _add_spine(
    composition: Composition,
    parameters: AnatomyParameters,
    spine: list[Vertebra],
    neighbours_mm: Float32[np.ndarray, "k j i"],
    rng: np.random.Generator,
) -> None:
    """Fill vertebrae from below, as far as the grid reaches; each keeps its joints to the one below."""
    scale, voxel_mm = parameters.bmd_scale, float(composition.grid.spacing_mm[0])
    for vertebra in spine:
        box, distance = vertebra_distance_mm(vertebra, composition.grid, _BAND_MM)
        if distance.size == 0:
            break
        crop = composition.grid.crop(tuple(s.start for s in box), distance.shape)
        distance = add_facet_gap(roughened(distance, crop, rng), neighbours_mm[box])
        seed = int(rng.integers(2**31))
        fields = partial(vertebra_fields, vertebra=vertebra, bmd_scale=scale, voxel_mm=voxel_mm, seed=seed)
        add_bone(composition, box, distance, 0, fields, scale, parameters.yellow_marrow, rng)
        neighbours_mm[box] = np.minimum(neighbours_mm[box], distance)


def _distance(mesh: MedialMesh, grid: VoxelGrid) -> tuple[Box, np.ndarray]:
    """Box around a solid and the distance to its rounded surface there."""
    box = crop_around(grid, mesh.box(_BAND_MM))
    crop = grid.crop(tuple(s.start for s in box), tuple(s.stop - s.start for s in box))
    return box, smoothed(distance_mm(mesh, crop, _BAND_MM), crop, _ROUNDING_MM)
