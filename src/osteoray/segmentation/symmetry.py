"""Whether the two femurs of a patient are as alike as the two sides of a person are."""

from __future__ import annotations

from osteoray.errors.verdict import Finding
from osteoray.imaging.bones import Side

MAX_DIFFERENCE = {
    "head_radius_mm": ("head radius", 2.0, "mm"),
    "neck_shaft_angle_deg": ("neck-shaft angle", 8.0, "degrees"),
    "head_above_trochanter_mm": ("head above lesser trochanter", 10.0, "mm"),
}
"""Differences of left and right above which a person or a mask is unusual, by the fact of `femur.json`."""


def unlike_sides(femurs: dict[str, dict]) -> list[Finding]:
    """A warning if both femurs were found and differ more than sides do: a deformity, or a mask to look at.

    Args:
        femurs: facts of `FemurGeometry` by side.
    """
    if len(femurs) < 2:
        return []
    left, right = (femurs[side.value] for side in (Side.LEFT, Side.RIGHT))
    details = [
        f"{name}: expected up to {limit:g} {unit} apart, got {left[fact]:.1f} left and {right[fact]:.1f} right"
        for fact, (name, limit, unit) in MAX_DIFFERENCE.items()
        if abs(left[fact] - right[fact]) > limit
    ]
    return [Finding("SEG-ASYMMETRY", "; ".join(details))] if details else []
