"""Segment the held-out patients of a fold and compare every bone with its label."""

import argparse
from pathlib import Path

from osteoray.config.segmentation import SegmentationConfig
from osteoray.errors.unreadable import Withheld
from osteoray.errors.verdict import Verdict
from osteoray.imaging.volume import Volume
from osteoray.segmentation.agreement import bone_agreements
from osteoray.segmentation.cleaning import cleaned
from osteoray.segmentation.completeness import refuse_incomplete
from osteoray.segmentation.inference import segment_ct
from osteoray.segmentation.provided import provided_bones
from osteoray.segmentation.quality import doubt_of_bones
from osteoray.segmentation.segmenter import load_segmenter
from osteoray.segmentation.validation import COLUMNS, bone_rows
from osteoray.store.manifest import Manifest, read_manifest
from osteoray.store.nifti import read_volume
from osteoray.store.tables import write_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fold", required=True, type=int, help="number of the fold")
    parser.add_argument("--model", required=True, type=Path, help="manifest of the network that has not seen them")
    parser.add_argument("--ingest", required=True, nargs="+", type=Path, help="manifests of ingest, held-out patients")
    parser.add_argument("--labels", required=True, nargs="+", type=Path, help="their bone labels, in the same order")
    parser.add_argument("--config", required=True, help="segmentation section as JSON")
    parser.add_argument("--output", required=True, type=Path, help="table to write")
    args = parser.parse_args()
    config = SegmentationConfig.model_validate_json(args.config)
    model, rows = read_manifest(args.model), []
    for ingest, labels in zip(map(read_manifest, args.ingest), args.labels, strict=True):
        try:
            rows += rows_of_patient(ingest, labels, model, args.fold, config)
        except Withheld as error:
            found = {"code": error.finding.code, "detail": error.finding.detail}
            rows.append({"patient_id": ingest.patient_id, "fold": args.fold} | found)
    write_table(args.output, rows, COLUMNS)


def rows_of_patient(
    ingest: Manifest, labels: Path, model: Manifest, fold: int, config: SegmentationConfig
) -> list[dict]:
    """Rows of a held-out patient; `Withheld` if there is no CT, no label or no network."""
    for manifest in (ingest, model):
        if manifest.is_withheld:
            finding = next(f for f in manifest.findings if f.verdict is Verdict.WITHHELD and not (f.xray_id or f.side))
            raise Withheld(finding.code, finding.detail)
    ct_hu = read_volume(ingest.file("ct"))
    try:
        reference = provided_bones(read_volume(labels, name="bone_labels"), ct_hu.grid)
    except Withheld as error:
        raise Withheld("SEG-LABELS", error.finding.detail) from error
    refuse_incomplete(Volume(reference, ct_hu.grid))
    found = segment_ct(load_segmenter(model.file("model")), ct_hu, config.samples, config.seed)
    as_found = Volume(found.bones, ct_hu.grid)
    agreements = bone_agreements(cleaned(as_found), reference, ct_hu.grid)
    return bone_rows(ingest.patient_id, fold, agreements, doubt_of_bones(as_found, found.uncertainty))


if __name__ == "__main__":
    main()
