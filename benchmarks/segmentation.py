"""The segmentation networks on virtual patients that they have not seen; prints Markdown tables.

Needs `results/` folders of virtual cohorts with CT voxels of 1 mm, run up to ingest, one per kind of anatomy, e.g.
`cohort: {virtual: {patients: 26, anatomy_spacing_mm: 1.0, ct: {matrix: 430, pixel_mm: 1.0, slice_mm: 1.0}}}` and
`snakemake --until ingest_patient`: about a minute per patient. A network is trained on the first patients of every
cohort, and one on all cohorts mixed; each segments the last patients of every cohort, as they are and averaged to 3 mm
slices. Beside it: its coarse network alone, and a threshold with its largest part.
Run: python benchmarks/segmentation.py --cohort procedural=FOLDER --cohort labelmaps=FOLDER
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from osteoray.config.segmentation import SegmentationConfig
from osteoray.imaging.bones import Bone, Side
from osteoray.imaging.resampling import resample
from osteoray.imaging.volume import Volume
from osteoray.imaging.volume_resizing import resize_volume
from osteoray.segmentation.agreement import bone_agreements, mask_agreement
from osteoray.segmentation.cleaning import cleaned
from osteoray.segmentation.head_completion import completed_head
from osteoray.segmentation.inference import most_probable, segment_ct
from osteoray.segmentation.segmenter import Segmenter, coarse_samples
from osteoray.segmentation.slices import central_window, network_input, resized_grid
from osteoray.segmentation.training import train
from osteoray.segmentation.training_slices import TrainingPatient, training_patient
from osteoray.store.manifest import read_manifest
from osteoray.store.nifti import read_volume

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.thick_slices import in_thick_slices
from scripts.train_segmentation import design_of, schedule_of

CONFIG = SegmentationConfig()
THRESHOLD_HU = 200.0
GROUPS = {
    "hip bones": (Bone.LEFT_HIP, Bone.RIGHT_HIP),
    "femurs": (Bone.LEFT_FEMUR, Bone.RIGHT_FEMUR),
    "sacrum": (Bone.SACRUM,),
}


@dataclass(frozen=True, eq=False)
class Patient:
    """A CT in HU and its true bones on the same grid."""

    ct_hu: Volume
    bones: Volume


def patients_of(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("ingest/*/manifest.json"))


def read_patient(folder: Path, patient_id: str) -> Patient:
    ct_hu = read_volume(read_manifest(folder / f"ingest/{patient_id}/manifest.json").file("ct"))
    bones = read_volume(read_manifest(folder / f"virtual/truth/{patient_id}/manifest.json").file("bones"))
    on_ct = resample(Volume(bones.array.astype(np.uint8), bones.grid), ct_hu.grid, nearest=True)
    return Patient(ct_hu, on_ct)


def with_thick_slices(patient: Patient, count: int) -> Patient:
    """Neighbouring slices averaged; a voxel is bone if most of it is."""
    mean_hu = in_thick_slices(patient.ct_hu, count)
    bones = np.zeros(mean_hu.array.shape, np.uint8)
    for bone in Bone:
        bones[in_thick_slices(Volume(patient.bones.array == bone, patient.bones.grid), count).array > 0.5] = bone
    return Patient(Volume(np.rint(mean_hu.array).astype(np.int16), mean_hu.grid), Volume(bones, mean_hu.grid))


def trained_on(patients: list[TrainingPatient]) -> Segmenter:
    start, cpu = time.perf_counter(), time.process_time()
    *_, last = train(patients, design_of(CONFIG), schedule_of(CONFIG), device())
    seconds = time.perf_counter() - start, time.process_time() - cpu
    print(f"<!-- trained on {len(patients)} patients: {seconds[0]:.0f} s wall, {seconds[1]:.0f} s CPU -->", flush=True)
    last.segmenter.coarse.eval()
    last.segmenter.fine.eval()
    return last.segmenter


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def coarse_bone(segmenter: Segmenter, ct_hu: Volume) -> Volume:
    """Bone of any kind by the coarse network alone, on the grid of the central box."""
    box, scale = ct_hu.cut(central_window(ct_hu)), segmenter.design.coarse
    images = network_input(box, scale.pixel_mm, scale.slice_mm, segmenter.design.window_hu).array
    with torch.inference_mode():
        found = coarse_samples(segmenter.coarse, torch.from_numpy(images).to(segmenter.device), CONFIG.samples)
    return Volume(most_probable(found.mean(dim=0).cpu().numpy(), box.array.shape) > 0, box.grid)


def thresholded_bone(ct_hu: Volume) -> Volume:
    """Bone of any kind by a threshold: the largest part of the box, its holes filled layer by layer."""
    box = ct_hu.cut(central_window(ct_hu))
    parts, _ = ndimage.label(ndimage.gaussian_filter(box.array.astype(np.float32), 0.5) > THRESHOLD_HU)
    largest = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    return Volume(np.stack([ndimage.binary_fill_holes(layer) for layer in largest]), box.grid)


def whole_bone_dice(found: Volume, patient: Patient) -> float:
    """Dice of bone of any kind in the central box: a threshold cannot tell bones apart."""
    truth = resample(patient.bones, found.grid, nearest=True).array > 0
    return mask_agreement(found.array, truth, found.grid).dice


def segmented(segmenter: Segmenter, case: Patient) -> np.ndarray:
    """Labels of `Bone` as the workflow uses them."""
    found = segment_ct(segmenter, case.ct_hu, CONFIG.samples, CONFIG.seed)
    bones = cleaned(Volume(found.bones, case.ct_hu.grid))
    for side in Side:
        bones, _ = completed_head(Volume(bones, case.ct_hu.grid), side)
    return bones


def accuracy_rows(segmenter: Segmenter, cases: list[Patient]) -> Iterator[str]:
    """Mean and worst agreement per group of bones."""
    found = [segmented(segmenter, case) for case in cases]
    each = [bone_agreements(f, c.bones.array, c.ct_hu.grid) for f, c in zip(found, cases, strict=True)]
    for name, bones in GROUPS.items():
        of_group = [agreements[bone] for agreements in each for bone in bones if bone in agreements]
        dice, asd_mm = np.array([a.dice for a in of_group]), np.array([a.asd_mm for a in of_group])
        yield f"{name} | {dice.mean():.4f} | {dice.min():.4f} | {np.nanmean(asd_mm):.2f} | {np.nanmax(asd_mm):.2f}"


def print_accuracy(segmenters: dict[str, Segmenter], held_out: dict[str, list[Patient]]) -> None:
    print("\n| trained on | tried on | slices | bones | Dice mean | Dice least | ASD mean, mm | ASD most, mm |")
    print("|---|---|---|---|---|---|---|---|")
    for trained, segmenter in segmenters.items():
        for tried, cases in held_out.items():
            for count in (1, 3):
                thick = [with_thick_slices(case, count) for case in cases]
                for row in accuracy_rows(segmenter, thick):
                    print(f"| {trained} | {tried} (n = {len(cases)}) | {count} mm | {row} |", flush=True)


def print_peers(segmenter: Segmenter, cases: list[Patient]) -> None:
    both = [segmented(segmenter, case) > 0 for case in cases]
    dice = {
        "both networks": [whole_bone_dice(Volume(b, c.ct_hu.grid), c) for b, c in zip(both, cases, strict=True)],
        "coarse network alone": [whole_bone_dice(coarse_bone(segmenter, case.ct_hu), case) for case in cases],
        f"threshold {THRESHOLD_HU:g} HU, largest part": [whole_bone_dice(thresholded_bone(c.ct_hu), c) for c in cases],
    }
    print("\n| bone of any kind | Dice |\n|---|---|")
    for name, values in dice.items():
        print(f"| {name} | {np.mean(values):.4f} |")


def print_speed(segmenter: Segmenter, patient: Patient) -> None:
    """Time and memory of the largest common CT with ten samples."""
    shape = (400, 512, 512)
    array = np.rint(resize_volume(patient.ct_hu.array.astype(np.float32), shape)).astype(np.int16)
    ct_hu = Volume(array, resized_grid(patient.ct_hu.grid, shape))
    start, cpu = time.perf_counter(), time.process_time()
    segment_ct(segmenter, ct_hu, 10, 0)
    wall_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"\n512 x 512 x 400, 10 samples, {torch.get_num_threads()} threads, {device()}: ", end="")
    print(f"{wall_s:.0f} s wall, {cpu_s:.0f} s CPU; peak of the process {peak_gb:.1f} GB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohort", required=True, action="append", help="NAME=FOLDER of its results; repeat")
    parser.add_argument("--trained", type=int, default=10, help="patients to train on, the first of each cohort")
    parser.add_argument("--held-out", type=int, default=6, help="patients to try on, the last of each cohort")
    args = parser.parse_args()
    folders = {name: Path(folder) for name, folder in (text.split("=", 1) for text in args.cohort)}
    learning: dict[str, list[TrainingPatient]] = {}
    held_out: dict[str, list[Patient]] = {}
    for name, folder in folders.items():
        ids = patients_of(folder)
        held_out[name] = [read_patient(folder, patient_id) for patient_id in ids[-args.held_out :]]
        seen = [read_patient(folder, p) for p in ids[: min(args.trained, len(ids) - args.held_out)]]
        learning[name] = [training_patient(p.ct_hu, p.bones, design_of(CONFIG)) for p in seen]
    segmenters = {name: trained_on(patients) for name, patients in learning.items()}
    if len(folders) > 1:
        segmenters["all"] = trained_on([patient for patients in learning.values() for patient in patients])
    first = next(iter(folders))
    print_speed(segmenters[first], held_out[first][0])
    print_accuracy(segmenters, held_out)
    print_peers(segmenters[first], held_out[first])


if __name__ == "__main__":
    main()
