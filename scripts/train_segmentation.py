"""Train the segmentation networks on the patients that came with bone labels."""

import argparse
import sys
from pathlib import Path

import torch

import osteoray
from osteoray.config.code_digest import code_digest
from osteoray.config.segmentation import SegmentationConfig
from osteoray.errors.unreadable import Withheld
from osteoray.errors.verdict import Finding
from osteoray.imaging.volume import Volume
from osteoray.segmentation.completeness import refuse_incomplete
from osteoray.segmentation.provided import provided_bones
from osteoray.segmentation.segmenter import Design, Scale, to_checkpoint
from osteoray.segmentation.training import Schedule, Stage, train
from osteoray.segmentation.training_slices import TrainingPatient, training_patient
from osteoray.store.atomic import writing
from osteoray.store.manifest import Manifest, digest, read_manifest, recording
from osteoray.store.nifti import read_volume

SOURCE = Path(osteoray.__file__).parent.parent


def design_of(config: SegmentationConfig) -> Design:
    """The networks that the configuration asks for."""
    return Design(
        coarse=Scale(config.coarse_mm, config.coarse_mm, config.coarse_filters, config.coarse_levels),
        fine=Scale(config.fine_mm, config.fine_slice_mm, config.fine_filters, config.fine_levels),
        dropout=config.dropout,
        window_hu=(config.window_low_hu, config.window_high_hu),
    )


def schedule_of(config: SegmentationConfig) -> Schedule:
    """The training that the configuration asks for."""
    return Schedule(
        coarse=Stage(config.coarse_steps, config.batch, config.learning_rate),
        fine=Stage(config.fine_steps, config.batch, config.learning_rate),
        window_px=config.window_px,
        weight_decay=config.weight_decay,
        seed=config.seed,
        report_steps=config.report_steps,
    )


def labelled_patient(ingest: Manifest, labels: Path, design: Design) -> TrainingPatient:
    """What the networks see of a patient, and what they should say."""
    ct_hu = read_volume(ingest.file("ct"))
    bones = Volume(provided_bones(read_volume(labels, name="bone_labels"), ct_hu.grid), ct_hu.grid)
    refuse_incomplete(bones)
    return training_patient(ct_hu, bones, design)


def train_networks(
    patients: list[TrainingPatient], learned: list[list[str]], config: SegmentationConfig, manifest: Manifest
) -> None:
    """Train, keep a resumable checkpoint on the way, and write the networks.

    Args:
        patients: to learn from.
        learned: of each, what tells it from others; a checkpoint is continued only by the same patients, settings
            and code.
        config: how to train.
        manifest: where the networks are named.
    """
    run = {"config": config.model_dump_json(), "patients": learned, "code": code_digest(__file__, SOURCE)}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    resume_path = manifest.path.with_suffix(".resume.pt")
    resume = torch.load(resume_path, weights_only=True) if resume_path.exists() else None
    if resume is not None and resume["run"] != run:
        resume = None
    for snapshot in train(patients, design_of(config), schedule_of(config), device, resume and resume["state"]):
        where = f"{snapshot.network} network, step {snapshot.step}"
        print(f"train_segmentation: {where}, loss {snapshot.loss:.4f}", file=sys.stderr)
        with writing(resume_path) as temporary:
            torch.save({"run": run, "state": snapshot.resume}, temporary)
    path = manifest.path.with_suffix(".pt")
    with writing(path) as temporary:
        torch.save(to_checkpoint(snapshot.segmenter), temporary)
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
    config = SegmentationConfig.model_validate_json(args.config)
    with recording("segmentation", "network", args.output) as manifest:
        pairs = zip(map(read_manifest, args.ingest), args.labels, strict=True)
        usable, learned, design = {}, [], design_of(config)
        for ingest, labels in pairs:
            if not ingest.is_withheld:
                try:
                    usable[ingest.patient_id] = labelled_patient(ingest, labels, design)
                    learned.append([ingest.patient_id, digest(ingest.file("ct")), digest(labels)])
                except Withheld as error:
                    detail = f"{ingest.patient_id}: {error.finding.detail}"
                    manifest.findings.append(Finding("SEG-LABELS", detail))
        if not usable:
            raise Withheld("SEG-MODEL", "none of the labelled patients has a usable CT and usable labels")
        manifest.facts["patients"] = list(usable)
        train_networks(list(usable.values()), learned, config, manifest)


if __name__ == "__main__":
    main()
