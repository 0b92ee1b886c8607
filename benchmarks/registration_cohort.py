"""Registration of virtual cohorts: success, accuracy, robustness, false passes, and the error it adds to density maps.

Needs results of virtual cohorts up to calibration, with `truth: full` and several X-rays per patient:
`snakemake --until calibrate_ct`. X-rays are the simulation's own (polyenergetic, scatter, noise, own ray integrals);
masks and landmarks are the true ones, so that the numbers are those of registration alone.

A trial is one X-ray registered under one condition. All trials are written as JSON Lines, with every score and the true
error of every bone, before any limit is applied; the tables are made from that file.
Run: python benchmarks/registration_cohort.py --results FOLDER [FOLDER ...] --trials trials.jsonl
     python benchmarks/registration_cohort.py --trials trials.jsonl
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import ndimage

from osteoray.config.registration import RegistrationConfig
from osteoray.geometry.camera import Camera
from osteoray.imaging.bones import FEMUR, PROXIMAL_FEMUR, Side
from osteoray.imaging.partial_volume import bone_density
from osteoray.imaging.radiograph import Radiograph
from osteoray.imaging.volume import Volume
from osteoray.ingest.xray_metal import find_metal
from osteoray.registration.bone_models import FEMUR_NAME, BoneModel, patient_models
from osteoray.registration.parametrisation import PoseSpace, unit_ranges
from osteoray.registration.targets import shown_pixels
from osteoray.registration.verdict import findings
from osteoray.registration.xray import SAME_OPTIMUM, Plan, Registration, register_xray, start_camera
from osteoray.store.manifest import Manifest, read_manifest
from osteoray.store.nifti import read_radiograph, read_volume

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.registration_errors import bone_row, map_error_percent
from benchmarks.registration_failures import failures
from benchmarks.registration_tables import AS_IT_IS, LIMITS, print_sd, print_success, print_verdict
from benchmarks.thick_slices import in_thick_slices
from scripts.register_xrays import MODEL_OPTIONS, plan_of

CONFIG = RegistrationConfig()
PLAN = plan_of(CONFIG, CONFIG.depth_range_mm)
START = unit_ranges(10.0, 20.0, 0.0) + unit_ranges(0.0, 0.0, 50.0)
STEM_RADIUS_MM, STEM_LENGTH_MM = 7.0, 120.0
METAL_NEPERS = 1.0
"""How much more than anything else in the field metal attenuates, scatter included."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Xray:
    """An X-ray, its tags, collimated field, boxes around metal, and the true camera of every bone."""

    name: str
    radiograph: Radiograph
    source_patient_mm: float
    exposed: Box | None
    metal: tuple[Box, ...]
    cameras: dict[str, Camera]


