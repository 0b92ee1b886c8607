"""Write the X-ray tube spectra of resources/spectra with spekpy (a development tool, not a run-time dependency).

Run from the repository root: `python scripts/dev/make_spectra.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import spekpy

FOLDER = Path("resources/spectra")
ANODE_ANGLE_DEG = 12.0
DISTANCE_CM = 100.0
FILTER_MM_AL = {70: 3.0, 75: 3.0, 80: 3.0, 85: 3.0, 90: 3.0, 100: 7.0, 120: 7.0, 140: 7.0}
"""Total filtration by tube voltage: radiography up to 90 kVp, CT from 100 kVp."""


def write_spectrum(kvp: int, filter_mm_al: float) -> None:
    """Write photons/(cm²·mAs·keV) at 1 m in 1 keV bins."""
    tube = spekpy.Spek(kvp=kvp, th=ANODE_ANGLE_DEG, dk=1.0, z=DISTANCE_CM, mas=1.0)
    tube.filter("Al", filter_mm_al)
    energies_kev, fluence = tube.get_spectrum(edges=False)
    keep = fluence > 1e-6 * fluence.max()
    header = (
        f"tungsten anode, {ANODE_ANGLE_DEG:g} degrees, {kvp} kVp, {filter_mm_al:g} mm Al in all, at 1 m; "
        f"spekpy {spekpy.__version__}\nenergy_kev,photons_per_cm2_mas_kev"
    )
    table = np.stack([energies_kev, fluence], axis=1)[keep]
    np.savetxt(FOLDER / f"w_{kvp}kvp.csv", table, fmt=["%.1f", "%.5g"], delimiter=",", header=header)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for kvp, filter_mm_al in FILTER_MM_AL.items():
        write_spectrum(kvp, filter_mm_al)


if __name__ == "__main__":
    main()
