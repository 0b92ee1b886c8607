"""The neck box of DXA: a band across the femoral neck that touches the greater trochanter (Hologic's definition)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoray.segmentation.silhouette import Silhouette

NECK_BOX_MM = (49.0, 15.0)
"""Box across and along the neck (ISCD DXA atlas: 49 x 15 pixels of about 1 mm)."""
SHORTEST_BOX_MM = 26.0
"""A box is shortened across the neck to find the trochanter, as operators do, but never below this."""
BELOW_TIP_MM = 5.0
"""The corner touches the trochanter's flank at least this far below its tip, where it is steep."""
STEP_MM = 0.5


@dataclass(frozen=True)
class NeckBox:
    """A band orthogonal to the neck axis, centred on it.

    Attributes:
        near_mm: its edge towards the head, from the head's centre along the neck.
        length_mm: across the neck.
        touches_trochanter: False if the neck is too short, and the box overlaps the trochanter.
    """

    near_mm: float
    length_mm: float
    touches_trochanter: bool

    @property
    def far_mm(self) -> float:
        """Its edge towards the shaft."""
        return self.near_mm + NECK_BOX_MM[1]


def place_neck_box(silhouette: Silhouette, waist_mm: float, head_cut_mm: float) -> NeckBox:
    """Put the box as far from the head as the trochanter lets it: its upper far corner touches it.

    The longest box is taken whose corner meets the trochanter's flank and that stays beyond the head-neck cut. If none
    does, the box begins at the head-neck cut.

    Args:
        silhouette: the femur.
        waist_mm: the neck's narrowest place, from the head's centre along the neck.
        head_cut_mm: the head-neck cut, likewise.
    """
    longest_mm, depth_mm = NECK_BOX_MM
    along_mm = waist_mm + np.arange(0.0, 60.0, STEP_MM)
    across_mm = np.arange(SHORTEST_BOX_MM / 2, 80.0, STEP_MM)
    lines = silhouette.plane.from_neck(*np.broadcast_arrays(along_mm[None, :], across_mm[:, None]))
    step, _ = silhouette.first_bone(lines)
    touched_mm = waist_mm + STEP_MM * step
    has_bone = np.isfinite(touched_mm)
    tip_mm = across_mm[has_bone].max(initial=0.0)
    fits = has_bone & (across_mm <= min(longest_mm / 2, tip_mm - BELOW_TIP_MM)) & (touched_mm - depth_mm >= head_cut_mm)
    if not fits.any():
        return NeckBox(head_cut_mm, longest_mm, touches_trochanter=False)
    corner = int(np.flatnonzero(fits)[-1])
    return NeckBox(float(touched_mm[corner] - depth_mm), float(2 * across_mm[corner]), touches_trochanter=True)
