"""Slender muscles and great vessels around the hip as chains of balls, placed by their bony attachments.

Left side, supine; (x, y, z, radius) in millimetres in the frame of the pelvis template at unit size. What lies below
`THIGH_BELOW_MM` is carried by the femur. The chains run from bony attachment to bony attachment and were placed by eye
against slices of the label map to which `muscle_templates` is fitted; the pose of the femur is from the same map.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

THIGH_BELOW_MM = -20.0

HEAD_CENTRE_MM = np.array([91.5, 1.3, -0.4])
"""Femoral head in the pose in which the chains are given."""

THIGH_AXES = np.array([[0.833, -0.542, 0.107], [0.517, 0.833, 0.195], [-0.195, -0.107, 0.975]])
"""Columns: lateral in the plane of head and shaft, posterior, up the shaft, of the femur in that pose."""

Chain = tuple[tuple[float, float, float, float], ...]

# fmt: off
STRAPS: dict[str, tuple[Chain, ...]] = {
    "sartorius": (
        ((119, -46, 82, 5), (112, -56, 40, 8), (108, -56, -35, 9), (102, -44, -110, 9), (66, -24, -185, 9),
         (55, -18, -225, 9)),
    ),
    "tensor fasciae latae": (
        ((128, -40, 80, 6), (140, -42, 30, 10), (148, -34, -35, 10), (158, -22, -90, 7), (162, -12, -130, 3)),
    ),
    "gracilis": (((16, -36, -46, 4), (28, -8, -110, 8), (42, 12, -185, 8), (46, 18, -225, 8)),),
    "pectineus": (
        ((38, -50, 2, 6), (60, -36, -35, 9), (96, -2, -80, 7)),
        ((46, -44, -6, 6), (66, -24, -50, 8), (100, 6, -95, 6)),
    ),
    "piriformis": (((36, 64, 56, 9), (70, 58, 40, 8), (112, 34, 14, 6), (138, 20, 8, 4)),),
    "quadratus lumborum": (((78, 48, 128, 8), (62, 44, 170, 9), (50, 40, 215, 8)),),
    "arteries": (
        ((10, -2, 260, 9), (9, -4, 170, 9), (30, 12, 125, 5.5), (52, -8, 78, 5), (70, -38, 30, 5), (79, -52, 0, 5),
         (82, -52, -40, 5), (84, -44, -90, 4.5), (82, -26, -150, 4), (80, -8, -225, 4)),
        ((30, 12, 125, 5), (44, 40, 95, 4.5), (55, 52, 60, 4), (60, 50, 30, 3)),
    ),
    "veins": (
        ((24, 22, 125, 6.5), (44, 4, 78, 6), (60, -28, 30, 6), (68, -46, 0, 6), (71, -44, -40, 6), (74, -36, -90, 5),
         (76, -16, -150, 4.5), (76, 0, -225, 4.5)),
    ),
}
# fmt: on
"""Muscles and vessels by name; two chains of the same length are the edges of a ribbon."""


def thigh_coordinates(points_mm: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Points of the pelvis's frame in the frame of the femur template."""
    return (points_mm - HEAD_CENTRE_MM) @ THIGH_AXES
