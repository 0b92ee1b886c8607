"""A CT as a hospital exports it: one CT Image Storage file per slice, under names without order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int16
from pydicom.dataset import FileDataset
from pydicom.uid import CTImageStorage

from osteoray.config.simulation import Defect
from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.ct_acquisition import KERNELS
from osteoray.simulation.ct_response import CT_KVP
from osteoray.simulation.dicom_encoding import SYNTAXES, compress
from osteoray.simulation.dicom_study import Study, new_file, set_pixels, write_file
from osteoray.simulation.dicom_surroundings import write_dose_report, write_localizer

RESCALE_INTERCEPT_HU = -1024
PADDING_STORED = -2000
"""With the intercept, -3024 HU."""
REPEATED_NOISE_HU = 6.0
"""By which a slice that was scanned twice differs from itself."""
CORRUPT_SHARE = 0.6
"""What is left of a file that was cut off."""


@dataclass(frozen=True, eq=False)
class CtHeader:
    """What the files of a series say beside pixels and geometry.

    Attributes:
        kvp: tube voltage.
        kernel: key of `KERNELS`.
        model, station, serial: of the scanner.
        phantom: name of the phantom under the patient, for the description of the series.
        current_ma: of the tube, by slice.
        transfer_syntax: "raw" or a key of `SYNTAXES`.
        defects: those of files and headers count.
    """

    kvp: int = CT_KVP
    kernel: str = "standard"
    model: str = "Virtual CT"
    station: str = "CT01"
    serial: str = "1"
    phantom: str = "B-MAS200"
    current_ma: Float[np.ndarray, " k"] | None = None
    transfer_syntax: str = "raw"
    defects: frozenset[Defect] = frozenset()


def write_ct(
    folder: Path,
    study: Study,
    hu: Int16[np.ndarray, "k j i"],
    grid: VoxelGrid,
    couch_y_mm: float,
    header: CtHeader | None = None,
) -> None:
    """Write a series, supine.

    Args:
        folder: created; files of an earlier series in it are removed.
        study: the examination.
        hu: Hounsfield units from -1024.
        grid: voxels, k to superior; level or tilted slices.
        couch_y_mm: height of the couch, for its tag.
        header: what else the files say, and what is wrong with them.
    """
    header = header or CtHeader()
    defects = header.defects
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.dcm"):
        old.unlink()
    if defects & {"localizer", "ct_localizer_only"}:
        write_localizer(folder / "LOC00001.dcm", study, hu, grid)
    if defects & {"localizer", "ct_empty"}:
        write_dose_report(folder / "SR00001.dcm", study)
    if defects & {"ct_localizer_only", "ct_empty"}:
        return
    count = grid.shape[0]
    names = np.random.default_rng([study.seed, study.patient.index]).permutation(count)
    written = written_slices(count, defects)
    for position, k in enumerate(written):
        is_repeated = k in written[:position]
        pixels = _scanned_again(hu[k]) if is_repeated else hu[k]
        dataset = _slice_file(study, pixels, grid, k, couch_y_mm, header, is_repeated)
        syntax = tuple(SYNTAXES)[k % len(SYNTAXES)] if "compressed" in defects else header.transfer_syntax
        if syntax != "raw":
            compress(dataset, syntax)
        path = folder / f"IM{count if is_repeated else names[k]:05d}.dcm"
        write_file(dataset, path)
        if "ct_corrupt" in defects and k == count // 3:
            whole = path.read_bytes()
            path.write_bytes(whole[: int(CORRUPT_SHARE * len(whole))])


def written_slices(count: int, defects: frozenset[Defect]) -> list[int]:
    """Slices that become a file, from the feet up; one that is repeated comes once more at the end."""
    middle = count // 2
    slices = list(range(count))
    if "slice_missing" in defects:
        slices.remove(middle)
    if "slice_uneven" in defects:
        slices = [k for k in slices if k >= middle or (middle - k) % 2 == 0]
    return [*slices, middle] if "slice_duplicate" in defects else slices


def _scanned_again(hu: Int16[np.ndarray, "j i"]) -> Int16[np.ndarray, "j i"]:
    """The slice of another acquisition: the same anatomy, other noise."""
    noise_hu = np.random.default_rng(0).normal(0, REPEATED_NOISE_HU, hu.shape)
    return np.where(hu > RESCALE_INTERCEPT_HU, np.clip(hu + noise_hu, RESCALE_INTERCEPT_HU, 3071), hu).astype(np.int16)


def _slice_file(
    study: Study,
    hu: Int16[np.ndarray, "j i"],
    grid: VoxelGrid,
    k: int,
    couch_y_mm: float,
    header: CtHeader,
    is_repeated: bool,
) -> FileDataset:
    """One image with all its tags, uncompressed."""
    is_feet_first = "feet_first" in header.defects
    # The scan runs from the iliac crests downwards, so that instance 1 is the highest slice; feet first, the lowest.
    number = k + 1 if is_feet_first else grid.shape[0] - k
    if is_repeated:
        number = grid.shape[0] + 1
    dataset = new_file(study, CTImageStorage, number)
    _describe_equipment(dataset, study, couch_y_mm, header)
    _describe_geometry(dataset, grid, header)
    if header.current_ma is not None:
        dataset.XRayTubeCurrent = round(float(header.current_ma[k]))
        dataset.Exposure = round(float(header.current_ma[k]) * dataset.ExposureTime / 1000)
    dataset.InstanceNumber = number
    dataset.AcquisitionNumber = 2 if is_repeated else 1
    position_mm = grid.world_from_index[:3, 3] + k * grid.world_from_index[:3, 0]
    dataset.ImagePositionPatient = [f"{value:.4f}" for value in position_mm]
    # The table's way into the gantry, which a patient lying feet first goes the other way round.
    dataset.SliceLocation = f"{-position_mm[2] if is_feet_first else position_mm[2]:.4f}"
    _store(dataset, hu, header.defects)
    return dataset


def _store(dataset: FileDataset, hu: Int16[np.ndarray, "j i"], defects: frozenset[Defect]) -> None:
    """Pixels and what turns them into HU."""
    dataset.RescaleIntercept = RESCALE_INTERCEPT_HU
    dataset.RescaleSlope = 1
    dataset.RescaleType = "HU"
    stored = hu.astype(np.int32) - RESCALE_INTERCEPT_HU
    if "not_hu" in defects:
        dataset.RescaleIntercept = 0
        dataset.RescaleType = "US"
    if "padding" in defects:
        y, x = (np.linspace(-1, 1, length) for length in hu.shape)
        stored[np.hypot(y[:, None], x[None, :]) > 1] = PADDING_STORED
        set_pixels(dataset, stored.astype(np.int16), 16)
        dataset.PixelPaddingValue = PADDING_STORED
    else:
        set_pixels(dataset, stored.astype(np.uint16), 16)


def _describe_equipment(dataset: FileDataset, study: Study, couch_y_mm: float, header: CtHeader) -> None:
    """Tags of series, scanner and protocol."""
    dataset.Modality = "CT"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesInstanceUID = study.uid("series")
    dataset.SeriesNumber = 2
    dataset.FrameOfReferenceUID = study.uid("frame")
    dataset.PositionReferenceIndicator = ""
    dataset.StudyDescription = "CT HIP"
    dataset.BodyPartExamined = "PELVIS"
    dataset.PatientPosition = "FFS" if "feet_first" in header.defects else "HFS"
    dataset.ManufacturerModelName = header.model
    dataset.StationName = header.station
    dataset.DeviceSerialNumber = header.serial
    dataset.ScanOptions = "HELICAL MODE"
    dataset.KVP = header.kvp
    dataset.XRayTubeCurrent = 250
    dataset.ExposureTime = 700
    dataset.FilterType = "BODY FILTER"
    dataset.ConvolutionKernel = KERNELS[header.kernel].name
    dataset.TableHeight = f"{couch_y_mm:.2f}"
    dataset.DataCollectionDiameter = 500
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    if "contrast" in header.defects:
        dataset.ContrastBolusAgent = "IOHEXOL 300"
        dataset.ContrastBolusRoute = "INTRAVENOUS"
        dataset.ContrastBolusVolume = 100


def _describe_geometry(dataset: FileDataset, grid: VoxelGrid, header: CtHeader) -> None:
    """Tags of voxels and slices."""
    _, row_mm, column_mm = grid.spacing_mm
    directions = grid.world_from_index[:3, :3] / grid.spacing_mm
    normal = np.cross(directions[:, 2], directions[:, 1])
    apart_mm = abs(float(normal @ grid.world_from_index[:3, 0]))
    dataset.SeriesDescription = (
        f"PELVIS HIP {grid.spacing_mm[0]:g} {KERNELS[header.kernel].name[:3]} {header.phantom}".strip()
    )
    dataset.GantryDetectorTilt = f"{np.degrees(np.arctan2(directions[2, 1], directions[1, 1])):.2f}"
    dataset.ReconstructionDiameter = f"{grid.shape[2] * column_mm:.2f}"
    dataset.SliceThickness = f"{grid.spacing_mm[0]:.4f}"
    dataset.SpacingBetweenSlices = f"{apart_mm:.4f}"
    dataset.PixelSpacing = [f"{row_mm:.5f}", f"{column_mm:.5f}"]
    dataset.ImageOrientationPatient = [f"{value:.6f}" for value in (*directions[:, 2], *directions[:, 1])]
