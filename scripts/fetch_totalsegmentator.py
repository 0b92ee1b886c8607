"""Check that TotalSegmentator can be called, and fetch its weights once for all patients."""

import argparse
import os
import shutil
import sys
from pathlib import Path

from osteoray.config.segmentation import TotalSegmentatorConfig
from osteoray.segmentation.totalsegmentator_command import (
    COMMAND,
    OLDEST,
    call,
    download_arguments,
    version_of,
    weights_folder,
)
from osteoray.store.manifest import write_json

INSTALL = "run with --use-conda, or install requirements/totalsegmentator.lock in an environment of its own on the PATH"


def checked_version() -> str:
    """The version of the command on the PATH; a message and the end if it cannot be used."""
    if shutil.which(COMMAND) is None:
        sys.exit(f"{COMMAND}: expected the command on the PATH, got none. Fix: {INSTALL}.")
    version = version_of(call([COMMAND, "--version"]).output)
    if not OLDEST <= version < (OLDEST[0] + 1,):
        wanted = f"{OLDEST[0]}.{OLDEST[1]} or newer, below {OLDEST[0] + 1}"
        sys.exit(f"{COMMAND}: expected version {wanted}, got {'.'.join(map(str, version)) or 'none'}. Fix: {INSTALL}.")
    return ".".join(map(str, version))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="segmentation.totalsegmentator section as JSON")
    parser.add_argument("--output", required=True, type=Path, help="JSON to write: version and weights")
    args = parser.parse_args()
    config = TotalSegmentatorConfig.model_validate_json(args.config)
    version = checked_version()
    for arguments in download_arguments(config.fast):
        ended = call(arguments)
        if ended.code != 0:
            fix = "copy the weights into the folder of TOTALSEG_WEIGHTS_PATH, see docs/segmentation.md"
            sys.exit(f"{' '.join(arguments)}: expected the weights, got {ended.reason}. Fix: {fix}.")
    weights = sorted(path.name for path in weights_folder(os.environ).glob("Dataset*"))
    write_json(args.output, {"version": version, "weights": weights})


if __name__ == "__main__":
    main()
