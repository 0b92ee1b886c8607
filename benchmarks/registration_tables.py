"""Tables of the trials of `registration_cohort.py`: accuracy by condition, false passes and false alarms."""

from __future__ import annotations

import numpy as np
from scripts.register_xrays import limits_of

from osteoray.config.registration import RegistrationConfig
from osteoray.registration.verdict import Quality, findings

LIMITS = limits_of(RegistrationConfig())
WRONG_MM = 2.0
HOPELESS = ("mirrored", "another patient's X-ray")
STUCK, HELD = "stuck at a wrong optimum", "held 2 to 6 mm off"
FAILED = (*HOPELESS, STUCK, HELD)
AS_IT_IS = "as it is"
FREEDOMS = ("about image right", "about image down", "about the beam", "across", "down", "depth")


def codes_of(bone: dict, body: str) -> list[str]:
    """Reason codes that the limits in use give a bone."""
    scores = Quality(**{name: bone["scores"][name] for name in Quality.__dataclass_fields__})
    side = None if body == "pelvis" else body.split("_")[0]
    return [finding.code for finding in findings(scores, LIMITS, "X", side)]


def is_passed(row: dict, body: str) -> bool:
    """The bone was found and is trusted: neither it nor the pelvis raises a code."""
    if body not in row["bones"]:
        return False
    return not any(codes_of(row["bones"][name], name) for name in {"pelvis", body} & set(row["bones"]))


def pairs_of(rows: list[dict], group: str, condition: str | None = None) -> list[tuple[dict, str]]:
    """Trials and bones of a kind that were looked for, under one condition or all."""
    of_condition = [row for row in rows if condition in (None, row["condition"])]
    return [(row, body) for row in of_condition for body in row["wanted"] if group in body]


def print_success(rows: list[dict]) -> None:
    print("| condition | bone | n | passed % | < 2 mm % | target mm | projected mm | rotation ° | aBMD error % |")
    print("|---|---|---|---|---|---|---|---|---|")
    for condition in dict.fromkeys(row["condition"] for row in rows):
        for group in ("pelvis", "femur"):
            pairs = pairs_of(rows, group, condition)
            bones = [row["bones"][body] for row, body in pairs if body in row["bones"]]
            if condition in FAILED or not bones:
                continue
            passed = np.mean([is_passed(*pair) for pair in pairs])
            near = sum(bone["target_mm"] < 2 for bone in bones) / len(pairs)
            cells = [middle_and_tail([bone[name] for bone in bones]) for name in ERRORS]
            maps = [abs(b["abmd_error_percent"]) for b in bones if np.isfinite(b.get("abmd_error_percent", np.nan))]
            cells.append(middle_and_tail(maps) if maps else "")
            head = f"| {condition} | {group} | {len(pairs)} | {100 * passed:.1f} | {100 * near:.1f}"
            print(f"{head} | {' | '.join(cells)} |")
    seconds = [row["cpu_s"] for row in rows if row["condition"] not in FAILED]
    print(f"\nMedians, 95th percentiles in brackets. CPU-s per X-ray: median {np.median(seconds):.2f}, ", end="")
    print(f"95 % {np.percentile(seconds, 95):.2f}.")


ERRORS = ("target_mm", "projected_mm", "rotation_deg")


def middle_and_tail(values: list[float]) -> str:
    return f"{np.median(values):.2f} ({np.percentile(values, 95):.2f})"


def print_sd(rows: list[dict]) -> None:
    """Errors over their predicted standard deviations, of bones that passed: 1 where the prediction is honest."""
    print("\n| root mean square of error / sd | n | " + " | ".join(FREEDOMS) + " |")
    print("|---|---|" + "---|" * len(FREEDOMS))
    for group in ("pelvis", "femur"):
        found = [row["bones"][body] for row, body in pairs_of(rows, group, AS_IT_IS) if is_passed(row, body)]
        if found:
            ratios = np.array([np.divide(bone["off"], bone["scores"]["sd"]) for bone in found])
            cells = " | ".join(f"{value:.2f}" for value in np.sqrt((ratios**2).mean(axis=0)))
            print(f"| {group} | {len(found)} | {cells} |")


def is_wrong(row: dict, body: str) -> bool:
    """The bone's image is off by more than the limit; in an X-ray that is not the patient's nothing is right."""
    return row["condition"] in HOPELESS or row["bones"][body]["projected_mm"] > WRONG_MM


def print_verdict(rows: list[dict]) -> None:
    """False passes: wrong bones that are trusted; false alarms: right ones that are not."""
    print(f"\n| bone | condition | wrong (> {WRONG_MM:g} mm projected) | of these passed | right | of these refused |")
    print("|---|---|---|---|---|---|")
    for group in ("pelvis", "femur"):
        for condition in (*dict.fromkeys(row["condition"] for row in rows), None):
            found = [(row, body) for row, body in pairs_of(rows, group, condition) if body in row["bones"]]
            bad, good = ([is_passed(*pair) for pair in found if is_wrong(*pair) == wrong] for wrong in (True, False))
            counts = f"{len(bad)} | {sum(bad)} | {len(good)} | {len(good) - sum(good)}"
            print(f"| {group} | {condition or 'all'} | {counts} |")
