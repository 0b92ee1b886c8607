"""Registrations in lock-step: what each of them returns or raises is what it returns or raises alone."""

from __future__ import annotations

import weakref
from dataclasses import fields
from functools import partial
from queue import Queue

import numpy as np
import pytest
from scripts.register_xrays import limits_of, plan_of

from osteoray.config.registration import RegistrationConfig
from osteoray.imaging.radiograph import Radiograph
from osteoray.radiography.search_renderer import PROCESSOR, ProcessorRenderer
from osteoray.registration.lock_step import in_lock_step
from osteoray.registration.parametrisation import PoseSpace
from osteoray.registration.search import refine
from osteoray.registration.targets import gradient_target, xray_level
from osteoray.registration.xray import register_xray, start_camera

CONFIG = RegistrationConfig(most_searches=2)
PLAN, LIMITS = plan_of(CONFIG, CONFIG.depth_range_mm), limits_of(CONFIG)


class Counted(ProcessorRenderer):
    """The processor's renderer, which counts the requests that come together."""

    def __init__(self):
        self.together = []

    def answer(self, question, requests):
        self.together.append((question, len(requests)))
        return super().answer(question, requests)


@pytest.fixture(scope="module")
def start(phantom, models):
    camera = phantom.camera
    geometry = (camera.sid_mm, camera.pitch_mm, (99.5, 119.5), camera.shape)
    return start_camera(*geometry, 850.0, models["pelvis"].centre_mm)


def assert_same(one, other):
    """Every bit of two registrations."""
    assert one.findings == other.findings
    assert one.placed.keys() == other.placed.keys()
    for name, bone in one.placed.items():
        np.testing.assert_array_equal(bone.units, other.placed[name].units)
        assert bone.correlation == other.placed[name].correlation
    for name, quality in one.quality.items():
        for field in fields(quality):
            np.testing.assert_array_equal(getattr(quality, field.name), getattr(other.quality[name], field.name))


def test_whole_registrations_are_the_same_bits_as_one_after_the_other(phantom, models, xray, start):
    upside_down = Radiograph(np.ascontiguousarray(xray.array[::-1, ::-1]), xray.spacing_mm)
    pelvis = {"pelvis": models["pelvis"]}
    # The second ends after the pelvis, the third is refused and searched again.
    views = [(xray, models, 1), (xray, pelvis, 2), (upside_down, pelvis, 3)]

    def register(image, bones, seed, renderer):
        rng = np.random.default_rng(seed)
        return register_xray("X", image, start, bones, PLAN, LIMITS, rng, renderer=renderer)

    alone = [register(*view, PROCESSOR) for view in views]
    together = in_lock_step(PROCESSOR, [partial(register, *view) for view in views])
    assert [set(result.placed) for result in alone] == [set(models), {"pelvis"}, set()]
    for one, other in zip(alone, together, strict=True):
        assert_same(one, other.result())


@pytest.fixture(scope="module")
def question(phantom, models, xray, true_poses):
    """Scores `count` times and returns the number it was given with the last scores."""
    target, bone = gradient_target(xray_level(xray, phantom.camera, 3.4, 2.8)), models["pelvis"].levels[0]

    def ask(number, count, renderer):
        scores = None
        for _ in range(count):
            scores = renderer.gradient_correlations(bone, target, true_poses["pelvis"][None])
        return number, scores

    return ask


def test_results_come_in_order_and_who_ends_early_holds_nobody_up(question):
    renderer = Counted()
    results = in_lock_step(renderer, [partial(question, number, count) for number, count in enumerate((3, 0, 1, 5))])
    assert [result.result()[0] for result in results] == [0, 1, 2, 3]
    assert [count for _, count in renderer.together] == [3, 2, 2, 1, 1]


def test_different_questions_are_answered_by_kind(phantom, models, xray, true_poses, question):
    bone, camera = models["pelvis"].levels[0], xray_level(xray, phantom.camera, 3.4, 2.8).camera

    def draw(renderer):
        return renderer.render(bone, camera.K, true_poses["pelvis"][None], camera.shape)

    renderer = Counted()
    results = in_lock_step(renderer, [draw, partial(question, 0, 1), draw])
    assert sorted(renderer.together) == [("gradient_correlations", 1), ("render", 2)]
    np.testing.assert_array_equal(results[0].result(), draw(PROCESSOR))