@dataclass(frozen=True, eq=False)
class Subject:
    """A patient's CT, its true bones and what the simulation knows."""

    name: str
    qct: Volume
    bones: Volume
    proximal: np.ndarray
    heads_mm: dict[Side, np.ndarray]
    truth: Manifest
    ingest: Manifest

    @classmethod
    def read(cls, results: Path, patient: str) -> Subject:
        """A patient of a results folder."""
        truth = read_manifest(results / "virtual" / "truth" / patient / "manifest.json")
        calibration = read_manifest(results / "calibration" / patient / "calibration.json")
        ingest = read_manifest(results / "ingest" / patient / "manifest.json")
        heads_mm = {side: np.array(truth.facts["femur"][side]["head_centre_mm"]) for side in Side}
        qct = read_volume(calibration.file("qct"), np.float32)
        bones, proximal = (read_volume(truth.file(name)) for name in ("bones", "proximal_femur"))
        return cls(f"{results.name}/{patient}", qct, bones, proximal.array, heads_mm, truth, ingest)

    @cached_property
    def parts(self) -> dict[str, Volume]:
        """Density of the proximal femurs in the scanned CT with the true masks, by the femur's name."""
        bones, parts = self.bones.array, {}
        for side, name in FEMUR_NAME.items():
            mask, region = bones == FEMUR[side], self.proximal == PROXIMAL_FEMUR[side]
            if region.any():
                parts[name] = bone_density(self.qct, bones, mask, region).of_part(mask, region)
        return parts

    def models(self, mask_voxels: int = 0, slice_mm: float = 0.0) -> dict[str, BoneModel]:
        """Bone models, from masks that are too large or too small or from thick slices."""
        slices = max(round(slice_mm / self.qct.grid.spacing_mm[0]), 1)
        qct, bones = in_thick_slices(self.qct, slices), thick_labels(self.bones, slices)
        if mask_voxels > 0:
            bones = Volume(grown(bones.array), bones.grid)
        if mask_voxels < 0:
            edge = ndimage.grey_dilation(bones.array, (3, 3, 3)) != ndimage.grey_erosion(bones.array, (3, 3, 3))
            bones = Volume(np.where(edge, 0, bones.array).astype(np.uint8), bones.grid)
        options = {name: getattr(CONFIG, name) for name in MODEL_OPTIONS}
        return patient_models(qct, bones, self.heads_mm, CONFIG.voxel_mm, **options)

    def xrays(self) -> Iterator[Xray]:
        """Every X-ray that can be used."""
        for name, facts in sorted(self.truth.facts["xrays"].items()):
            if not self.ingest.withholds(name):
                radiograph = read_radiograph(self.ingest.file(f"xray_{name}"))
                detector = np.array(facts["K"]), tuple(facts["shape"]), tuple(facts["pitch_mm"])
                poses = {body: np.array(pose) for body, pose in facts["camera_from_world"].items()}
                cameras = {body: Camera(detector[0], pose, *detector[1:]) for body, pose in poses.items()}
                seen = self.ingest.facts["xrays"][name]
                source_mm = seen["source_patient_mm"] or seen["sid_mm"] - CONFIG.object_detector_mm
                yield Xray(name, radiograph, source_mm, seen["field"] and tuple(seen["field"]), (), cameras)


def grown(labels: np.ndarray) -> np.ndarray:
    """Labels one voxel larger, into what is no bone."""
    return np.where(labels > 0, labels, ndimage.grey_dilation(labels, (3, 3, 3)))


def thick_labels(bones: Volume, count: int) -> Volume:
    """The label that most of the voxels of a thick one have."""
    shares = {
        label: in_thick_slices(Volume(bones.array == label, bones.grid), count) for label in np.unique(bones.array)
    }
    order = list(shares)
    array = np.argmax([shares[label].array for label in order], axis=0)
    return Volume(np.array(order, np.uint8)[array], shares[order[0]].grid)


@dataclass(frozen=True)
class Condition:
    """What is wrong in a trial; the defaults are nothing."""

    name: str
    reach: float = 1.0
    sid: float = 1.0
    principal_mm: float = 0.0
    mask_voxels: int = 0
    slice_mm: float = 0.0
    has_stem: bool = False
    is_mirrored: bool = False
    is_toned: bool = False
    is_stranger: bool = False


EVERY_XRAY = (Condition(AS_IT_IS), Condition("starts twice as far", reach=2.0))
SOME_XRAYS = (
    Condition("source 2 % too far", sid=1.02),
    Condition("source 2 % too near", sid=0.98),
    Condition("principal point 8 mm off", principal_mm=8.0),
    Condition("masks one voxel large", mask_voxels=1),
    Condition("masks one voxel small", mask_voxels=-1),
    Condition("slices of 3 mm", slice_mm=3.0),
    Condition("stem in the left femur", has_stem=True),
    Condition("tone curve", is_toned=True),
    Condition("mirrored", is_mirrored=True),
    Condition("another patient's X-ray", is_stranger=True),
)


