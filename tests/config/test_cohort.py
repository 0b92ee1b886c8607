import pytest

from osteoray.config.cohort import CohortTableError, read_cohort

PATIENTS = "patient_id\tsex\tage\theight_cm\tweight_kg\tct\tdxa_bmd\texclude\n"
XRAYS = "patient_id\txray_id\tpose\tpath\n"
GOOD = "P1\tF\t71\t155\t52\tP1/CT\t0.71\t\n"


@pytest.fixture
def tables(tmp_path):
    def write(patients=PATIENTS + GOOD, xrays=XRAYS + "P1\tX1\tstanding\tP1/1.dcm\n"):
        (tmp_path / "patients.tsv").write_text(patients)
        (tmp_path / "xrays.tsv").write_text(xrays)
        return tmp_path / "patients.tsv", tmp_path / "xrays.tsv"

    return write


def codes(cohort):
    return [(problem.patient_id, problem.xray_id, problem.code) for problem in cohort.problems]


def test_a_good_table_is_read_as_written(tables):
    cohort = read_cohort(*tables())
    patient = cohort["P1"]
    assert (patient.age_years, patient.dxa_bmd_g_cm2, patient.target_side) == (71.0, 0.71, "both")
    assert [(x.xray_id, x.pose) for x in patient.xrays] == [("X1", "standing")]
    assert cohort.problems == ()


def test_every_missing_column_of_both_tables_is_named_at_once(tables):
    with pytest.raises(CohortTableError) as error:
        read_cohort(*tables(patients="patient_id\tsex\n", xrays="patient_id\txray_id\n"))
    lines = str(error.value).splitlines()
    assert len(lines) == 6
    assert "patients.tsv:1: expected a column 'age', got patient_id, sex" in lines[0]
    assert "xrays.tsv:1: expected a column 'path'" in lines[-1]


def test_a_missing_table_is_one_line(tables, tmp_path):
    patients, _ = tables()
    with pytest.raises(CohortTableError, match=r"none.tsv: expected a tab-separated table, got no such file. Fix:"):
        read_cohort(patients, tmp_path / "none.tsv")


def test_a_duplicate_patient_leaves_the_others_untouched(tables):
    cohort = read_cohort(*tables(patients=PATIENTS + GOOD + GOOD + GOOD.replace("P1", "P2")))
    assert [p.patient_id for p in cohort.patients] == ["P2"]
    assert cohort.enrolled == (("P1", "F"), ("P2", "F"))
    assert codes(cohort) == [("P1", "", "TAB-DUPLICATE")] * 2
    assert "patients.tsv:2: patient_id: expected once, got 'P1' 2 times" in str(cohort.problems[0])


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [
        ("\tF\t", "\tfemale\t", "sex: expected one of F, M, got 'female'"),
        ("\t71\t", "\tseventy\t", "age: expected 0 to 120 years, got 'seventy'"),
        ("\t155\t", "\t1.55\t", "height_cm: expected 50 to 250 cm, got '1.55'"),
        ("P1/CT", "", "ct: expected a folder of DICOM, got ''"),
        ("0.71", "0,71", "dxa_bmd: expected 0.1 to 3 g/cm², got '0,71'"),
        ("P1\t", "P 1\t", "patient_id: expected letters, digits, - and _, got 'P 1'"),
    ],
)
def test_a_bad_value_is_one_line_with_its_place(tables, good, bad, told):
    other = GOOD.replace("P1", "P2")
    cohort = read_cohort(*tables(patients=PATIENTS + other + GOOD.replace(good, bad), xrays=XRAYS))
    assert [p.patient_id for p in cohort.patients] == ["P2"]
    assert cohort.problems[0].code == "TAB-VALUE"
    assert f"patients.tsv:3: {told}" in str(cohort.problems[0])


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("P1\tX2\tsitting\ta.dcm", "pose: expected one of standing, supine, rest, abduction, adduction, unknown"),
        ("P9\tX2\trest\ta.dcm", "patient_id: expected a patient_id of patients.tsv, got 'P9'"),
        ("P1\tX1\trest\ta.dcm", "xray_id: expected a new name"),
        ("P1\tX2\trest\t", "path: expected a DICOM file, got ''"),
    ],
)
def test_a_bad_xray_leaves_the_patient_its_other_xrays(tables, row, told):
    cohort = read_cohort(*tables(xrays=XRAYS + "P1\tX1\tstanding\tP1/1.dcm\n" + row + "\n"))
    assert [x.xray_id for x in cohort["P1"].xrays] == ["X1"]
    assert cohort.problems[0].code == "TAB-XRAY"
    assert told in str(cohort.problems[0])


def test_an_excluded_patient_stays_a_row_with_its_reason(tables):
    cohort = read_cohort(*tables(patients=PATIENTS + GOOD.replace("\t\n", "\thip replaced\n")))
    assert cohort.patients == ()
    assert cohort.enrolled == (("P1", "F"),)
    assert "hip replaced" in str(cohort.problems[0])


def test_order_is_enrolment_order_and_byte_order_marks_do_no_harm(tables):
    rows = "".join(GOOD.replace("P1", name) for name in ("P3", "P1", "P2"))
    cohort = read_cohort(*tables(patients="\ufeff" + PATIENTS + rows))
    assert [patient for patient, _ in cohort.enrolled] == ["P3", "P1", "P2"]


def test_a_misspelt_column_stops_the_run_and_an_extra_one_does_not(tables):
    with pytest.raises(CohortTableError, match=r"expected a known column, got 'exlude'; did you mean 'exclude'\?"):
        read_cohort(*tables(patients=PATIENTS.replace("exclude", "exlude") + GOOD))
    assert read_cohort(*tables(patients=PATIENTS.replace("exclude", "ward") + GOOD)).problems == ()


def test_an_excluded_row_needs_no_other_field(tables):
    row = "P2\t\t\t\t\t\t\twithdrew\n"
    cohort = read_cohort(*tables(patients=PATIENTS + GOOD + row))
    assert codes(cohort) == [("P2", "", "TAB-EXCLUDED")]


def test_an_xray_without_a_name_is_told_by_its_line(tables):
    cohort = read_cohort(*tables(xrays=XRAYS + "P1\tX1\tstanding\tP1/1.dcm\nP1\t\trest\tP1/2.dcm\n"))
    assert codes(cohort) == [("P1", "line-3", "TAB-XRAY")]


def test_a_table_in_another_encoding_is_one_line(tables, tmp_path):
    patients, xrays = tables()
    patients.write_bytes((PATIENTS + GOOD).replace("P1/CT", "Röntgen").encode("latin-1"))
    with pytest.raises(CohortTableError, match=r"patients.tsv: expected UTF-8 text, got invalid"):
        read_cohort(patients, xrays)
