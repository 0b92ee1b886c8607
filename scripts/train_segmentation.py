"""Train the segmentation network on the patients that came with bone labels."""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from osteoray.config.segmentation import SegmentationConfig
from osteoray.errors.unreadable import Withheld
from osteoray.errors.verdict import Finding
from osteoray.imaging.volume import Volume
from osteoray.segmentation.network import Shape, to_checkpoint
from osteoray.segmentation.provided import provided_bones
from osteoray.segmentation.sides import BoneClass
from osteoray.segmentation.slices import central_box, network_input, network_target
from osteoray.segmentation.training import LabelledSlices, Schedule, train
from osteoray.store.atomic import writing
from osteoray.store.manifest import Manifest, read_manifest, recording
from osteoray.store.nifti import read_volume


def labelled_slices(ingest: Manifest, labels: Path, config: SegmentationConfig) -> LabelledSlices:
    """What the network sees of a patient, and what it should say."""
    ct_hu = read_volume(ingest.file("ct"))
    bones = Volume(provided_bones(read_volume(labels, name="bone_labels"), ct_hu.grid), ct_hu.grid)
    window_hu = (config.window_low_hu, config.window_high_hu)
    slices = network_input(central_box(ct_hu), config.inplane_mm, config.slice_mm, window_hu)
    return LabelledSlices(slices.array, network_target(bones, slices))


def train_network(patients: list[LabelledSlices], config: SegmentationConfig, manifest: Manifest) -> None:
    """Train, keep a resumable checkpoint on the way, and write the network."""
    shape = Shape(config.base_filters, config.levels, config.dropout, len(BoneClass))
    schedule = Schedule(
        steps=config.training_steps,
        batch=config.batch_slices,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        seed=config.seed,
        report_steps=config.report_steps,
    )
    resume_path = manifest.path.with_suffix(".resume.pt")
    run = {"config": config.model_dump_json(), "patients": manifest.facts["patients"]}
    resume = torch.load(resume_path, weights_only=True) if resume_path.exists() else None
    if resume is not None and resume["run"] != run:
        resume = None
    for snapshot in train(patients, shape, schedule, resume and resume["state"]):
        print(f"train_segmentation: step {snapshot.step}/{schedule.steps}, loss {snapshot.loss:.4f}", file=sys.stderr)
        with writing(resume_path) as temporary:
            torch.save({"run": run, "state": snapshot.resume}, temporary)
    path = manifest.path.with_suffix(".pt")
    with writing(path) as temporary:
        torch.save(to_checkpoint(snapshot.network), temporary)
    manifest.add_file("model", path)
    manifest.facts["final_loss"] = snapshot.loss
    resume_path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ingest", required=True, nargs="+", type=Path, help="manifests of ingest, labelled patients")
    parser.add_argument("--labels", required=True, nargs="+", type=Path, help="their bone labels, in the same order")
    parser.add_argument("--config", required=True, help="segmentation section as JSON")
    parser.add_argument("--output", required=True, type=Path, help="manifest to write; the network lies beside it")
    args = parser.parse_args()
    torch.set_num_threads(1)
    config = SegmentationConfig.model_validate_json(args.config)
    with recording("segmentation", "network", args.output) as manifest:
        pairs = zip(map(read_manifest, args.ingest), args.labels, strict=True)
        usable = {}
        for ingest, labels in pairs:
            if not ingest.is_withheld:
                try:
                    usable[ingest.patient_id] = labelled_slices(ingest, labels, config)
                except Withheld as error:
                    detail = f"{ingest.patient_id}: {error.finding.detail}"
                    manifest.findings.append(Finding("SEG-LABELS", detail))
        if not usable:
            raise Withheld("SEG-MODEL", "none of the labelled patients has a usable CT and usable labels")
        manifest.facts["patients"] = list(usable)
        patients = list(usable.values())
        manifest.facts["slices"] = int(np.sum([len(patient.images) for patient in patients]))
        train_network(patients, config, manifest)


if __name__ == "__main__":
    main()