def altered(condition: Condition, xray: Xray, subject: Subject) -> Xray:
    """The X-ray under a condition; metal is found as ingest finds it."""
    image, exposed, metal = xray.radiograph.array, xray.exposed, xray.metal
    pitch_mm = xray.radiograph.spacing_mm
    if condition.has_stem:
        field = shown_pixels(image.shape, exposed)
        level = np.float32(np.percentile(image[field], 99.5) + METAL_NEPERS)
        image = np.where(stem(subject, xray.cameras["left_femur"]) & field, level, image)
        metal = tuple(found.box for found in find_metal(image, pitch_mm, field))
    if condition.is_toned:
        low, high = np.percentile(image, (1, 99))
        image = 1 / (1 + np.exp(-6 * ((image - low) / (high - low) - 0.5)))
    if condition.is_mirrored:
        image, columns = image[:, ::-1], image.shape[1]
        exposed = exposed and (*exposed[:2], columns - exposed[3], columns - exposed[2])
    image = np.ascontiguousarray(image, dtype=np.float32)
    return replace(xray, radiograph=Radiograph(image, pitch_mm), exposed=exposed, metal=metal)


def stem(subject: Subject, camera: Camera) -> np.ndarray:
    """Silhouette of a metal stem and ball along the shaft of the left femur."""
    facts = subject.truth.facts["femur"][Side.LEFT]
    top_mm, axis = np.array(facts["lesser_trochanter_mm"]), np.array(facts["shaft_axis"])
    ball_mm = subject.heads_mm[Side.LEFT]
    along = top_mm + axis * np.linspace(30.0, 30.0 - STEM_LENGTH_MM, 60)[:, None]
    neck = along[0] + (ball_mm - along[0]) * np.linspace(0, 1, 30)[:, None]
    rows, columns = np.indices(camera.shape)
    covered = np.zeros(camera.shape, bool)
    for points_mm, radius_mm in ((along, STEM_RADIUS_MM), (neck, STEM_RADIUS_MM), (ball_mm[None], 2 * STEM_RADIUS_MM)):
        for row, column in camera.project(points_mm):
            radius = radius_mm * 1.2 / camera.pitch_mm[0]
            covered |= (rows - row) ** 2 + (columns - column) ** 2 < radius**2
    return covered


def started(camera: Camera, condition: Condition, centre_mm: np.ndarray, rng: np.random.Generator) -> Camera:
    """The camera as the tags would tell it, at a random start."""
    offset = rng.uniform(-1, 1, (1, 6)) * START * condition.reach
    K = camera.K.copy()
    K[:2, :2] *= condition.sid
    K[:2, 2] += condition.principal_mm / np.array(camera.pitch_mm[::-1]) / np.sqrt(2)
    pose = PoseSpace(camera.camera_from_world, centre_mm).poses(offset)[0]
    return Camera(K, pose, camera.shape, camera.pitch_mm)


def tagged(camera: Camera, xray: Xray, centre_mm: np.ndarray) -> Camera:
    """The camera from which the workflow starts: by the tags, with the pelvis in the middle."""
    principal = float(camera.K[1, 2]), float(camera.K[0, 2])
    return start_camera(camera.sid_mm, camera.pitch_mm, principal, camera.shape, xray.source_patient_mm, centre_mm)


def registered(
    xray: Xray, camera: Camera, models: dict[str, BoneModel], search: Plan, rng: np.random.Generator
) -> Registration:
    """A registration without limits, so that what would be withheld shows its errors too."""
    where = xray.radiograph, camera, models, search, UNLIMITED, rng, xray.exposed, xray.metal
    return register_xray(xray.name, *where)


def is_refused(found: Registration) -> bool:
    """The workflow would search for the pelvis again."""
    return "pelvis" in found.quality and bool(findings(found.quality["pelvis"], LIMITS, "X", None))


