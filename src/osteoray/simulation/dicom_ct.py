"""A CT as a hospital exports it: one CT Image Storage file per slice, under names without order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Int16
from pydicom.uid import CTImageStorage

from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.ct_response import CT_KVP
from osteoray.simulation.dicom_study import Study, new_file, set_pixels, write_file

RESCALE_INTERCEPT_HU = -1024


def write_ct(folder: Path, study: Study, hu: Int16[np.ndarray, "k j i"], grid: VoxelGrid, couch_y_mm: float) -> None:
    """Write a series, head first supine.

    Args:
        folder: created; files of an earlier series in it are removed.
        study: the examination.
        hu: Hounsfield units from -1024.
        grid: axial voxels, k to superior.
        couch_y_mm: height of the couch, for its tag.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.dcm"):
        old.unlink()
    names = np.random.default_rng([study.seed, study.patient.index]).permutation(grid.shape[0])
    for k in range(grid.shape[0]):
        # The scan runs from the iliac crests downwards: instance 1 is the highest slice.
        number = grid.shape[0] - k
        dataset = new_file(study, CTImageStorage, number)
        _describe(dataset, study, grid, couch_y_mm)
        dataset.InstanceNumber = number
        dataset.AcquisitionNumber = 1
        position_mm = grid.world_from_index[:3, 3] + k * grid.world_from_index[:3, 0]
        dataset.ImagePositionPatient = [f"{value:.4f}" for value in position_mm]
        dataset.SliceLocation = f"{position_mm[2]:.4f}"
        set_pixels(dataset, (hu[k].astype(np.int32) - RESCALE_INTERCEPT_HU).astype(np.uint16), 16)
        write_file(dataset, folder / f"IM{names[k]:05d}.dcm")


def _describe(dataset, study: Study, grid: VoxelGrid, couch_y_mm: float) -> None:  # noqa: ANN001
    """Tags that every slice shares."""
    slice_mm, row_mm, column_mm = grid.spacing_mm
    dataset.Modality = "CT"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesInstanceUID = study.uid("series")
    dataset.SeriesNumber = 2
    dataset.FrameOfReferenceUID = study.uid("frame")
    dataset.PositionReferenceIndicator = ""
    dataset.SeriesDescription = "PELVIS HIP 2.5 STD B-MAS200"
    dataset.StudyDescription = "CT HIP"
    dataset.BodyPartExamined = "PELVIS"
    dataset.PatientPosition = "HFS"
    dataset.ManufacturerModelName = "Virtual CT"
    dataset.ScanOptions = "HELICAL MODE"
    dataset.KVP = CT_KVP
    dataset.XRayTubeCurrent = 250
    dataset.ExposureTime = 700
    dataset.FilterType = "BODY FILTER"
    dataset.ConvolutionKernel = "STANDARD"
    dataset.GantryDetectorTilt = 0
    dataset.TableHeight = f"{couch_y_mm:.2f}"
    dataset.DataCollectionDiameter = 500
    dataset.ReconstructionDiameter = f"{grid.shape[2] * column_mm:.2f}"
    dataset.SliceThickness = f"{slice_mm:.4f}"
    dataset.SpacingBetweenSlices = f"{slice_mm:.4f}"
    dataset.PixelSpacing = [f"{row_mm:.5f}", f"{column_mm:.5f}"]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.RescaleIntercept = RESCALE_INTERCEPT_HU
    dataset.RescaleSlope = 1
    dataset.RescaleType = "HU"
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
