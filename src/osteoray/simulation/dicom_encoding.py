"""Lossless compressions of a DICOM image's pixels."""

from __future__ import annotations

import tempfile
from pathlib import Path

import gdcm
import pydicom
from pydicom.dataset import FileDataset
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

SYNTAXES = {
    "jpeg_lossless": JPEGLosslessSV1,
    "jpeg_ls": JPEGLSLossless,
    "jpeg_2000": JPEG2000Lossless,
    "rle": RLELossless,
}
"""Transfer syntaxes by their name in the configuration."""


def compress(dataset: FileDataset, syntax: str) -> None:
    """Compress the pixels of an uncompressed data set in place; every value survives.

    Args:
        dataset: one image of one channel.
        syntax: key of `SYNTAXES`.
    """
    if syntax == "jpeg_lossless":
        _compress_jpeg_lossless(dataset)
    else:
        dataset.compress(SYNTAXES[syntax], generate_instance_uid=False)


def _compress_jpeg_lossless(dataset: FileDataset) -> None:
    """Process 14, selection value 1, by GDCM, which works on files; pydicom has no encoder for it."""
    with tempfile.TemporaryDirectory() as folder:
        raw, coded = Path(folder) / "raw.dcm", Path(folder) / "coded.dcm"
        pydicom.dcmwrite(raw, dataset, enforce_file_format=True)
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(raw))
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        writer.SetFileName(str(coded))
        if not reader.Read():
            raise ValueError("dataset: expected an image that GDCM reads")
        change.SetInput(reader.GetImage())
        if not change.Change():
            raise ValueError("dataset: expected pixels that JPEG lossless holds")
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        if not writer.Write():
            raise OSError(f"{coded}: GDCM could not write")
        dataset.PixelData = pydicom.dcmread(coded).PixelData
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
