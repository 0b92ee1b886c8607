"""cohort.xlsx: every value, every exclusion, and what the columns mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from io import BytesIO

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from osteoray.clinic.record import Model, Patient
from osteoray.clinic.wording import DISCLAIMER, QUANTITY, STATES

VALUE_COLUMNS = {
    "patient_id": "pseudonym",
    "sex": "F or M",
    "age_years": "age at the X-ray",
    "xray_id": "the X-ray",
    "side": "side of the patient",
    "pose": "pose of the X-ray",
    "state": "reported, warning or withheld",
    "handed_over": "1 for the measurement that the patient's page shows for this hip",
    "abmd_g_cm2": "aBMD estimated from the X-ray, QCT scale, g/cm²; empty if withheld",
    "low_g_cm2": "lower end of its interval, g/cm²",
    "high_g_cm2": "upper end of its interval, g/cm²",
    "qct_abmd_g_cm2": "aBMD of the same hip by QCT, g/cm²; empty if not measured",
    "qct_calibration_level": "what calibrated that QCT: phantom, asynchronous, internal or none",
    "area_cm2": "projected area of the bone at the hip, cm²; empty if withheld",
    "codes": "reason codes; see the sheet Exclusions for their meaning",
}
"""Columns of the sheet Values and what they hold."""

_FIXED_DATE = datetime(2000, 1, 1)


def spreadsheet(patients: Sequence[Patient], exclusions: Sequence[Mapping[str, str]], model: Model) -> bytes:
    """The workbook as bytes, with the sheets Values, Exclusions and Legend."""
    book = Workbook()
    book.properties.created = book.properties.modified = _FIXED_DATE
    values = book.active
    values.title = "Values"
    _fill(values, list(VALUE_COLUMNS), [row for patient in patients for row in _values(patient)])
    for column in ("I", "J", "K", "L"):
        for cell in values[column][1:]:
            cell.number_format = "0.000"
    columns = ["patient_id", "xray_id", "side", "stage", "code", "verdict", "detail", "fix"]
    _fill(book.create_sheet("Exclusions"), columns, [[row[c] or None for c in columns] for row in exclusions])
    legend = [
        ["quantity", QUANTITY],
        ["note", DISCLAIMER],
        *map(list, VALUE_COLUMNS.items()),
        *map(list, STATES.items()),
    ]
    legend += [["model", model.name], ["software", model.version], ["training population", model.training_population]]
    legend += [
        ["accuracy", model.accuracy],
        ["precision", model.precision.sentence if model.precision else "no repeats"],
    ]
    _fill(book.create_sheet("Legend"), ["term", "meaning"], legend)
    buffer = BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _values(patient: Patient) -> list[list]:
    rows = []
    for m in patient.measurements:
        numbers = [m.estimate.value_g_cm2, m.estimate.low_g_cm2, m.estimate.high_g_cm2] if m.estimate else [None] * 3
        who = [patient.patient_id, patient.sex, patient.age_years, m.xray_id, m.side, m.pose, str(m.verdict)]
        handed_over = int(patient.chosen(m.side) is m)
        area_cm2 = None if m.area_cm2 is None else round(m.area_cm2, 1)
        codes = " ".join(remark.code for remark in m.remarks)
        qct = patient.qct.get(m.side)
        reference = [qct.value_g_cm2, qct.level] if qct else [None, None]
        rows.append([*who, handed_over, *numbers, *reference, area_cm2, codes or None])
    return rows


def _fill(sheet: Worksheet, head: Sequence[str], rows: Sequence[Sequence]) -> None:
    sheet.append(list(head))
    for row in rows:
        sheet.append(list(row))
    for cell in sheet[1]:
        cell.font = Font(bold=True, color="FFFFFF")
        cell.fill = PatternFill("solid", fgColor="0A5C91")
    for index, title in enumerate(head, start=1):
        longest = max([len(title), *(len(str(row[index - 1] or "")) for row in rows)])
        sheet.column_dimensions[get_column_letter(index)].width = min(longest + 3, 80)
        if longest > 77:
            for cell in sheet[get_column_letter(index)][1:]:
                cell.alignment = Alignment(wrap_text=True, vertical="top")
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = sheet.dimensions