def trial(
    subject: Subject,
    models: dict[str, BoneModel],
    xray: Xray,
    condition: Condition,
    rng: np.random.Generator,
) -> dict:
    """One registration: scores and true errors by bone, CPU seconds."""
    shown, cameras = altered(condition, xray, subject), xray.cameras
    centre_mm = models["pelvis"].centre_mm
    if condition.is_stranger:
        camera = tagged(cameras["pelvis"], xray, centre_mm)
    else:
        camera = started(cameras["pelvis"], condition, centre_mm, rng)
    begin = time.process_time()
    # As in the workflow, a side that shows metal is not looked for.
    if shown.metal:
        models = {name: model for name, model in models.items() if name != "left_femur"}
    result = registered(shown, camera, models, PLAN, rng)
    if is_refused(result):
        harder = registered(shown, camera, models, replace(PLAN, pelvis_effort=PLAN.pelvis_effort.twice()), rng)
        if harder.quality["pelvis"].similarity > result.quality["pelvis"].similarity - SAME_OPTIMUM:
            result = harder
    row = {
        "subject": subject.name,
        "xray": xray.name,
        "condition": condition.name,
        "cpu_s": time.process_time() - begin,
        "wanted": sorted(models),
        "bones": {},
    }
    for body, placed in result.placed.items():
        entry = bone_row(placed, result.quality[body], models[body], camera, cameras[body])
        if body in subject.parts:
            found = camera.at(placed.camera_from_world)
            entry["abmd_error_percent"] = map_error_percent(subject.parts[body], found, cameras[body])
        row["bones"][body] = entry
    return row


UNLIMITED = replace(
    LIMITS,
    most_disagreement_mm=np.inf,
    least_z=-np.inf,
    least_femur_z=-np.inf,
    most_split_mm=np.inf,
    most_unsettled_mm=np.inf,
    most_edge=np.inf,
    least_field=-1.0,
    most_joint_shift_mm=np.inf,
    most_joint_depth_mm=np.inf,
    least_mirror_lead=-np.inf,
    enough_femur_similarity=-np.inf,
    most_rival_lead=np.inf,
)


def usable(folders: list[Path]) -> Iterator[tuple[Path, str]]:
    """Patients whose CT was calibrated."""
    for folder in folders:
        for path in sorted(folder.glob("calibration/*/calibration.json")):
            if not read_manifest(path).is_withheld:
                yield folder, path.parent.name


def run(folders: list[Path], xrays_altered: int) -> Iterator[dict]:
    """All trials of all patients; an altered X-ray is one of the first of each patient."""
    subjects = list(usable(folders))
    for number, (folder, patient) in enumerate(subjects):
        subject = Subject.read(folder, patient)
        # Patients of one folder of label maps may share an anatomy.
        others = [other for other in subjects if other[0] != folder] or subjects[number + 1 :] + subjects[:number]
        strange_folder, stranger = others[number % len(others)]
        xrays = list(subject.xrays())
        strangers = list(Subject.read(strange_folder, stranger).xrays())
        built = {(0, 0.0): subject.models()}
        for order, condition in enumerate(EVERY_XRAY + (SOME_XRAYS if xrays_altered else ())):
            key = condition.mask_voxels, condition.slice_mm
            if key not in built:
                built[key] = subject.models(*key)
            source = strangers if condition.is_stranger else xrays
            for index, xray in enumerate(source[: None if condition in EVERY_XRAY else xrays_altered]):
                rng = np.random.default_rng([number, order, index])
                yield trial(subject, built[key], xray, condition, rng)
        for index, xray in enumerate(xrays[:xrays_altered]):
            head = {"subject": subject.name, "xray": xray.name, "cpu_s": 0.0}
            failing = failures(xray, built[0, 0.0], CONFIG.pixel_mm, PLAN, np.random.default_rng([number, index]))
            yield from (head | row for row in failing)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, nargs="*", default=[], help="results folders of virtual cohorts")
    parser.add_argument("--trials", type=Path, required=True, help="JSON Lines, written with --results, else read")
    parser.add_argument("--altered", type=int, default=2, help="X-rays per patient for the conditions")
    args = parser.parse_args()
    if args.results:
        with args.trials.open("w", encoding="utf-8") as file:
            for row in run(args.results, args.altered):
                file.write(json.dumps(row) + "\n")
                file.flush()
    rows = [json.loads(line) for line in args.trials.read_text(encoding="utf-8").splitlines()]
    print_success(rows)
    print_sd(rows)
    print_verdict(rows)


if __name__ == "__main__":
    main()
