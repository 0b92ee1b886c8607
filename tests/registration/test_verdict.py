"""Verdict: every score beyond its limit gives its own reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scripts.register_xrays import limits_of

from osteoray.config.registration import RegistrationConfig
from osteoray.geometry.affines import affine
from osteoray.geometry.camera import ap_camera_from_world
from osteoray.registration.articulated import Placed
from osteoray.registration.femur_pose import FemurPose
from osteoray.registration.parametrisation import PoseSpace
from osteoray.registration.verdict import Quality, findings, joint_shift_mm, pose_findings

CONFIG = RegistrationConfig()
LIMITS = limits_of(CONFIG)
GOOD = Quality(
    agreement_mm=0.5,
    z=8.0,
    split_mm=0.2,
    unsettled_mm=0.05,
    edge=0.3,
    field=1.0,
    sd=np.full(6, 0.1),
    joint_shift_mm=0.5,
    joint_depth_mm=-1.0,
    similarity=0.6,
    mirror_lead=0.03,
    femur_ratio=1.4,
    rival_lead=0.0,
)


def test_a_good_bone_has_no_findings():
    assert findings(GOOD, LIMITS, "X1", "left") == []


def test_a_femur_is_not_compared_with_a_mirror():
    assert findings(replace(GOOD, mirror_lead=None), LIMITS, "X1", "left") == []


def test_a_femur_that_fits_well_need_not_fit_better_than_its_pelvis():
    assert findings(replace(GOOD, similarity=0.93, femur_ratio=1.0), LIMITS, "X1", "left") == []


@pytest.mark.parametrize(
    ("score", "value", "code"),
    [
        ("agreement_mm", float("inf"), "REG-DISAGREE"),
        ("z", 1.5, "REG-WEAK"),
        ("femur_ratio", 0.8, "REG-FEMUR"),
        ("agreement_mm", float("nan"), "REG-DISAGREE"),
        ("z", float("nan"), "REG-WEAK"),
        ("split_mm", float("nan"), "REG-SPLIT"),
        ("unsettled_mm", float("nan"), "REG-UNSETTLED"),
        ("field", float("nan"), "REG-FIELD"),
        ("joint_depth_mm", float("nan"), "REG-JOINT"),
        ("mirror_lead", float("nan"), "REG-UNLIKE"),
        ("femur_ratio", float("nan"), "REG-FEMUR"),
        ("split_mm", 9.0, "REG-SPLIT"),
        ("unsettled_mm", 1.5, "REG-UNSETTLED"),
        ("rival_lead", -0.02, "REG-RIVAL"),
        ("rival_lead", float("nan"), "REG-RIVAL"),
        ("edge", 1.2, "REG-BOX"),
        ("field", 0.3, "REG-FIELD"),
        ("joint_shift_mm", 15.0, "REG-JOINT"),
        ("joint_depth_mm", -40.0, "REG-JOINT"),
        ("mirror_lead", -0.03, "REG-MIRRORED"),
        ("mirror_lead", 0.001, "REG-UNLIKE"),
        ("mirror_lead", -0.001, "REG-UNLIKE"),
    ],
)
def test_a_bad_score_gives_its_code(score, value, code):
    (finding,) = findings(replace(GOOD, **{score: value}), LIMITS, "X1", "right")
    assert (finding.code, finding.xray_id, finding.side) == (code, "X1", "right")


@pytest.mark.parametrize(
    ("pose", "code"),
    [
        (FemurPose(-25.0, 0.0, 0.0), "POSE-FLEXION"),
        (FemurPose(0.0, 22.0, 0.0), "POSE-ABDUCTION"),
        (FemurPose(0.0, 0.0, -45.0), "POSE-ROTATION"),
    ],
)
def test_a_turned_femur_is_warned_of(pose, code):
    assert [finding.code for finding in pose_findings(pose, LIMITS, "X1", "left")] == [code]


def test_joint_shift_separates_across_and_along_the_beam():
    head_mm = np.array([80.0, 0.0, 0.0])
    start = ap_camera_from_world(np.zeros(3), 800.0)
    pelvis = Placed(PoseSpace(start, head_mm), np.ones(6), np.zeros(6), 0.5, 1.0)
    along = affine(np.eye(3), np.array([8.0, 80.0, 0.0]))
    femur = Placed(PoseSpace(start @ along, head_mm), np.ones(6), np.zeros(6), 0.5, 1.0)
    assert joint_shift_mm(pelvis, femur, head_mm) == pytest.approx((0.0, 80.0), abs=1e-9)
    across = affine(np.eye(3), np.array([0.0, 0.0, 5.0]))
    femur = Placed(PoseSpace(start @ across, head_mm), np.ones(6), np.zeros(6), 0.5, 1.0)
    assert joint_shift_mm(pelvis, femur, head_mm) == pytest.approx((5.0, 0.0), abs=1e-9)
