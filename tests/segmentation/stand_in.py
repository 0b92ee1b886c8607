"""A stand-in for TotalSegmentator: its command line, its files and its settings, with masks from a label file.

It takes the arguments of version 2.18 and refuses others, as argparse does. Run as `totalseg_download_weights` it puts
empty weight folders in place.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

VERSION = "2.18.0"
WEIGHTS = {
    "total": ("Dataset291_part1", "Dataset292_part2", "Dataset293_part3", "Dataset294_part4", "Dataset295_part5",
              "Dataset298_6mm"),
    "total_fast": ("Dataset297_3mm", "Dataset298_6mm"),
}  # fmt: skip
CLASSES = {"hip_left": 1, "hip_right": 2, "femur_left": 3, "femur_right": 4, "sacrum": 5}
"""Its class and our label in the file that the masks are taken from."""
EMPTY = {"vertebrae_S1", "liver"}
"""Classes that it knows and does not find."""

PROGRAM = f"""#!{sys.executable}
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from stand_in import download, segment
{{call}}
"""


def install(folder: Path) -> Path:
    """Put both commands into a folder, for the PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, call in (("TotalSegmentator", "segment()"), ("totalseg_download_weights", "download()")):
        path = folder / name
        path.write_text(PROGRAM.format(call=call))
        path.chmod(0o755)
    return folder


def settings() -> dict:
    """What its settings file says; it would send usage statistics unless told otherwise."""
    import json

    path = Path(os.environ.get("TOTALSEG_HOME_DIR", "/nowhere"), "config.json")
    return json.loads(path.read_text()) if path.exists() else {"send_usage_stats": True}


def weights_folder() -> Path:
    return Path(os.environ["TOTALSEG_WEIGHTS_PATH"])


def download() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("-t", "--task", choices=list(WEIGHTS), default="total")
    args = parser.parse_args()
    missing = [name for name in WEIGHTS[args.task] if not (weights_folder() / name).exists()]
    if missing and os.environ.get("STAND_IN_OFFLINE"):
        sys.exit("requests.exceptions.ConnectionError: HTTPSConnectionPool(host='github.com', port=443)")
    for name in missing:
        (weights_folder() / name).mkdir(parents=True)


def segment() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("-i", dest="input", type=Path)
    parser.add_argument("-o", dest="output", type=Path)
    parser.add_argument("-ta", "--task", choices=["total", "total_mr", "body"], default="total")
    parser.add_argument("-rs", "--roi_subset", nargs="+")
    parser.add_argument("-rc", "--robust_crop", action="store_true")
    parser.add_argument("-d", "--device", choices=["gpu", "cpu", "mps"], default="gpu")
    parser.add_argument("-ns", "--nr_thr_saving", type=int, default=6)
    parser.add_argument("-f", "--fast", action="store_true")
    parser.add_argument("--version", action="version", version=os.environ.get("STAND_IN_VERSION", VERSION))
    args = parser.parse_args()
    needed = [*([] if args.fast else WEIGHTS["total"][:5]), "Dataset297_3mm" if args.robust_crop else "Dataset298_6mm"]
    if not all((weights_folder() / name).exists() for name in needed):
        sys.exit("requests.exceptions.ConnectionError: no weights")
    if settings()["send_usage_stats"]:
        Path(os.environ["STAND_IN_TOLD"]).write_text("a run")
    print("If you use this tool please cite: https://pubs.rsna.org/doi/10.1148/ryai.230024")
    if args.input.parent.name in os.environ.get("STAND_IN_FAILS", "").split():
        sys.exit("torch.OutOfMemoryError: CUDA out of memory.")
    save_masks(args.input, args.output, args.roi_subset)


def save_masks(ct: Path, folder: Path, classes: list[str]) -> None:
    """One file per class with the header of the CT, empty ones included."""
    import nibabel as nib
    import numpy as np

    image = nib.load(ct)
    labels = np.asarray(nib.load(os.environ["STAND_IN_LABELS"].format(patient=ct.parent.name)).dataobj)
    header = image.header.copy()
    header.set_data_dtype(np.uint8)
    folder.mkdir(parents=True)
    for name in classes:
        if name not in CLASSES and name not in EMPTY:
            raise KeyError(name)
        mask = (labels == CLASSES.get(name, -1)).astype(np.uint8)
        nib.save(nib.Nifti1Image(mask, image.affine, header), folder / f"{name}.nii.gz")
