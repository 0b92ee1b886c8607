"""Reason codes: what each means, whether it withholds the result, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """Meaning of a reason code.

    Attributes:
        meaning: one sentence a clinician understands.
        withholds: True if what it concerns is withheld, False for a warning.
        fix: what to do about it.
    """

    meaning: str
    withholds: bool
    fix: str


REASONS: dict[str, Reason] = {
    # Cohort tables.
    "TAB-DUPLICATE": Reason("The patient is listed more than once.", True, "Keep one row per patient_id."),
    "TAB-VALUE": Reason("A field of the patient's row cannot be used.", True, "Correct the field in patients.tsv."),
    "TAB-XRAY": Reason("A field of the X-ray's row cannot be used.", True, "Correct the row in xrays.tsv."),
    "TAB-PATH": Reason("A path in the tables does not exist.", True, "Correct the path, or copy the data there."),
    "TAB-EXCLUDED": Reason(
        "The cohort table excludes the patient.", True, "Clear the exclude field to use the patient."
    ),
    # CT and X-ray files.
    "ING-EMPTY": Reason("The CT folder holds no CT image.", True, "Export the CT series into the folder."),
    "ING-DICOM": Reason("A file is not readable DICOM.", True, "Export the series again."),
    "ING-PERSON": Reason(
        "Files of one patient carry different patient identifiers.",
        True,
        "Keep the files of one person only; give one person's files one PatientID.",
    ),
    "ING-SERIES": Reason("No CT series covers the hips in axial slices.", True, "Export the axial soft-kernel series."),
    "ING-MISSING": Reason("Slices are missing.", True, "Export the complete series."),
    "ING-DUPLICATE": Reason("Slices lie twice at one position.", True, "Export one reconstruction only."),
    "ING-SPACING": Reason("Slice positions are not evenly spaced.", True, "Export the evenly reconstructed series."),
    "ING-TILT": Reason("The gantry was tilted and slices were not resampled.", True, "Reconstruct without tilt."),
    "ING-RESCALE": Reason(
        "Pixel values are not Hounsfield units.", True, "Export the original CT with its rescale tags."
    ),
    "ING-THICK": Reason("Slices are too thick to measure density.", True, "Reconstruct at 3 mm or thinner."),
    "ING-CONTRAST": Reason(
        "The CT was made with a contrast agent, which changes densities.", False, "Use a CT without contrast agent."
    ),
    "ING-TRUNCATED": Reason(
        "The body is wider than the field of view of the CT.", False, "Reconstruct the largest field of view."
    ),
    "ING-MOTION": Reason("The patient moved during the CT.", False, "Look at the slices, then scan again."),
    "ING-XRAY": Reason("The X-ray cannot be read.", True, "Export the radiograph again as DX or CR."),
    "ING-GEOMETRY": Reason(
        "Geometry of the X-ray is assumed, not recorded.", False, "Export with distance and pitch tags."
    ),
    "ING-SIDE": Reason(
        "Marks of left and right contradict each other.", True, "Check the side, then correct the tags."
    ),
    "ING-POLARITY": Reason(
        "The X-ray is inverted against its tags.", True, "Export the image with its photometric interpretation."
    ),
    "ING-METAL": Reason("The hip shows metal on the X-ray.", True, "Use the other side."),
    "ING-ONEHIP": Reason(
        "The X-ray shows one hip; left and right are cut from a view of both.", True, "Use an AP view of the pelvis."
    ),
    "ING-NOXRAY": Reason(
        "The patient has no X-ray that can be read.", False, "List the patient's X-rays in xrays.tsv."
    ),
    "ING-CLASS": Reason(
        "The X-ray's pixel values have no known relation to exposure.", True, "Export FOR PROCESSING images."
    ),
    "ING-DISPLAY": Reason("The X-ray is a processed display image.", False, "Export FOR PROCESSING images if you can."),
    # Calibration.
    "CAL-PHANTOM": Reason(
        "No calibration phantom was found in the CT.", True, "Scan with the phantom under the patient."
    ),
    "CAL-RODS": Reason(
        "Too few rods of the phantom were found.", True, "Check that the phantom lies inside the field of view."
    ),
    "CAL-ORDER": Reason(
        "The rods do not lie in the order of the phantom.", True, "Check the phantom's orientation and image flips."
    ),
    "CAL-R2": Reason(
        "The calibration line does not fit the rods.", True, "Check for metal or air gaps beside the phantom."
    ),
    "CAL-RESIDUAL": Reason("A rod lies off the calibration line.", False, "Look at the calibration picture."),
    "CAL-SLOPE": Reason(
        "The calibration slope is physically implausible.", True, "Check tube voltage and phantom type."
    ),
    "CAL-LENGTH": Reason("Too little of the phantom is visible.", True, "Scan the phantom over the whole hip."),
    "CAL-DRIFT": Reason("The calibration changes along the phantom.", False, "Look at the calibration picture."),
    "CAL-TILT": Reason(
        "The scanner's field is not even across the phantom.", False, "Look for metal or a patient off the centre."
    ),
    "CAL-PARTIAL": Reason(
        "A density level of the phantom could not be read.", False, "Keep the whole phantom in the field of view."
    ),
    "CAL-UNUSUAL": Reason(
        "The calibration slope is unusual for the tube voltage.", False, "Check tube voltage and phantom type."
    ),
    "CAL-UNIT": Reason(
        "The phantom's densities cannot be converted to hydroxyapatite.", True, "Export the CT with its tube voltage."
    ),
    "CAL-LEVEL": Reason(
        "The density is not calibrated by a phantom in this CT.", False, "Scan with the phantom under the patient."
    ),
    "CAL-REFERENCE": Reason(
        "No reference scans of this scanner and protocol exist.", True, "List them in calibration.reference."
    ),
    "CAL-INTERNAL": Reason(
        "Air, fat and muscle give no calibration.", True, "Scan with the phantom under the patient."
    ),
    "CAL-WATER": Reason(
        "No cylinder of water tells this scanner's error by beam hardening; it is left in the CT.",
        False,
        "Scan a cylinder of water, best with rods of bone, at the patients' voltage and list it in calibration.water.",
    ),
    # Segmentation and landmarks.
    "SEG-MODEL": Reason(
        "No patient had bone labels to learn segmentation from.", True, "List bone_labels for a few patients."
    ),
    "SEG-LABELS": Reason(
        "A patient's bone labels cannot be learned from.", False, "Correct the patient's bone_labels."
    ),
    "SEG-ABSENT": Reason(
        "The patient has no bone labels, and the chosen backend makes none.",
        True,
        "List bone_labels, or choose another segmentation.backend.",
    ),
    "SEG-TOOL": Reason(
        "TotalSegmentator gave no usable bones.",
        True,
        "Read logs/run_totalsegmentator, then repeat with --forcerun run_totalsegmentator, or provide bone_labels.",
    ),
    "SEG-PIECES": Reason(
        "A bone came in pieces; the largest is used.",
        False,
        "Look at the contours; provide bone_labels if bone is missing.",
    ),
    "SEG-HEAD": Reason(
        "Part of the femoral head is labelled as hip bone.", True, "Look at the contours, and provide bone_labels."
    ),
    "SEG-BONE": Reason("A bone was not found.", True, "Check the CT's coverage, or provide bone_labels."),
    "SEG-UNCERTAIN": Reason("The segmentation is uncertain.", False, "Look at the contours."),
    "SEG-LANDMARK": Reason(
        "Landmarks of the femur are undefined.", True, "Provide proximal_femur, or check the femur."
    ),
    "SEG-CROPPED": Reason(
        "The femur ends too close below the lesser trochanter.", True, "Scan at least 3 cm further down."
    ),
    "SEG-REGIONS": Reason(
        "The regions of DXA are undefined on a femur; the proximal femur is measured all the same.",
        False,
        "Look at the contours around the greater trochanter.",
    ),
    "SEG-SPHERE": Reason(
        "The femoral head is not round: deformed, or wrongly outlined.", False, "Look at the contours of the head."
    ),
    "SEG-ASYMMETRY": Reason(
        "The two femurs differ more than two sides do.", False, "Look at the contours; the patient may be asymmetric."
    ),
    "SEG-METAL": Reason("There is metal in or near the femur.", True, "Use the other side."),
    "SEG-FRACTURE": Reason("The femur looks broken.", True, "Look at the CT, and use the other side."),
    "QCT-RANGE": Reason(
        "The areal density is outside any plausible range.", True, "Check calibration and segmentation."
    ),
    # Registration.
    "REG-DISAGREE": Reason("Independent searches ended at different poses.", True, "Check X-ray, side and anatomy."),
    "REG-WEAK": Reason(
        "The projected bone matches the X-ray no better than chance.", True, "Check X-ray, side and anatomy."
    ),
    "REG-FEMUR": Reason(
        "The femur fits the X-ray worse than its pelvis does.", True, "Check the X-ray, and the femur's segmentation."
    ),
    "REG-SPLIT": Reason(
        "Two halves of the X-ray ask for different poses.", True, "Check the X-ray for motion or metal."
    ),
    "REG-UNSETTLED": Reason(
        "The search ended before the bone had settled in the picture.", True, "Check X-ray, side and anatomy."
    ),
    "REG-RIVAL": Reason("The femur fits the picture better in another pose.", True, "Check X-ray, side and anatomy."),
    "REG-BOX": Reason("The pose lies at the edge of the search range.", True, "Check the geometry tags of the X-ray."),
    "REG-FIELD": Reason(
        "Too little of the bone lies inside the X-ray.", True, "Use an X-ray that shows the whole hip."
    ),
    "REG-JOINT": Reason("The femoral head lies outside its socket.", True, "Check X-ray, side and segmentation."),
    "REG-MIRRORED": Reason(
        "The pelvis fits the mirrored X-ray better than the X-ray itself.", True, "Check the side marker of the X-ray."
    ),
    "REG-UNLIKE": Reason(
        "The pelvis fits the X-ray no better than its mirror image, as another patient's would.",
        True,
        "Check that CT and X-ray are of one patient.",
    ),
    "POSE-FLEXION": Reason("The femur is flexed, which changes areal density.", False, "Prefer a neutral X-ray."),
    "POSE-ABDUCTION": Reason("The femur is strongly ab- or adducted.", False, "Prefer a neutral X-ray."),
    "POSE-ROTATION": Reason("The femur is strongly rotated.", False, "Prefer a neutral X-ray."),
    # Halves and predictions.
    "LAT-FIELD": Reason(
        "The hip is not completely inside its half of the X-ray.", True, "Use an X-ray that shows the whole hip."
    ),
    "BMD-EMPTY": Reason("The predicted map holds no bone.", True, "Look at the X-ray; it may not show a hip."),
    "BMD-AREA": Reason("The area of the predicted bone is implausible.", True, "Look at the predicted map."),
    "BMD-RANGE": Reason("The predicted density is outside any plausible range.", True, "Look at the predicted map."),
    "BMD-INTERVAL": Reason("Too few other patients were measured to give an interval.", True, "Enrol more patients."),
}
