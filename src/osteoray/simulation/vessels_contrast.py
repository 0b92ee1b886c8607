"""Contrast agent in the portal-venous phase: iodine in the vessels of pelvis and thigh, and layered in the bladder."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32

from osteoray.imaging.bones import Side
from osteoray.simulation.body import LEAN_G_CM3, Body, FemurTruth
from osteoray.simulation.medial_mesh import MedialMesh, crop_around, distance_mm, rods
from osteoray.simulation.muscle_straps import HEAD_CENTRE_MM, STRAPS, THIGH_BELOW_MM, Chain, thigh_coordinates

STRENGTH_MG_CM3 = {"veins": 5.0, "arteries": 6.0}
"""Iodine in the vessels: about 140 and 170 HU at 120 kV."""
BLADDER_MG_CM3 = 9.0
BLADDER_MM = ((0.0, -12.0, 2.0), (33.0, 27.0, 26.0))
"""Middle and half axes, from the hips, at unit size."""
URINE_LEAN_SHARE = 0.7
"""Iodine mixes with what is at least as wet: the bladder's content, not the fat around it."""
BONE_MG_CM3 = 30.0
"""Vessels do not run where there is more mineral than this."""


def iodine_mg_cm3(body: Body) -> Float32[np.ndarray, "k j i"]:
    """Iodine per volume on the body's grid, in soft tissue only."""
    iodine = np.zeros(body.grid.shape, np.float32)
    hips_mm = np.mean([femur.head_centre_mm for femur in body.femurs.values()], axis=0)
    size = float(np.ptp([femur.head_centre_mm[0] for femur in body.femurs.values()]) / 2 / HEAD_CENTRE_MM[0])
    for name, strength_mg_cm3 in STRENGTH_MG_CM3.items():
        for side, femur in body.femurs.items():
            for chain in STRAPS[name]:
                _fill_vessel(iodine, body, _vessel(chain, side, femur, hips_mm, size), strength_mg_cm3)
    _fill_bladder(iodine, body, hips_mm, size)
    iodine[body.ha_mg_cm3 > BONE_MG_CM3] = 0.0
    return iodine * np.minimum(body.adipose_g_cm3 + body.lean_g_cm3, 1.0)


def _vessel(chain: Chain, side: Side, femur: FemurTruth, hips_mm: Float[np.ndarray, " 3"], size: float) -> MedialMesh:
    """A vessel of the atlas in the patient: above the groin it lies as in the pelvis, below it follows the femur."""
    points = np.array(chain)
    lateral_sign = 1.0 if side == Side.LEFT else -1.0
    in_pelvis_mm = hips_mm + size * points[:, :3] * np.array([lateral_sign, 1.0, 1.0])
    up = femur.shaft_axis
    lateral = (femur.neck_axis @ up) * up - femur.neck_axis
    lateral /= np.linalg.norm(lateral)
    axes = np.stack([lateral, lateral_sign * np.cross(up, lateral), up])
    in_thigh_mm = femur.head_centre_mm + size * thigh_coordinates(points[:, :3]) @ axes
    placed_mm = np.where(points[:, 2:3] < THIGH_BELOW_MM, in_thigh_mm, in_pelvis_mm)
    return rods([[(*place, radius * size) for place, radius in zip(placed_mm.tolist(), points[:, 3], strict=True)]])


def _fill_vessel(iodine: np.ndarray, body: Body, vessel: MedialMesh, strength_mg_cm3: float) -> None:
    box = crop_around(body.grid, vessel.box(3.0))
    part = body.grid.crop(tuple(s.start for s in box), iodine[box].shape)
    voxel_mm = part.voxel_mm3 ** (1 / 3)
    share = np.clip(0.5 - distance_mm(vessel, part, 2 * voxel_mm) / voxel_mm, 0, 1)
    np.maximum(iodine[box], strength_mg_cm3 * share, out=iodine[box])


def _fill_bladder(iodine: np.ndarray, body: Body, hips_mm: np.ndarray, size: float) -> None:
    """Excreted agent is heavier than urine and collects at the back."""
    middle_mm, half_mm = (np.array(values) * size for values in BLADDER_MM)
    corners = np.stack([hips_mm + middle_mm - half_mm, hips_mm + middle_mm + half_mm])
    box = crop_around(body.grid, corners)
    part = body.grid.crop(tuple(s.start for s in box), iodine[box].shape)
    offset = (part.coordinates_mm() - hips_mm - middle_mm) / half_mm
    inside = np.clip((1 - np.linalg.norm(offset, axis=-1)) * 6, 0, 1)
    inside = inside * (body.lean_g_cm3[box] > URINE_LEAN_SHARE * LEAN_G_CM3)
    layer = np.clip(0.5 + 3 * offset[..., 1], 0, 1)
    np.maximum(iodine[box], BLADDER_MG_CM3 * inside * layer, out=iodine[box])
