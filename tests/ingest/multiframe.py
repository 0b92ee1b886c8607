"""An enhanced CT as one multi-frame file, made of single images."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset
from pydicom.uid import UID, generate_uid

ENHANCED_CT = UID("1.2.840.10008.5.1.4.1.1.2.1")
PIXEL_MEASURES = ("PixelSpacing", "SliceThickness")
TRANSFORMATION = ("RescaleSlope", "RescaleIntercept", "RescaleType")
MOVED = (
    *PIXEL_MEASURES,
    *TRANSFORMATION,
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ConvolutionKernel",
    "KVP",
)


def enhanced(images: list[Dataset]) -> Dataset:
    """One Enhanced CT of the images in a shuffled order; what images share is in the shared groups."""
    order = np.random.default_rng(3).permutation(len(images))
    frames = [images[k] for k in order]
    whole = Dataset()
    whole.update({element.tag: element for element in frames[0] if element.keyword not in MOVED})
    whole.file_meta = frames[0].file_meta
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = ENHANCED_CT
    whole.SOPInstanceUID = whole.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    whole.NumberOfFrames = len(frames)
    whole.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    whole.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=part(frames[0], "ImageOrientationPatient"),
            PixelMeasuresSequence=part(frames[0], *PIXEL_MEASURES),
            CTReconstructionSequence=part(frames[0], "ConvolutionKernel"),
            CTXRayDetailsSequence=part(frames[0], "KVP"),
        )
    ]
    whole.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=part(frame, "ImagePositionPatient"),
            PixelValueTransformationSequence=part(frame, *TRANSFORMATION),
            FrameContentSequence=item(StackID="1", InStackPositionNumber=number + 1),
        )
        for number, frame in enumerate(frames)
    ]
    whole.PixelData = b"".join(frame.PixelData for frame in frames)
    return whole


def item(**elements: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, [value] if keyword.endswith("Sequence") else value)
    return dataset


def part(image: Dataset, *keywords: str) -> Dataset:
    return item(**{keyword: image[keyword].value for keyword in keywords})
