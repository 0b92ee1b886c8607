"""Whether compression has changed the values of an image."""

from __future__ import annotations

from pydicom import Dataset

from osteoray.ingest.dicom import text, texts

_JPEG = "1.2.840.10008.1.2.4."
LOSSY_SYNTAXES = {_JPEG + str(part) for part in (*range(50, 57), *range(59, 65), 81, *range(100, 109), 111)}
"""Baseline, extended and the retired lossy processes of JPEG, near-lossless JPEG-LS, video, and JPEG within JPEG XL
(PS3.5 A.4). JPEG 2000 may be reversible or not in one syntax: there only the elements tell."""


def is_lossy(dataset: Dataset) -> bool:
    """Whether values were lost, by the elements of PS3.3 C.7.6.1.1.5 or by the compression of the file itself.

    Any of them is enough: the elements outlive the compression, and some exporters leave them out.

    Args:
        dataset: of the file, with its file header.
    """
    if text(dataset, "LossyImageCompression") == "01" or text(dataset, "LossyImageCompressionMethod"):
        return True
    if any(_number(value) > 1 for value in texts(dataset, "LossyImageCompressionRatio")):
        return True
    return text(dataset.file_meta, "TransferSyntaxUID") in LOSSY_SYNTAXES


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return 0.0
