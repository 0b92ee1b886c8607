"""An X-ray becomes log attenuation in a fixed scale, with its geometry and its left and right, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ComputedRadiographyImageStorage, SecondaryCaptureImageStorage

from osteoray.errors.unreadable import Withheld
from osteoray.ingest.xray import XrayImage, read_xray

Make = Callable[..., Dataset]
FULL = 2**14 - 1


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., XrayImage]:
    def read(dataset: Dataset, **changes: object) -> XrayImage:
        path = tmp_path / "x.dcm"
        dataset.save_as(path, enforce_file_format=True)
        settings = {
            "log_offset": 8000.0, "log_units_per_neper": 1000.0, "display_nepers": 5.0, "accepts_display": True,
            "default_sid_mm": 1100.0,
        }  # fmt: skip
        return read_xray(path, "X1", **(settings | changes))

    return read


def test_logarithmic_values_are_scaled_and_never_fitted(
    read: Callable, clean_xray: Make, stored_xray: np.ndarray
) -> None:
    xray = read(clean_xray())
    np.testing.assert_allclose(xray.radiograph.array, (stored_xray - 8000.0) / 1000.0, atol=1e-6)
    brighter = read(clean_xray(stored_xray + np.uint16(500)))
    np.testing.assert_allclose(brighter.radiograph.array - xray.radiograph.array, 0.5, atol=1e-5)
    assert xray.radiograph.array.dtype == np.float32
    assert xray.findings == []


def test_monochrome1_is_monochrome2_inverted(read: Callable, clean_xray: Make, stored_xray: np.ndarray) -> None:
    display = {
        "PixelIntensityRelationship": "DISP",
        "PixelIntensityRelationshipSign": None,
        "PresentationIntentType": "FOR PRESENTATION",
    }
    bright = read(clean_xray(**display)).radiograph.array
    dark = read(clean_xray(FULL - stored_xray, PhotometricInterpretation="MONOCHROME1", **display)).radiograph.array
    np.testing.assert_allclose(dark, bright, atol=1e-6)
    assert bright[-1, -1] > bright[0, 0]


def test_the_sign_of_logarithmic_values_turns_them(read: Callable, clean_xray: Make, stored_xray: np.ndarray) -> None:
    falling = read(clean_xray((16000 - stored_xray).astype(np.uint16), PixelIntensityRelationshipSign=1))
    np.testing.assert_allclose(falling.radiograph.array, read(clean_xray()).radiograph.array, atol=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_linear_exposure_halves_per_0_693_nepers(read: Callable, clean_xray: Make, sign: int) -> None:
    exposure = np.full((40, 60), FULL, np.uint16)
    exposure[20:] = 4096
    stored = exposure if sign == 1 else FULL - exposure
    linear = {"PixelIntensityRelationship": "LIN", "PixelIntensityRelationshipSign": sign}
    attenuation = read(clean_xray(stored.astype(np.uint16), **linear)).radiograph.array
    np.testing.assert_allclose(attenuation[0], 0.0, atol=1e-6)
    np.testing.assert_allclose(attenuation[-1], np.log(FULL / 4096), atol=1e-5)


def test_modality_rescale_comes_before_the_scale(read: Callable, clean_xray: Make, stored_xray: np.ndarray) -> None:
    rescaled = read(clean_xray((stored_xray // 2).astype(np.uint16), RescaleSlope=2, RescaleIntercept=10))
    np.testing.assert_allclose(rescaled.radiograph.array, (stored_xray // 2 * 2.0 + 10 - 8000) / 1000, atol=1e-6)


def test_display_images_carry_a_warning_or_are_refused(read: Callable, clean_xray: Make) -> None:
    dataset = clean_xray(PixelIntensityRelationship="DISP", PresentationIntentType="FOR PRESENTATION")
    assert [finding.code for finding in read(dataset).findings] == ["ING-DISPLAY"]
    with pytest.raises(Withheld, match="DX presentation display") as refusal:
        read(dataset, accepts_display=False)
    assert refusal.value.finding.code == "ING-CLASS"


def test_geometry_comes_from_the_tags(read: Callable, clean_xray: Make) -> None:
    facts = read(clean_xray()).facts
    assert facts["pitch_mm"] == [0.2, 0.25]
    assert (facts["sid_mm"], facts["source_patient_mm"]) == (1150.0, 1000.0)
    assert facts["shape"] == [40, 60]
    assert facts["principal_point"] == [19.5, 29.5]
    assert "assumed" not in facts["sources"].values()


def test_assumed_geometry_is_marked_and_warned_of(read: Callable, clean_xray: Make) -> None:
    xray = read(
        clean_xray(DistanceSourceToDetector=None, DistanceSourceToPatient=0, ViewPosition=None, PatientOrientation=None)
    )
    assert (xray.facts["sid_mm"], xray.facts["source_patient_mm"]) == (1100.0, None)
    assert [(f.code, f.detail, f.xray_id) for f in xray.findings] == [
        ("ING-GEOMETRY", "assumed: orientation, sid_mm, view", "X1")
    ]


def test_magnification_gives_the_distance_and_undoes_calibrated_spacing(read: Callable, clean_xray: Make) -> None:
    factor = {"DistanceSourceToPatient": None, "EstimatedRadiographicMagnificationFactor": 1.15}
    facts = read(
        clean_xray(ImagerPixelSpacing=None, PixelSpacing=[0.2, 0.2], PixelSpacingCalibrationType="GEOMETRY", **factor)
    ).facts
    assert facts["source_patient_mm"] == pytest.approx(1000.0)
    assert facts["pitch_mm"] == pytest.approx([0.23, 0.23])


def test_imager_pixel_spacing_wins_over_pixel_spacing(read: Callable, clean_xray: Make) -> None:
    assert read(clean_xray(PixelSpacing=[0.17, 0.21])).facts["pitch_mm"] == [0.2, 0.25]


def test_the_field_of_view_on_the_detector_moves_the_principal_point(read: Callable, clean_xray: Make) -> None:
    field = {"FieldOfViewOrigin": [10, 20], "DetectorActiveDimensions": [16, 30], "DetectorElementSpacing": [0.2, 0.25]}
    assert read(clean_xray(**field)).facts["principal_point"] == pytest.approx([29.5, 39.5])


@pytest.mark.parametrize(
    ("orientation", "stored_from_seen"),
    [
        (["R", "F"], lambda image: image[:, ::-1]),
        (["L", "H"], lambda image: image[::-1]),
        (["R", "H"], lambda image: image[::-1, ::-1]),
        (["F", "L"], lambda image: image.T),
        (["H", "R"], lambda image: image.T[::-1, ::-1]),
    ],
    ids=["mirrored", "upside down", "half turn", "lying", "lying turned"],
)
def test_patient_left_is_brought_to_the_image_right(
    read: Callable, clean_xray: Make, stored_xray: np.ndarray, orientation: list[str], stored_from_seen: Callable
) -> None:
    expected = read(clean_xray())
    stored = np.ascontiguousarray(stored_from_seen(stored_xray))
    pitch = [0.25, 0.2] if orientation[0] in "FH" else [0.2, 0.25]
    turned = read(clean_xray(stored, PatientOrientation=orientation, ImagerPixelSpacing=pitch))
    assert (turned.radiograph.array == expected.radiograph.array).all()
    assert turned.radiograph.spacing_mm == expected.radiograph.spacing_mm
    assert turned.facts["principal_point"] == expected.facts["principal_point"]


@pytest.mark.parametrize(
    ("elements", "code", "words"),
    [
        ({"ViewPosition": "LL"}, "ING-XRAY", "expected AP, got LL"),
        ({"PatientOrientation": ["L", "R"]}, "ING-SIDE", "expected left-right and head-foot"),
        ({"Laterality": "L", "ImageLaterality": "R"}, "ING-SIDE", "expected L as in Laterality, got R"),
        ({"ImagerPixelSpacing": None}, "ING-XRAY", "two lengths in mm, got nothing"),
        ({"ImagerPixelSpacing": [0.0, 0.2]}, "ING-XRAY", "from 0.02 to 2 mm"),
        ({"PhotometricInterpretation": "RGB"}, "ING-XRAY", "MONOCHROME1 or MONOCHROME2, got RGB"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "ING-XRAY", "a DX or CR image"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_an_x_ray_that_would_be_read_wrong_is_refused(
    read: Callable, clean_xray: Make, elements: dict, code: str, words: str
) -> None:
    with pytest.raises(Withheld, match=words) as refusal:
        read(clean_xray(**elements))
    assert refusal.value.finding.code == code


def test_views_that_contradict_each_other_are_refused(read: Callable, clean_xray: Make) -> None:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "272479007", "SCT", "postero-anterior"
    with pytest.raises(Withheld, match="expected PA as in ViewCodeSequence, got AP"):
        read(clean_xray(ViewCodeSequence=Sequence([item])))


def test_computed_radiography_without_its_relation_is_a_display_image(read: Callable, clean_xray: Make) -> None:
    xray = read(
        clean_xray(
            SOPClassUID=ComputedRadiographyImageStorage,
            PixelIntensityRelationship=None,
            PixelIntensityRelationshipSign=None,
            PresentationIntentType=None,
        )
    )
    assert xray.facts["acquisition_class"] == "CR processing display"
    assert [finding.code for finding in xray.findings] == ["ING-DISPLAY"]


def test_padding_reads_as_open_beam(read: Callable, clean_xray: Make, stored_xray: np.ndarray) -> None:
    stored = stored_xray.copy()
    stored[:5] = 0
    attenuation = read(clean_xray(stored, PixelPaddingValue=0)).radiograph.array
    assert np.unique(attenuation[:5]).tolist() == [attenuation[5:].min()]


def test_a_truncated_x_ray_is_refused_in_one_line(tmp_path: Path, clean_xray: Make) -> None:
    path = tmp_path / "x.dcm"
    clean_xray().save_as(path, enforce_file_format=True)
    whole = path.read_bytes()
    for length in (0, 120, 400, 700, len(whole) - 100):
        path.write_bytes(whole[:length])
        with pytest.raises(Withheld, match=r"^ING-XRAY: X1: ") as refusal:
            read_xray(
                path,
                "X1",
                log_offset=0.0,
                log_units_per_neper=1.0,
                display_nepers=5.0,
                accepts_display=True,
                default_sid_mm=1100.0,
            )
        assert "\n" not in str(refusal.value)


def test_facts_name_nobody(read: Callable, clean_xray: Make) -> None:
    told = str(read(clean_xray()).facts)
    assert "Planted" not in told and "4711" not in told
