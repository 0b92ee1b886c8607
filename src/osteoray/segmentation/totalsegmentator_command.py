"""TotalSegmentator's command line, called so that it tells nobody of the run and finds its weights where they are.

It is a program in an environment of its own, not a library: nothing of it is imported. Verified against the command
line of version 2.18 (https://github.com/wasserth/TotalSegmentator, Apache-2.0).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from osteoray.segmentation.totalsegmentator import BONE_OF_CLASS

COMMAND = "TotalSegmentator"
DOWNLOAD = "totalseg_download_weights"
OLDEST = (2, 8)
"""The first version with `--robust_crop`."""


@dataclass(frozen=True)
class Ended:
    """How a call ended.

    Attributes:
        code: exit status; negative if a signal killed it.
        output: what it said, standard output and errors together.
    """

    code: int
    output: str

    @property
    def reason(self) -> str:
        """Exit status and the last line that it said."""
        said = [line.strip() for line in self.output.splitlines() if line.strip()]
        how = f"signal {-self.code}, as when memory runs out" if self.code < 0 else f"exit status {self.code}"
        return f"{how}: {said[-1][:300]}" if said else how


def segment_arguments(ct: Path, folder: Path, device: str, fast: bool) -> list[str]:
    """The call that writes one mask per class of `BONE_OF_CLASS` into a folder, on the grid of the CT.

    Args:
        ct: NIfTI in Hounsfield units.
        folder: for `{class}.nii.gz`.
        device: `gpu` or `cpu`; without a GPU it falls back by itself.
        fast: the 3 mm network instead of those at 1.5 mm.
    """
    arguments = [COMMAND, "-i", str(ct), "-o", str(folder), "--task", "total", "--roi_subset", *BONE_OF_CLASS]
    # The region of interest is found at 3 mm: at the default 6 mm whole ends of bones have been cut off.
    arguments += ["--robust_crop", "--device", device, "--nr_thr_saving", "1"]
    return [*arguments, "--fast"] if fast else arguments


def download_arguments(fast: bool) -> list[list[str]]:
    """The calls that fetch the weights that `segment_arguments` needs and that are not there yet."""
    tasks = ["total_fast"] if fast else ["total", "total_fast"]
    return [[DOWNLOAD, "--task", task] for task in tasks]


def weights_folder(environment: Mapping[str, str]) -> Path:
    """Where it keeps its weights: as it decides itself."""
    home = environment.get("TOTALSEG_HOME_DIR") or Path.home() / ".totalsegmentator"
    return Path(environment.get("TOTALSEG_WEIGHTS_PATH") or Path(home) / "nnunet" / "results")


def call(arguments: list[str]) -> Ended:
    """Run a command to its end and pass on what it says.

    Its settings come from a folder made for this call, in which usage statistics are off; calls side by side would
    otherwise write the same file.
    """
    with tempfile.TemporaryDirectory() as home:
        settings = {"totalseg_id": "", "send_usage_stats": False, "prediction_counter": 0}
        settings |= {"statistics_disclaimer_shown": True}
        Path(home, "config.json").write_text(json.dumps(settings), encoding="utf-8")
        places = {"TOTALSEG_HOME_DIR": home, "TOTALSEG_WEIGHTS_PATH": str(weights_folder(os.environ))}
        environment = os.environ | places
        both = subprocess.STDOUT
        said = []
        with subprocess.Popen(arguments, text=True, env=environment, stdout=subprocess.PIPE, stderr=both) as process:
            assert process.stdout is not None
            for line in process.stdout:
                print(line, end="", flush=True)
                said.append(line)
        return Ended(process.returncode, "".join(said))


def version_of(output: str) -> tuple[int, ...]:
    """The version in what `--version` said; empty if there is none."""
    found = re.search(r"^(\d+)\.(\d+)(?:\.(\d+))?\S*$", output, re.MULTILINE)
    return tuple(int(part) for part in found.groups() if part) if found else ()
