"""Flexion, abduction and rotation of a femur as the X-ray sees it.

Zero is the position of a hip densitometry: shaft and neck parallel to the detector, shaft along the image columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from osteoray.imaging.bones import Side


@dataclass(frozen=True)
class FemurPose:
    """Angles in degrees.

    Attributes:
        flexion: knee towards the focus (anterior in an AP view) positive.
        abduction: knee away from the midline positive.
        rotation: head away from the focus positive (internal rotation in an AP view); anteversion counts as external.
    """

    flexion: float
    abduction: float
    rotation: float


def femur_pose(
    camera_from_world: Float[np.ndarray, "4 4"],
    shaft_axis: Float[np.ndarray, "3"],
    head_centre_mm: Float[np.ndarray, "3"],
    neck_centre_mm: Float[np.ndarray, "3"],
    side: Side,
) -> FemurPose:
    """Angles of a femur between its axes and the detector of an AP view.

    Args:
        camera_from_world: the femur's registered pose.
        shaft_axis: unit vector in the CT's world, pointing proximally.
        head_centre_mm: centre of the femoral head in the CT's world.
        neck_centre_mm: centre of the neck in the CT's world.
        side: side of the patient; the left hip is on the image right.
    """
    shaft = camera_from_world[:3, :3] @ shaft_axis
    shaft = shaft / np.linalg.norm(shaft)
    neck = camera_from_world[:3, :3] @ (head_centre_mm - neck_centre_mm)
    lateral = 1.0 if side is Side.LEFT else -1.0
    # Camera axes: x to image right, y down, z away from the focus. The shaft points up in the neutral position.
    flexion = np.arctan2(shaft[2], -shaft[1])
    abduction = np.arctan2(-lateral * shaft[0], -shaft[1])
    medial = neck - (neck @ shaft) * shaft
    beam = np.array([0.0, 0.0, 1.0])
    beam = beam - (beam @ shaft) * shaft
    beam = beam / np.linalg.norm(beam)
    across = np.cross(shaft, beam) * lateral
    rotation = np.arctan2(medial @ beam, medial @ across)
    return FemurPose(*(float(np.degrees(angle)) for angle in (flexion, abduction, rotation)))
