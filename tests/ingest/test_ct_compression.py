"""Lossless compression changes nothing; images that lost values are never measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gdcm
import numpy as np
import openjpeg
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from tests.ingest.reading import read

from osteoray.errors.unreadable import Withheld
from osteoray.ingest.ct_lossy import is_lossy

Series = Callable[..., list[Dataset]]
Save = Callable[..., Path]

SYNTAXES = [RLELossless, JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1, DeflatedExplicitVRLittleEndian]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
def test_lossless_compression_changes_nothing(
    tmp_path: Path, clean_series: Series, save: Save, hu: np.ndarray, syntax: UID
) -> None:
    folder = save(tmp_path, clean_series())
    for path in folder.iterdir():
        compress(path, syntax)
    assert (read(folder).volume.array == hu).all()


def compress(path: Path, syntax: UID) -> None:
    """Write a file anew in another transfer syntax."""
    dataset = dcmread(path)
    if syntax == JPEGLosslessSV1:
        gdcm_compress(path, gdcm.TransferSyntax.JPEGLosslessProcess14_1)
        return
    if syntax == JPEG2000Lossless:
        dataset.PixelData = encapsulate([openjpeg.encode(dataset.pixel_array, codec_format=0)])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
    elif syntax == DeflatedExplicitVRLittleEndian:
        dataset.file_meta.TransferSyntaxUID = syntax
    else:
        dataset.compress(syntax)
    dataset.save_as(path, enforce_file_format=True)


def gdcm_compress(path: Path, syntax: int) -> None:
    """JPEG lossless: only GDCM writes it."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def of_syntax(syntax: UID, **elements: object) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless], ids=lambda uid: uid.name)
def test_a_lossy_syntax_tells_even_where_no_element_does(syntax: UID) -> None:
    assert is_lossy(of_syntax(syntax)) and is_lossy(of_syntax(syntax, LossyImageCompression="00"))


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, JPEG2000, JPEGLossless, *SYNTAXES], ids=lambda uid: uid.name
)
def test_other_syntaxes_are_lossy_only_if_an_element_says_so(syntax: UID) -> None:
    assert not is_lossy(of_syntax(syntax, LossyImageCompression="00", LossyImageCompressionRatio="1"))
    assert is_lossy(of_syntax(syntax, LossyImageCompression="01"))
    assert is_lossy(of_syntax(syntax, LossyImageCompressionMethod="ISO_10918_1"))
    assert is_lossy(of_syntax(syntax, LossyImageCompressionRatio=["1", "8.5"]))


def test_near_lossless_images_are_refused(tmp_path: Path, clean_series: Series, save: Save) -> None:
    datasets = clean_series()
    for dataset in datasets:
        dataset.compress(JPEGLSNearLossless, jls_error=3)
        for keyword in ("LossyImageCompression", "LossyImageCompressionMethod", "LossyImageCompressionRatio"):
            dataset.pop(keyword, None)
    with pytest.raises(Withheld, match="lossy compression") as refusal:
        read(save(tmp_path, datasets))
    assert refusal.value.finding.code == "ING-SERIES"
