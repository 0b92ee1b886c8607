"""A body of ellipsoids with known landmarks: quick to make, exact to reason about."""

from __future__ import annotations

import numpy as np

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Bone, Side
from osteoray.simulation.body import ADIPOSE_G_CM3, LEAN_G_CM3, Body, FemurTruth


def ellipsoid_body(spacing_mm: float = 4.0, bone_mg_cm3: float = 400.0) -> Body:
    """Trunk with fat around lean tissue, a block of pelvis, and two femurs: a head ball on a shaft."""
    size_mm = (400.0, 240.0, 380.0)
    shape = tuple(int(length // spacing_mm) for length in size_mm)
    origin = tuple(-(n - 1) / 2 * spacing_mm for n in shape[::-1])
    grid = VoxelGrid.axial(shape, (spacing_mm,) * 3, origin)
    z, y, x = (grid.coordinates_mm()[..., axis] for axis in (2, 1, 0))
    body = (x / 170) ** 2 + (y / 100) ** 2 < 1
    lean = (x / 150) ** 2 + (y / 80) ** 2 < 1
    bones = np.zeros(shape, np.uint8)
    bones[(np.abs(x) < 120) & (np.abs(y) < 20) & (z > 30) & (z < 110)] = Bone.SACRUM
    bones[(bones == Bone.SACRUM) & (x > 40)] = Bone.LEFT_HIP
    bones[(bones == Bone.SACRUM) & (x < -40)] = Bone.RIGHT_HIP
    proximal = np.zeros(shape, np.uint8)
    femurs = {}
    for side, sign, label, value in ((Side.LEFT, 1, Bone.LEFT_FEMUR, 1), (Side.RIGHT, -1, Bone.RIGHT_FEMUR, 2)):
        head = np.array([90.0 * sign, 0.0, 0.0])
        ball = (x - head[0]) ** 2 + y**2 + z**2 < 24**2
        shaft = ((x - 110 * sign) ** 2 + y**2 < 14**2) & (z < 0)
        bones[(ball | shaft) & (bones == 0)] = label
        proximal[shaft & (z > -90) & (bones == label)] = value
        femurs[side] = FemurTruth(
            head_centre_mm=head,
            head_radius_mm=24.0,
            neck_axis=np.array([-0.7 * sign, -0.1, 0.7]) / np.sqrt(0.99),
            neck_centre_mm=np.array([105.0 * sign, 0.0, -20.0]),
            shaft_axis=np.array([0.0, 0.0, 1.0]),
            shaft_point_mm=np.array([110.0 * sign, 0.0, -110.0]),
            lesser_trochanter_mm=np.array([100.0 * sign, 0.0, -70.0]),
            neck_shaft_angle_deg=130.0,
            anteversion_deg=None,
        )
    ha = np.where(bones > 0, bone_mg_cm3, 0.0)
    mineral_fraction = ha / 3160.0
    lean_g = np.where(lean, LEAN_G_CM3 * (1 - mineral_fraction), 0.0)
    adipose_g = np.where(body & ~lean, ADIPOSE_G_CM3, 0.0)
    arrays = [array.astype(np.float32) for array in (ha, adipose_g, lean_g)]
    return Body(grid, bones, *arrays, femurs, proximal, {})
