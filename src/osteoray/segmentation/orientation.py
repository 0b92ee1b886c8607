"""How a femur lies in the CT: flexion, abduction and rotation against the patient's axes.

Zero is a shaft along the long axis of the scan with the neck in the coronal plane, the position of a hip densitometry.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from osteoray.imaging.bones import Side


@dataclass(frozen=True)
class FemurOrientation:
    """Angles in degrees against LPS.

    Attributes:
        flexion: knee to anterior positive; angle of the shaft in the sagittal plane.
        abduction: knee away from the midline positive; angle of the shaft in the coronal plane.
        rotation: internal positive: head posterior of the shaft; angle of the neck about the shaft. Anteversion counts
            as external, so a relaxed leg with a neck anteverted by 15 degrees reads about -15.
    """

    flexion: float
    abduction: float
    rotation: float


def femur_orientation(
    neck_axis: Float[np.ndarray, 3], shaft_axis: Float[np.ndarray, 3], side: Side
) -> FemurOrientation:
    """Angles of a femur's axes against the patient's.

    Args:
        neck_axis: unit vector towards the head, LPS.
        shaft_axis: unit vector towards the hip, LPS.
        side: side of the patient.
    """
    lateral = 1.0 if side is Side.LEFT else -1.0
    posterior = np.array([0.0, 1.0, 0.0])
    posterior = posterior - (posterior @ shaft_axis) * shaft_axis
    posterior /= np.linalg.norm(posterior)
    medial = np.cross(posterior, shaft_axis) * -lateral
    angles_rad = (
        np.arctan2(shaft_axis[1], shaft_axis[2]),
        np.arctan2(-lateral * shaft_axis[0], shaft_axis[2]),
        np.arctan2(neck_axis @ posterior, neck_axis @ medial),
    )
    return FemurOrientation(*(float(np.degrees(angle)) for angle in angles_rad))