def test_refinements_are_the_same_bits(phantom, models, xray, true_poses):
    target, bone = gradient_target(xray_level(xray, phantom.camera, 3.4, 2.8)), models["pelvis"].levels[0]
    space = PoseSpace(true_poses["pelvis"], models["pelvis"].centre_mm)
    starts = np.random.default_rng(0).uniform(-3, 3, (4, 6))

    def run(start, renderer):
        return refine(bone, target, space, start, 3, renderer=renderer)

    together = in_lock_step(PROCESSOR, [partial(run, start) for start in starts])
    for start, result in zip(starts, together, strict=True):
        units, correlation = run(start, PROCESSOR)
        np.testing.assert_array_equal(result.result()[0], units)
        assert result.result()[1] == correlation


def test_who_fails_fails_alone(question):
    def fail(renderer):
        question(0, 2, renderer)
        raise LookupError("no such bone")

    results = in_lock_step(PROCESSOR, [partial(question, 0, 4), fail, partial(question, 2, 4)])
    assert [results[0].result()[0], results[2].result()[0]] == [0, 2]
    with pytest.raises(LookupError, match="no such bone"):
        results[1].result()


def test_a_question_that_cannot_be_answered_fails_who_asked_it(phantom, models, question):
    def ask_nonsense(renderer):
        return renderer.render(models["pelvis"].levels[0], phantom.camera.K, np.full((1, 4, 4), np.nan), (8, 8))

    def draw(renderer):
        pose = phantom.camera.camera_from_world[None]
        return renderer.render(models["pelvis"].levels[0], phantom.camera.K, pose, (8, 8))

    results = in_lock_step(PROCESSOR, [draw, ask_nonsense, partial(question, 2, 2)])
    np.testing.assert_array_equal(results[0].result(), draw(PROCESSOR))
    assert results[2].result()[0] == 2
    with pytest.raises(ValueError, match="camera_from_world: expected finite poses"):
        results[1].result()


def test_nobody_makes_no_results():
    assert in_lock_step(PROCESSOR, []) == []


class Buffer:
    """Something on the device."""


class TooSmall(ProcessorRenderer):
    """A renderer whose launches of several requests fail; it counts the buffers of failed launches that still live."""

    def __init__(self):
        self.buffers = []
        self.living = []

    def answer(self, question, requests):
        self.living.append(sum(buffer() is not None for buffer in self.buffers))
        buffer = Buffer()
        self.buffers.append(weakref.ref(buffer))
        if len(requests) > 1:
            raise MemoryError("out of memory")
        return super().answer(question, requests)


def test_nothing_of_a_failed_launch_is_left_when_everyone_is_answered_alone(question):
    renderer = TooSmall()
    results = in_lock_step(renderer, [partial(question, number, 1) for number in range(3)])
    assert [result.result()[0] for result in results] == [0, 1, 2]
    assert renderer.living == [0, 0, 0, 0]


def test_an_error_that_is_kept_keeps_nothing_of_its_launch(question):
    class Broken(TooSmall):
        def answer(self, question, requests):
            return super().answer(question, requests * 2)

    renderer = Broken()
    results = in_lock_step(renderer, [partial(question, 0, 1)])
    with pytest.raises(MemoryError, match="out of memory"):
        results[0].result()
    assert [buffer() for buffer in renderer.buffers] == [None]


class Interrupted(ProcessorRenderer):
    """A renderer that is stopped from the keyboard."""

    def answer(self, question, requests):
        raise KeyboardInterrupt


def test_an_interrupted_batch_leaves_nobody_waiting(question):
    ends = Queue()

    def ask(renderer):
        try:
            question(0, 1, renderer)
        except RuntimeError as error:
            ends.put(str(error))
            raise

    with pytest.raises(KeyboardInterrupt):
        in_lock_step(Interrupted(), [ask, ask])
    for _ in range(2):
        assert "end of the batch" in ends.get(timeout=60)


def test_who_asks_after_an_interruption_is_not_left_waiting(question):
    ends = Queue()

    def ask_twice(renderer):
        for _ in range(2):
            with pytest.raises(RuntimeError, match="end of the batch"):
                question(0, 1, renderer)
        ends.put("over")

    with pytest.raises(KeyboardInterrupt):
        in_lock_step(Interrupted(), [ask_twice])
    assert ends.get(timeout=60) == "over"
