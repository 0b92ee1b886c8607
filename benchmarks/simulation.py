"""What one virtual patient costs: seconds by part, peak memory and megabytes on disk; prints Markdown tables.

One core, a warm compilation cache, the very script of the pipeline. Run: python benchmarks/simulation.py
"""

from __future__ import annotations

import argparse
import functools
import os
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts import simulate_patient

from osteoray.config.simulation import CtScannerConfig, SimulationConfig, XraySystemConfig
from osteoray.simulation import xray_examination, xray_view

PARTS: dict[str, tuple[ModuleType, tuple[str, ...]]] = {
    "body": (simulate_patient, ("make_body",)),
    "CT": (simulate_patient, ("examine_ct",)),
    "CT files": (simulate_patient, ("write_ct",)),
    "taking the body apart": (simulate_patient, ("take_apart",)),
    "truth: volumes": (simulate_patient, ("write_truth_volumes",)),
    "truth: densities": (simulate_patient, ("density_facts", "shadow_facts")),
    "truth: DXA": (simulate_patient, ("dxa_facts",)),
    "truth: map files": (simulate_patient, ("write_arrays", "compact_maps")),
    "X-rays: soft tissue": (xray_view, ("pose_soft_tissue",)),
    "X-rays: masses and maps": (xray_examination, ("project_body",)),
    "X-rays: image": (xray_examination, ("take_xray",)),
    "X-ray files": (simulate_patient, ("write_xray",)),
}
"""Functions by part; time in a function that is called by another one counts for the inner one only."""


class Stopwatch:
    """Seconds by part, each without what was spent in parts inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside: list[float] = []

    def timed(self, part: str, function: Callable) -> Callable:
        """The function with its time counted."""

        @functools.wraps(function)
        def measured(*arguments, **options):
            start = time.perf_counter()
            self._inside.append(0.0)
            try:
                return function(*arguments, **options)
            finally:
                spent = time.perf_counter() - start
                self.seconds[part] += spent - self._inside.pop()
                if self._inside:
                    self._inside[-1] += spent

        return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patient", default="V001", help="V001, V002, ...")
    parser.add_argument("--spacing", default=1.6, type=float, help="voxels of the body in mm")
    parser.add_argument("--coarse", action="store_true", help="a quarter of the resolution, to try it out")
    args = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    factor = 4 if args.coarse else 1
    config = SimulationConfig(
        patients=1,
        labelled=0,
        xrays_per_patient=4,
        anatomy_spacing_mm=args.spacing * (2 if args.coarse else 1),
        ct=CtScannerConfig(matrix=512 // factor, pixel_mm=0.8 * factor, slice_mm=1.5 * factor),
        xray=XraySystemConfig(rows=1500 // factor, columns=1800 // factor, pitch_mm=0.25 * factor),
    )
    warm(config, args.patient)
    watch = Stopwatch()
    for part, (module, names) in PARTS.items():
        for name in names:
            setattr(module, name, watch.timed(part, getattr(module, name)))
    with tempfile.TemporaryDirectory() as folder:
        start, busy = time.perf_counter(), time.process_time()
        simulate(config, args.patient, Path(folder))
        wall, cpu = time.perf_counter() - start, time.process_time() - busy
        peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        times(watch.seconds, wall, cpu, peak_gb)
        full = sizes_mb(Path(folder))
        compact = config.model_copy(update={"truth": "compact"})
        simulate(compact, args.patient, Path(folder) / "compact")
        disk(full, sizes_mb(Path(folder) / "compact"))


def warm(config: SimulationConfig, patient: str) -> None:
    """Compile everything on a coarse patient."""
    coarse = {"anatomy_spacing_mm": 5.0, "ct": CtScannerConfig(matrix=64, pixel_mm=7.0, slice_mm=8.0)}
    coarse |= {"xray": XraySystemConfig(rows=96, columns=120, pitch_mm=4.0), "xrays_per_patient": 1}
    with tempfile.TemporaryDirectory() as folder:
        simulate(config.model_copy(update=coarse), patient, Path(folder))


def simulate(config: SimulationConfig, patient: str, folder: Path) -> None:
    """Run the script of the pipeline in this process."""
    arguments = ["--patient", patient, "--config", config.model_dump_json(), "--raw", str(folder / "raw")]
    sys.argv = ["simulate_patient.py", *arguments, "--output", str(folder / "truth" / "manifest.json")]
    simulate_patient.main()


def times(seconds: dict[str, float], wall: float, cpu: float, peak_gb: float) -> None:
    print("| part | s |\n|---|---|")
    for part in PARTS:
        print(f"| {part} | {seconds[part]:.2f} |")
    print(f"| the rest | {wall - sum(seconds.values()):.2f} |")
    print(f"| all | {wall:.1f} ({cpu:.1f} of the processor) |\n\nPeak memory {peak_gb:.2f} GB.\n")


def sizes_mb(folder: Path) -> dict[str, float]:
    """Megabytes of a patient by kind of file."""
    kinds = {"raw CT": "raw/CT/*", "raw X-rays": "raw/XR/*", "truth: labels": "truth/[bp]*.nii.gz"}
    kinds |= {"truth: densities": "truth/[hq]*.nii.gz", "truth: maps": "truth/*.npz", "truth: numbers": "truth/*.json"}
    return {kind: sum(f.stat().st_size for f in folder.glob(pattern)) / 1e6 for kind, pattern in kinds.items()}


def disk(full: dict[str, float], compact: dict[str, float]) -> None:
    print("| MB per patient | full | compact |\n|---|---|---|")
    for kind in full:
        print(f"| {kind} | {full[kind]:.2f} | {compact[kind]:.2f} |")
    totals = [sum(sizes.values()) for sizes in (full, compact)]
    print(f"| all | {totals[0]:.1f} | {totals[1]:.1f} |")
    print(f"| 600 patients, GB | {0.6 * totals[0]:.0f} | {0.6 * totals[1]:.0f} |")


if __name__ == "__main__":
    main()
