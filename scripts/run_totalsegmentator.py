"""Run TotalSegmentator on a patient's CT and keep the masks of the bones of the hip."""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

from osteoray.config.segmentation import TotalSegmentatorConfig
from osteoray.errors.unreadable import UnreadableInput, Withheld
from osteoray.imaging.volume import Volume
from osteoray.segmentation.totalsegmentator import BONE_OF_CLASS
from osteoray.segmentation.totalsegmentator_command import COMMAND, call, segment_arguments
from osteoray.store.manifest import Manifest, read_json, read_manifest, recording
from osteoray.store.nifti import read_volume, write_volume


def read_mask(path: Path) -> Volume:
    """A mask as the command wrote it."""
    if not path.is_file():
        raise Withheld("SEG-TOOL", f"{COMMAND}: expected {path.name}, got no such file")
    try:
        return read_volume(path, np.uint8, name=path.name)
    except UnreadableInput as error:
        raise Withheld("SEG-TOOL", f"{COMMAND}: {error.finding.detail}") from None


def run(ct: Path, config: TotalSegmentatorConfig, manifest: Manifest) -> None:
    """Call the command and write its masks anew, so that equal masks are equal bytes."""
    device = "gpu" if os.environ.get("CUDA_VISIBLE_DEVICES") != "" else "cpu"
    out = manifest.path.with_suffix("")
    with tempfile.TemporaryDirectory() as folder:
        ended = call(segment_arguments(ct.resolve(), Path(folder, "masks"), device, config.fast))
        if ended.code != 0:
            raise Withheld("SEG-TOOL", f"{COMMAND}: expected masks, got {ended.reason}")
        for name in BONE_OF_CLASS:
            mask = read_mask(Path(folder, "masks", f"{name}.nii.gz"))
            write_volume(out / f"{name}.nii.gz", mask)
            manifest.add_file(name, out / f"{name}.nii.gz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ingest", required=True, type=Path, help="manifest of ingest")
    parser.add_argument("--tool", required=True, type=Path, help="JSON of fetch_totalsegmentator")
    parser.add_argument("--config", required=True, help="segmentation.totalsegmentator section as JSON")
    parser.add_argument("--output", required=True, type=Path, help="manifest to write")
    args = parser.parse_args()
    config = TotalSegmentatorConfig.model_validate_json(args.config)
    ingest = read_manifest(args.ingest)
    with recording("segmentation", ingest.patient_id, args.output, ingest) as manifest:
        manifest.facts |= {"version": read_json(args.tool)["version"], "fast": config.fast}
        if not manifest.blocked_by:
            run(ingest.file("ct"), config, manifest)


if __name__ == "__main__":
    main()
