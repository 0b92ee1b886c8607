"""Identifiers planted in every text element of DICOM files, and a search for them in every byte of a folder."""

from __future__ import annotations

import base64
import gzip
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pydicom
from pydicom.datadict import dictionary_VR, keyword_for_tag

MARK = "QZXJ"
"""Occurs in every planted identifier and nowhere else."""
DAY, BIRTHDAY, TIME = "19770623", "19310417", "031741.770000"
"""A day, a birthday and a time that occur nowhere else."""
UID_ROOT = "1.2.826.0.1.3680043.10.7719.66"
"""Root of every planted UID."""

TAGS = (
    "PatientName", "PatientID", "OtherPatientNames", "PatientAddress", "PatientTelephoneNumbers", "InstitutionName",
    "InstitutionAddress", "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "StationName",
    "AccessionNumber", "StudyID", "PatientComments", "ImageComments", "AdditionalPatientHistory", "StudyDescription",
    "SeriesDescription", "ProtocolName", "DeviceSerialNumber", "RequestedProcedureDescription", "Occupation",
    "IssuerOfPatientID", "MedicalRecordLocator", "PatientBirthName", "InstitutionalDepartmentName",
    "PhysiciansOfRecord",
)  # fmt: skip
TEXT = {"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
KEPT = {
    "Manufacturer", "ManufacturerModelName", "SoftwareVersions", "ConvolutionKernel", "PatientAge", "RescaleType",
    "PresentationIntentType", "CodeValue", "CodingSchemeDesignator",
}  # fmt: skip
"""Elements that tell how to read the image or are kept on purpose; their values decide what happens."""


def plant(path: Path, number: int) -> None:
    """Put identifiers into every text, date and unique identifier of a file, public and private."""
    dataset = pydicom.dcmread(path)
    for keyword in TAGS:
        limit = 16 if dictionary_VR(keyword) == "SH" else 40
        setattr(dataset, keyword, f"{MARK}{keyword}"[:limit])
    for element in dataset.iterall():
        keyword = keyword_for_tag(element.tag)
        if element.VR in TEXT and keyword not in KEPT and MARK not in str(element.value):
            element.value = f"{MARK}{element.tag.element}"
        elif element.VR == "DA":
            element.value = DAY
        elif element.VR == "TM":
            element.value = TIME
    dataset.PatientBirthDate = BIRTHDAY
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        if keyword in dataset:
            setattr(dataset, keyword, f"{UID_ROOT}.1.{len(keyword)}")
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{UID_ROOT}.2.{number}"
    block = dataset.private_block(0x0029, f"{MARK}CREATOR", create=True)
    block.add_new(0x01, "LO", f"{MARK}PRIVATE")
    block.add_new(0x02, "OB", f"{MARK}BYTES ".encode())
    dataset.save_as(path)


def leaks(folder: Path) -> list[str]:
    """Where planted identifiers occur below a folder: in names, and in bytes with compression undone."""
    pattern = re.compile("|".join(map(re.escape, (MARK, DAY, BIRTHDAY, TIME, UID_ROOT))).encode())
    found = []
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if pattern.search(name.encode()):
            found.append(f"name {name}")
        if path.is_file():
            found += [f"{name}: {hit.group().decode()}" for part in _contents(path) for hit in pattern.finditer(part)]
    return found


def _contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and of what is compressed in it."""
    content = path.read_bytes()
    if path.suffix == ".html":
        # Pictures of a page are searched as what they are: four letters occur by chance in a megabyte of Base64.
        pictures = re.compile(rb"base64,([A-Za-z0-9+/=]+)")
        for picture in pictures.findall(content):
            yield from _compressed(base64.b64decode(picture))
        content = pictures.sub(b"base64,", content)
    yield content
    if path.suffix == ".gz":
        yield gzip.decompress(content)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    elif path.suffix in (".pdf", ".png"):
        yield from _compressed(content)


def _compressed(content: bytes) -> Iterator[bytes]:
    """What is compressed in a picture or a PDF."""
    for start in re.finditer(rb"stream\r?\n|IDAT|zTXt|iTXt", content):
        unpacked = _inflated(content[start.end() :])
        yield unpacked
        # Text of a PDF page may be written as hexadecimal strings.
        yield b"".join(bytes.fromhex(h.decode()) for h in re.findall(rb"<((?:[0-9A-Fa-f]{2})+)>", unpacked))


def _inflated(content: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(content)
    except zlib.error:
        return b""
