"""Reading a CT and indexing a DICOM tree, measured beside other readers; prints Markdown tables.

Run: python benchmarks/ingest.py, with the Python of an environment that holds the peers as `--peers`
(pip install SimpleITK dicom2nifti dcm2niix); peers that are not there are told as absent.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DigitalXRayImageStorageForProcessing,
    ExplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

ROOT = Path(__file__).resolve().parents[1]
PHANTOM = ROOT / "resources" / "phantoms" / "b_mas200.yaml"
SYNTAXES = {"plain": ExplicitVRLittleEndian, "RLE": RLELossless, "JPEG-LS": JPEGLSLossless}
PIXEL_MM = 0.9
SPACING_MM = 0.8
NOISE_HU = 15.0
SITK = """
import sys, SimpleITK as sitk
reader = sitk.ImageSeriesReader()
reader.SetFileNames(reader.GetGDCMSeriesFileNames(sys.argv[1]))
sitk.WriteImage(reader.Execute(), sys.argv[2] + "/ct.nii.gz", useCompression=True, compressionLevel=1)
"""
DICOM2NIFTI = """
import sys, dicom2nifti
dicom2nifti.convert_directory(sys.argv[1], sys.argv[2])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, help="python of an environment with SimpleITK, dicom2nifti and dcm2niix")
    parser.add_argument("--slices", type=int, default=400, help="slices of 512 by 512 pixels")
    parser.add_argument("--tree", type=int, default=10000, help="files of the tree to index")
    parser.add_argument("--syntax", choices=SYNTAXES, default="plain", help="compression of the series")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        series, tree = Path(scratch) / "series", Path(scratch) / "tree"
        write_series(series, args.slices, SYNTAXES[args.syntax])
        print(f"Series of {args.slices} slices of 512 x 512, {args.syntax}, {os.cpu_count()} cores\n")
        print(readers_table(series, Path(scratch) / "out", args.peers))
        write_tree(tree, args.tree)
        print(f"\nTree of {args.tree} files\n")
        print(indexing_table(tree, Path(scratch) / "tables"))


def readers_table(series: Path, out: Path, peers: Path | None) -> str:
    """Seconds and peak memory of every reader on a warm disk, the faster of two runs."""
    rows = [
        (name, best([lambda commands=commands: [run(command) for command in commands] for _ in range(2)]))
        for name, commands in readers(series, out, peers).items()
    ]
    ours = sum(seconds for seconds, _ in rows[0][1])
    lines = ["| reader | seconds | peak memory, MiB | time against ours |", "|---|---|---|---|"]
    for name, runs in rows:
        seconds, peak_mib = sum(run[0] for run in runs), max(run[1] for run in runs)
        told = "absent or refused" if np.isnan(seconds) else f"{seconds:.1f} | {peak_mib:.0f} | {seconds / ours:.2f}"
        lines.append(f"| {name} | {told} |" + (" | |" if np.isnan(seconds) else ""))
    return "\n".join(lines)


