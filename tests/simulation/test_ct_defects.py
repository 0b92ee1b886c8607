"""Every defect of a CT or its files changes exactly what it says, and its truth stays true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import yaml
from tests.simulation.ellipsoids import ellipsoid_body

from osteoray.config.simulation import CtScannerConfig, SimulationConfig
from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Side
from osteoray.simulation.body import ADIPOSE_G_CM3, HYDROXYAPATITE_G_CM3, LEAN_G_CM3
from osteoray.simulation.ct_acquisition import METAL_HU
from osteoray.simulation.ct_examination import CtExamination, ct_facts, ct_header, examine_ct
from osteoray.simulation.dicom_ct import CtHeader, write_ct
from osteoray.simulation.dicom_encoding import SYNTAXES
from osteoray.simulation.dicom_study import Study
from osteoray.simulation.enrolment import enrolled
from osteoray.simulation.implant import BALL_RADIUS_MM, hip_replacement, replace_hip
from osteoray.simulation.phantom import PhantomDesign

CT = CtScannerConfig(matrix=120, pixel_mm=3.6, slice_mm=5, noise_hu=3, extent_mm=230)
CONFIG = SimulationConfig(ct=CT)
PATIENT = enrolled(CONFIG, "V001")
TABLE = Path(__file__).resolve().parents[2] / "resources" / "phantoms" / "b_mas200.yaml"
GRID = VoxelGrid.axial((9, 40, 48), (2.5, 1.8, 1.8), (-30.2, -41.0, 100.5))
HU = np.random.default_rng(0).integers(-1024, 3000, GRID.shape).astype(np.int16)
UNCHANGED = ("Rows", "Columns", "PixelSpacing", "SliceThickness", "ImageOrientationPatient", "KVP", "PatientID")


@pytest.fixture(scope="module")
def design():
    return PhantomDesign.from_table(yaml.safe_load(TABLE.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def body():
    return ellipsoid_body(5.0)


@pytest.fixture(scope="module")
def examine(body, design):
    """Examine the patient with some defects; the same defects are examined once."""
    done: dict[tuple[str, ...], CtExamination] = {}

    def examined(*defects: str) -> CtExamination:
        if defects not in done:
            config = CONFIG.model_copy(update={"defects": {"V001": defects}})
            done[defects] = examine_ct(config, PATIENT, body, design)
        return done[defects]

    return examined


def write(folder: Path, *defects: str, **header) -> list[pydicom.FileDataset]:
    """The series with some defects, sorted by position."""
    write_ct(folder, Study(PATIENT, "CT", 1), HU, GRID, 120.0, CtHeader(defects=frozenset(defects), **header))
    files = [pydicom.dcmread(path) for path in folder.glob("IM*.dcm")]
    return sorted(files, key=lambda file: float(file.ImagePositionPatient[2]))


def heights_mm(files: list[pydicom.FileDataset]) -> list[float]:
    return [float(file.ImagePositionPatient[2]) for file in files]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return write(tmp_path_factory.mktemp("sound"))


def hu_of(file: pydicom.FileDataset) -> np.ndarray:
    return file.pixel_array.astype(int) + int(file.RescaleIntercept)


# Patient and phantom.


def test_another_patients_defects_change_nothing(body, design, examine):
    config = CONFIG.model_copy(update={"defects": {"V002": ("implant_ct", "phantom_turned", "feet_first")}})
    again = examine_ct(config, PATIENT, body, design)
    np.testing.assert_array_equal(again.ct.hu, examine().ct.hu)
    assert ct_facts(again) == ct_facts(examine())


def test_the_truth_names_its_defects(examine):
    assert ct_facts(examine())["defects"] == []
    assert ct_facts(examine("phantom_turned", "contrast"))["defects"] == ["contrast", "phantom_turned"]


def test_an_absent_phantom_leaves_the_patient_as_he_is(examine):
    without, with_phantom = examine("phantom_absent"), examine()
    assert ct_facts(without)["phantom"] is None and ct_facts(without)["rods"] == []
    assert not without.ct.rods_mm.size
    np.testing.assert_array_equal(without.ct.ha_mg_cm3, with_phantom.ct.ha_mg_cm3)


def test_a_turned_phantom_shows_its_rods_mirrored(examine):
    turned, straight = (ct_facts(examine(*names))["rods"] for names in (("phantom_turned",), ()))
    middle = examine().scan.placement.middle_mm[0]
    for rod, other in zip(turned, straight, strict=True):
        assert rod["density_mg_cm3"] == other["density_mg_cm3"]
        assert rod["centre_mm"][0] - middle == pytest.approx(middle - other["centre_mm"][0], abs=2)


def test_swapped_rods_exchange_two_densities(examine):
    swapped, sound = (ct_facts(examine(*names))["rods"] for names in (("rods_swapped",), ()))
    assert [rod["density_mg_cm3"] for rod in swapped] == [100, 200, 50, 150]
    np.testing.assert_allclose([r["centre_mm"] for r in swapped], [r["centre_mm"] for r in sound])


def test_a_cut_phantom_covers_forty_millimetres(examine):
    ct = examine("phantom_cut").ct
    assert np.ptp(ct.rods_mm[0, :, 2]) + ct.grid.spacing_mm[0] == pytest.approx(40, abs=5)


def test_a_clipped_phantom_loses_two_rods_to_the_edge(examine):
    ct = examine("phantom_clipped").ct
    radius_mm = ct.grid.shape[2] * ct.grid.spacing_mm[2] / 2
    distance_mm = np.hypot(*(ct.rods_mm[..., :2] - ct.grid.centre_mm[:2]).T).mean(axis=0)
    assert list(distance_mm < radius_mm) == [True, True, False, False]


def test_a_cropped_scan_ends_at_the_lesser_trochanter(examine, body):
    cropped, whole = examine("ct_cropped").ct, examine().ct
    lowest = cropped.grid.world_from_index[2, 3]
    assert 0 <= lowest - body.femurs[Side.LEFT].lesser_trochanter_mm[2] < 5
    np.testing.assert_array_equal(cropped.ha_mg_cm3, whole.ha_mg_cm3[-cropped.hu.shape[0] :])


def test_thick_slices_are_five_millimetres(body, design):
    config = SimulationConfig(ct=CT.model_copy(update={"slice_mm": 2.5}), defects={"V001": ("thick_slices",)})
    assert examine_ct(config, PATIENT, body, design).ct.grid.spacing_mm[0] == 5


def test_contrast_agent_brightens_soft_tissue_only(examine):
    agent, plain = examine("contrast").ct, examine().ct
    brighter = agent.hu.astype(int) - plain.hu > 60
    assert 20 < brighter.sum() * plain.grid.voxel_mm3 / 1000 < 400
    assert plain.ha_mg_cm3[brighter].mean() < 30
    np.testing.assert_array_equal(agent.ha_mg_cm3, plain.ha_mg_cm3)


def test_motion_moves_what_lies_below_and_the_truth_with_it(examine):
    moved, still = examine("motion"), examine()
    facts = ct_facts(moved)
    below = int((facts["motion_below_z_mm"] - moved.ct.grid.world_from_index[2, 3]) / 5) - 2
    np.testing.assert_array_equal(moved.ct.bones[below + 4 :], still.ct.bones[below + 4 :])
    mineral = [ct.ha_mg_cm3[below - 6 : below].sum(axis=0) for ct in (moved.ct, still.ct)]
    centres = [np.array([np.average(axis, weights=m) for axis in np.indices(m.shape)]) * 3.6 for m in mineral]
    np.testing.assert_allclose(centres[0] - centres[1], facts["motion_mm"][1::-1], atol=0.3)
    assert 6 <= np.hypot(*facts["motion_mm"][:2]) <= 8


def test_a_tilted_gantry_sees_the_same_patient_on_tilted_planes(examine, body):
    ct = examine("gantry_tilt").ct
    linear = ct.grid.world_from_index[:3, :3]
    tilt = np.degrees(np.arctan2(linear[2, 1], linear[1, 1]))
    assert tilt == pytest.approx(12)
    np.testing.assert_allclose(linear[:, 0], [0, 0, 5])
    assert np.linalg.norm(linear[:, 1]) == pytest.approx(3.6)
    # The head's centre is where the sheared grid says, in truth and image.
    for femur in body.femurs.values():
        index = apply_affine(ct.grid.index_from_world, femur.head_centre_mm)
        k, j, i = np.rint(index).astype(int)
        assert ct.ha_mg_cm3[k, j, i] > 390 and ct.hu[k, j, i] > 350
        corner = np.array([k - 3, j - 8, i - 8])
        window = tuple(slice(start, start + size) for start, size in zip(corner, (7, 17, 17), strict=True))
        ball = corner + np.argwhere(ct.bones[window] > 0).mean(axis=0)
        assert np.abs(apply_affine(ct.grid.world_from_index, ball) - femur.head_centre_mm).max() < 6


# Implant.


def test_metal_has_the_volume_of_an_implant_wherever_the_grid_lies(body):
    femur = body.femurs[Side.LEFT]
    fine = hip_replacement(femur, Side.LEFT, VoxelGrid.axial((160, 90, 90), (1.5, 1.5, 1.5), (50.0, -65.0, -160.0)))
    coarse = hip_replacement(femur, Side.LEFT, VoxelGrid.axial((80, 45, 45), (3.0, 3.0, 3.0), (50.75, -64.25, -159.25)))
    ball_mm3 = 4 / 3 * np.pi * BALL_RADIUS_MM**3
    assert fine.sum() * 1.5**3 == pytest.approx(coarse.sum() * 27, rel=0.03)
    assert 2 * ball_mm3 < fine.sum() * 1.5**3 < 6 * ball_mm3
    assert fine.min() >= 0 and fine.max() == 1
    elsewhere = VoxelGrid.axial((10, 10, 10), (3.0, 3.0, 3.0), (-200.0, 0.0, 0.0))
    assert not hip_replacement(femur, Side.LEFT, elsewhere).any()


def test_the_operation_conserves_volume_and_leaves_the_other_hip(body):
    metal = hip_replacement(body.femurs[Side.LEFT], Side.LEFT, body.grid)
    after = replace_hip(body, Side.LEFT)

    def filled(b):
        return b.adipose_g_cm3 / ADIPOSE_G_CM3 + b.lean_g_cm3 / LEAN_G_CM3 + b.ha_mg_cm3 / (1000 * HYDROXYAPATITE_G_CM3)

    inside = filled(body) > 0.99
    np.testing.assert_allclose((filled(after) + metal)[inside], 1.0, atol=1e-3)
    right = body.grid.coordinates_mm()[..., 0] < 0
    np.testing.assert_array_equal(after.ha_mg_cm3[right], body.ha_mg_cm3[right])
    k, j, i = np.rint(apply_affine(body.grid.index_from_world, body.femurs[Side.LEFT].head_centre_mm)).astype(int)
    assert after.ha_mg_cm3[k, j, i] == 0 and after.bones[k, j, i] == 0


def test_metal_saturates_and_streaks_reach_beyond_it(examine, body):
    metal, plain = examine("implant_ct").ct, examine().ct
    saturated = metal.hu == METAL_HU
    assert 15 < saturated.sum() * metal.grid.voxel_mm3 / 1000 < 80
    k, j, i = np.rint(apply_affine(plain.grid.index_from_world, body.femurs[Side.LEFT].head_centre_mm)).astype(int)
    assert saturated[k, j, i]
    muscle = (slice(k, k + 1), slice(j - 12, j + 13), slice(60 - 8, 60 + 8))
    assert metal.hu[muscle].astype(float).std() > 3 * plain.hu[muscle].astype(float).std()
    far = plain.hu.shape[0] - 3
    assert np.abs(metal.hu[far].astype(int) - plain.hu[far]).max() < 40


# Files and headers.


def test_a_sound_series_is_complete(sound):
    np.testing.assert_allclose(np.diff(heights_mm(sound)), 2.5)
    np.testing.assert_array_equal([hu_of(file) for file in sound], HU)
    assert [file.InstanceNumber for file in sound] == list(range(9, 0, -1))


def test_the_scanner_and_its_protocol_are_named(examine, tmp_path):
    examined = examine()
    files = write(tmp_path, kvp=100, kernel="sharp", station="CT03", serial="4711", model="Virtual CT 64")
    assert (files[0].KVP, files[0].ConvolutionKernel, files[0].StationName) == (100, "BONE", "CT03")
    assert (files[0].DeviceSerialNumber, files[0].ManufacturerModelName) == ("4711", "Virtual CT 64")
    header = ct_header(examined, "raw")
    assert header.station == examined.scan.unit.station and len(header.current_ma) == examined.ct.grid.shape[0]


def test_a_missing_slice_leaves_a_gap(tmp_path, sound):
    files = write(tmp_path, "slice_missing")
    assert sorted(set(heights_mm(sound)) - set(heights_mm(files))) == [heights_mm(sound)[4]]


def test_a_duplicate_slice_shares_a_position_and_nothing_else(tmp_path, sound):
    files = write(tmp_path, "slice_duplicate")
    assert len(files) == 10 and len(set(heights_mm(files))) == 9
    first, second = (file for file in files if float(file.ImagePositionPatient[2]) == heights_mm(sound)[4])
    assert first.SOPInstanceUID != second.SOPInstanceUID and first.InstanceNumber != second.InstanceNumber
    difference = hu_of(first) - hu_of(second)
    assert difference.any() and np.abs(difference).max() < 50


def test_uneven_slices_are_further_apart_below(tmp_path):
    steps = np.diff(heights_mm(write(tmp_path, "slice_uneven")))
    np.testing.assert_allclose(steps, [5.0, 5.0, 2.5, 2.5, 2.5, 2.5])


def test_an_empty_folder_holds_no_image_and_a_localizer_is_no_slice(tmp_path):
    assert not write(tmp_path / "a", "ct_empty") and len(list((tmp_path / "a").iterdir())) == 1
    assert not write(tmp_path / "b", "ct_localizer_only")
    (localizer,) = (pydicom.dcmread(path) for path in (tmp_path / "b").iterdir())
    assert "LOCALIZER" in localizer.ImageType and localizer.pixel_array.shape == (9, 48)
    assert len(write(tmp_path / "c", "localizer")) == 9
    others = sorted(path.name for path in (tmp_path / "c").glob("[!I]*"))
    assert others == ["LOC00001.dcm", "SR00001.dcm"]
    assert pydicom.dcmread(tmp_path / "c" / "SR00001.dcm").Modality == "SR"


def test_a_corrupt_file_is_cut_off(tmp_path):
    write_ct(tmp_path, Study(PATIENT, "CT", 1), HU, GRID, 120.0, CtHeader(defects=frozenset({"ct_corrupt"})))
    sizes = sorted(path.stat().st_size for path in tmp_path.iterdir())
    assert sizes[0] < 0.7 * sizes[1] and sizes[1] > 0.98 * sizes[-1]


@pytest.mark.parametrize("defect", ["not_hu", "padding", "feet_first", "contrast"])
def test_a_header_defect_changes_its_own_tags_only(tmp_path, sound, defect):
    changed = {
        "not_hu": {"RescaleIntercept", "RescaleType"},
        "padding": {"PixelPaddingValue", "PixelRepresentation", "PixelData"},
        "feet_first": {"PatientPosition", "InstanceNumber", "SliceLocation", "SOPInstanceUID"},
        "contrast": {"ContrastBolusAgent", "ContrastBolusRoute", "ContrastBolusVolume"},
    }[defect]
    for file, plain in zip(write(tmp_path, defect), sound, strict=True):
        names = {element.keyword for element in (*file, *plain)}
        assert {name for name in names if file.get(name) != plain.get(name)} <= changed
        assert all(file.get(name) == plain.get(name) for name in UNCHANGED)


def test_padding_lies_outside_the_circle_and_is_minus_3024(tmp_path):
    files = write(tmp_path, "padding")
    values = np.array([hu_of(file) for file in files])
    y, x = np.linspace(-1, 1, 40)[:, None], np.linspace(-1, 1, 48)[None]
    outside = np.hypot(y, x) > 1
    assert (values[:, outside] == -3024).all()
    np.testing.assert_array_equal(values[:, ~outside], HU[:, ~outside])


def test_feet_first_runs_the_other_way_and_keeps_the_patients_coordinates(tmp_path, sound):
    files = write(tmp_path, "feet_first")
    assert files[0].PatientPosition == "FFS"
    assert [file.InstanceNumber for file in files] == list(range(1, 10))
    assert heights_mm(files) == heights_mm(sound)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_lossless_compression_keeps_every_value(tmp_path, syntax):
    files = write(tmp_path, transfer_syntax=syntax)
    assert {file.file_meta.TransferSyntaxUID for file in files} == {SYNTAXES[syntax]}
    np.testing.assert_array_equal([hu_of(file) for file in files], HU)


def test_a_compressed_series_mixes_four_syntaxes(tmp_path):
    files = write(tmp_path, "compressed", "padding")
    assert {file.file_meta.TransferSyntaxUID for file in files} == set(SYNTAXES.values())
    inside = np.hypot(np.linspace(-1, 1, 40)[:, None], np.linspace(-1, 1, 48)[None]) <= 1
    np.testing.assert_array_equal([hu_of(file)[inside] for file in files], HU[:, inside])


def test_a_tilted_series_says_so(tmp_path, examine):
    ct = examine("gantry_tilt").ct
    write_ct(tmp_path, Study(PATIENT, "CT", 1), ct.hu, ct.grid, 120.0, ct_header(examine("gantry_tilt"), "raw"))
    files = sorted((pydicom.dcmread(p) for p in tmp_path.iterdir()), key=lambda f: float(f.ImagePositionPatient[2]))
    file = files[0]
    assert float(file.GantryDetectorTilt) == pytest.approx(12)
    orientation = np.array(file.ImageOrientationPatient, float)
    angle = np.radians(12)
    np.testing.assert_allclose(orientation, [1, 0, 0, 0, np.cos(angle), np.sin(angle)], atol=1e-5)
    step = np.array(files[1].ImagePositionPatient, float) - np.array(file.ImagePositionPatient, float)
    np.testing.assert_allclose(step, [0, 0, 5], atol=1e-3)
    assert float(file.SpacingBetweenSlices) == pytest.approx(5 * np.cos(angle), abs=1e-3)
