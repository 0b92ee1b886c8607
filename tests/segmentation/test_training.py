"""Training: it learns, it overfits, and a resumed run is the same run."""

from __future__ import annotations

import copy
from io import BytesIO

import numpy as np
import pytest
import torch
from tests.segmentation.conftest import tiny_schedule

from osteoray.segmentation.network import BayesianUNet, Shape
from osteoray.segmentation.training import Schedule, Stage, fit, segmentation_loss, train
from osteoray.segmentation.training_slices import Examples

pytestmark = pytest.mark.usefixtures("one_thread")


def test_both_networks_learn(tiny_patient, tiny_design):
    snapshots = list(train([tiny_patient], tiny_design, tiny_schedule(60, 60, report_steps=20)))
    assert [(s.network, s.step) for s in snapshots] == [(n, k) for n in ("coarse", "fine") for k in (20, 40, 60)]
    losses = [snapshot.loss for snapshot in snapshots]
    assert losses[2] < 0.8 * losses[0]
    assert losses[5] < 0.8 * losses[3]


class OneSlice:
    """The same example again and again."""

    def __init__(self) -> None:
        image = np.add.outer(np.arange(32), np.arange(32)) % 13 / 13
        classes = torch.from_numpy((image > 0.5).astype(np.int64) + (image > 0.8))
        self.image = torch.from_numpy(image).float()[None, None]
        self.target = torch.nn.functional.one_hot(classes, 3).movedim(-1, 0)[None].float()

    def draw(self, count: int, generator: torch.Generator) -> Examples:
        return Examples(self.image.repeat(count, 1, 1, 1), self.target.repeat(count, 1, 1, 1))


def test_a_network_overfits_one_slice():
    torch.manual_seed(0)
    network, source = BayesianUNet(Shape(1, 8, 2, 0.0, 3)), OneSlice()
    list(fit(network, source, Stage(120, 2, 1e-2), Schedule(Stage(1, 1, 1), Stage(1, 1, 1), 32, 0.0, 0, 50), 0, None))
    found = network.eval()(source.image).argmax(dim=1)
    assert (found == source.target.argmax(dim=1)).float().mean() > 0.99


@pytest.mark.parametrize("stopped_after", [1, 2, 3, 4])
def test_a_resumed_training_is_the_same_training(tiny_patient, tiny_design, stopped_after):
    schedule = tiny_schedule(8, 8, report_steps=4)
    *_, whole = train([tiny_patient], tiny_design, schedule)
    run = train([tiny_patient], tiny_design, schedule)
    for _ in range(stopped_after):
        snapshot = next(run)
    buffer = BytesIO()
    torch.save(snapshot.resume, buffer)
    buffer.seek(0)
    *_, rest = train([tiny_patient], tiny_design, schedule, resume=torch.load(buffer, weights_only=True))
    assert (rest.network, rest.step, rest.loss) == ("fine", 8, whole.loss)
    for ours, theirs in ((rest.segmenter.coarse, whole.segmenter.coarse), (rest.segmenter.fine, whole.segmenter.fine)):
        for name, weights in theirs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], weights, rtol=0, atol=0)


def test_resuming_never_forgets_what_the_fine_network_has_learned(tiny_patient, tiny_design):
    schedule = tiny_schedule(8, 8, report_steps=4)
    run = train([tiny_patient], tiny_design, schedule)
    _, coarse, fine = (copy.deepcopy(next(run).resume) for _ in range(3))
    later = []
    for stopped in (coarse, fine):
        rest = train([tiny_patient], tiny_design, schedule, resume=stopped)
        later.append([(snapshot.network, snapshot.step) for snapshot in rest])
    assert later == [[("coarse", 8), ("fine", 4), ("fine", 8)], [("fine", 8)]]


def test_the_loss_of_a_perfect_answer_is_zero_and_of_a_wrong_one_is_not():
    target = torch.nn.functional.one_hot(torch.randint(0, 4, (2, 8, 8)), 4).movedim(-1, 1).float()
    assert segmentation_loss(50 * target, target).item() == pytest.approx(0.0, abs=1e-3)
    assert segmentation_loss(50 * target.roll(1, 1), target).item() > 1


def test_shares_are_the_best_answer_to_shares():
    """Where a boundary pixel is 70 % bone, no other probability has a lower loss."""
    share = torch.full((1, 1, 4, 4), 0.7)
    target = torch.cat([1 - share, share], dim=1)
    losses = {
        p: segmentation_loss(torch.tensor([1 - p, p]).log()[None, :, None, None].expand(1, 2, 4, 4), target).item()
        for p in (0.5, 0.6, 0.7, 0.8, 0.9)
    }
    assert min(losses, key=losses.get) == 0.7