def readers(series: Path, out: Path, peers: Path | None) -> dict[str, list[list[str]]]:
    """Commands of each reader: DICOM folder to compressed NIfTI."""
    patient = ["--patient", "V001", "--raw", str(series.parent), "--ct", series.name, "--xrays", "[]"]
    script = lambda name: [sys.executable, str(ROOT / "scripts" / name)]  # noqa: E731
    source, ingest = str(out / "ingest" / "source.json"), str(out / "ingest" / "manifest.json")
    ours = [*script("ingest_patient.py"), *patient, "--source", source, "--config", "{}", "--output", ingest]
    record = [*script("record_source.py"), *patient, "--output", source]
    calibrate = [*script("calibrate_ct.py"), "--ingest", ingest, "--phantom", str(PHANTOM), "--config", "{}"]
    calibrate += ["--output", str(out / "calibration" / "manifest.json")]
    python = str(peers or sys.executable)
    folders = {name: out / name for name in ("sitk", "dicom2nifti", "dcm2niix")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    converter = Path(python).parent / "dcm2niix"
    return {
        "osteoray: record and ingest": [record, ours],
        "osteoray: to the QCT": [record, ours, calibrate],
        "SimpleITK": [[python, "-c", SITK, str(series), str(folders["sitk"])]],
        "dicom2nifti": [[python, "-c", DICOM2NIFTI, str(series), str(folders["dicom2nifti"])]],
        "dcm2niix -z y -1": [[str(converter), "-z", "y", "-1", "-w", "1", "-o", str(folders["dcm2niix"]), str(series)]],
    }


def best(runs: list[Callable[[], list[tuple[float, float]]]]) -> list[tuple[float, float]]:
    """The run that took the least time in all."""
    return min((run() for run in runs), key=lambda results: np.nansum([seconds for seconds, _ in results]))


def run(command: list[str]) -> tuple[float, float]:
    """Wall seconds and peak MiB of a command; NaN if it is absent or fails."""
    start = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    try:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    except OSError:
        return float("nan"), float("nan")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        return float("nan"), float("nan")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def indexing_table(tree: Path, tables: Path) -> str:
    """Files per second of indexing on a warm disk."""
    files = sum(1 for path in tree.rglob("*") if path.is_file())
    lines = ["| run | seconds | files per second | per core |", "|---|---|---|---|"]
    command = [sys.executable, str(ROOT / "scripts" / "index_dicom.py"), str(tree), "--output", str(tables)]
    for name, workers in (("first run, 1 process", 1), ("first run, all cores", os.cpu_count() or 1)):
        (tables / "headers.jsonl").unlink(missing_ok=True)
        lines.append(_rate(name, run([*command, "--workers", str(workers)])[0], files, workers))
    lines.append(_rate("second run, 1 process", run([*command, "--workers", "1"])[0], files, 1))
    return "\n".join(lines)


def _rate(name: str, seconds: float, files: int, workers: int) -> str:
    return f"| {name} | {seconds:.1f} | {files / seconds:.0f} | {files / seconds / workers:.0f} |"


def write_series(folder: Path, slices: int, syntax: UID) -> None:
    """An axial series of a body on a phantom in air with noise, under names without order."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    names = rng.permutation(slices)
    base, uid = body_hu(), generate_uid()
    for k in range(slices):
        # Bone texture changes along the body; the couch and the phantom do not.
        noise = rng.standard_normal(base.shape, np.float32) * NOISE_HU
        stored = np.clip(np.rint(base + noise) + 1024, 0, 4095).astype(np.uint16)
        dataset = ct_image(stored, k, uid)
        if syntax != ExplicitVRLittleEndian:
            dataset.compress(syntax, encoding_plugin="pylibjpeg" if syntax == RLELossless else "pyjpegls")
        dataset.save_as(folder / f"IM{names[k]:05d}.dcm", enforce_file_format=True)


def body_hu() -> np.ndarray:
    """One slice: soft tissue, two femurs, the calibration phantom below, air."""
    y, x = (np.indices((512, 512)) - 255.5) * PIXEL_MM
    hu = np.full((512, 512), -1000, np.float32)
    hu[(x / 185) ** 2 + ((y + 30) / 115) ** 2 < 1] = 40
    for side in (-1, 1):
        radius = np.hypot(x - side * 90, y + 20)
        hu[radius < 24] = 250
        hu[(radius < 24) & (radius > 19)] = 1100
    table = yaml.safe_load(PHANTOM.read_text(encoding="utf-8"))
    half_mm = table["slab_width_mm"] / 2
    middle = 108 - table["sagitta_mm"] * (x / half_mm) ** 2
    hu[(np.abs(x) < half_mm) & (np.abs(y - middle) < table["slab_height_mm"] / 2)] = 10
    for rod in table["rods"]:
        height = 108 - table["sagitta_mm"] * (rod["offset_mm"] / half_mm) ** 2
        inside = np.hypot(x - rod["offset_mm"], y - height) < table["diameter_mm"] / 2
        hu[inside] = 10 + 1.2 * rod["density_mg_cm3"]
    return hu


def ct_image(stored: np.ndarray, k: int, series_uid: str, **elements: object) -> Dataset:
    """A CT image with as many elements as scanners write."""
    dataset = _new(CTImageStorage, stored, **elements)
    dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesInstanceUID, dataset.SeriesNumber, dataset.InstanceNumber = series_uid, 2, k + 1
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [-255.5 * PIXEL_MM, -255.5 * PIXEL_MM, round(k * SPACING_MM, 4)]
    dataset.PixelSpacing, dataset.SliceThickness = [PIXEL_MM, PIXEL_MM], SPACING_MM
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, -1024, "HU"
    dataset.ConvolutionKernel, dataset.KVP, dataset.Exposure = "STANDARD", 120, 180
    dataset.GantryDetectorTilt, dataset.TableHeight, dataset.PatientPosition = 0, 150, "HFS"
    return dataset


def write_tree(folder: Path, files: int) -> None:
    """Patients with a CT of 240 slices of 16 by 16 pixels, two X-rays and eight other files each."""
    images, count, patient = np.full((16, 16), 24, np.uint16), 0, 0
    while count < files:
        person = {"PatientID": f"P{patient:04d}", "PatientSex": "F", "PatientAge": "070Y", "PatientSize": 1.5}
        person |= {"PatientWeight": 52, "StudyDate": f"2019{patient % 12 + 1:02d}05"}
        here, uid = folder / f"P{patient:04d}" / "ct", generate_uid()
        here.mkdir(parents=True)
        for k in range(min(240, files - count)):
            _save(ct_image(images, k, uid, **person), here / f"IM{k:05d}.dcm")
        for number in range(2):
            dataset = _new(DigitalXRayImageStorageForProcessing, images, **person)
            dataset.Modality, dataset.SeriesInstanceUID, dataset.SeriesNumber = "DX", generate_uid(), 10 + number
            dataset.SeriesDescription, dataset.ViewPosition = "PELVIS STANDING", "AP"
            _save(dataset, here.parent / f"XR{number}.dcm")
        for number in range(8):
            (here.parent / f"note{number}.txt").write_text("not DICOM")
        count, patient = count + 250, patient + 1


def _new(sop_class: str, stored: np.ndarray, **elements: object) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = generate_uid(), generate_uid()
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PatientName, dataset.PatientID, dataset.StudyDate, dataset.StudyTime = "V", "V001", "20190305", "101010"
    dataset.SeriesDescription, dataset.StudyDescription, dataset.ProtocolName = "HIP STD", "CT HIP", "5.1 HIP"
    dataset.Manufacturer, dataset.ManufacturerModelName, dataset.SoftwareVersions = "Vendor", "Scanner", "1.2.3"
    dataset.BodyPartExamined, dataset.InstitutionName, dataset.StationName = "PELVIS", "Hospital", "CT01"
    for number in range(40):
        # Vendors add dozens of private elements and sequences.
        dataset.private_block(0x0019, "VENDOR", create=True).add_new(number, "LO", f"private value {number}")
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "113014", "DCM", "Study"
    dataset.ProcedureCodeSequence = [item]
    dataset.PixelData = stored.astype("<u2").tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def _save(dataset: Dataset, path: Path) -> None:
    dataset.save_as(path, enforce_file_format=True)


if __name__ == "__main__":
    main()
