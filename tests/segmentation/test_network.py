"""The Bayesian U-Net: it learns, it samples, it resumes."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch

from osteoray.imaging.volume import Volume
from osteoray.segmentation.augmentation import Views, apply_views, sample_views
from osteoray.segmentation.inference import most_probable, predict, segment_ct
from osteoray.segmentation.network import BayesianUNet, Shape, from_checkpoint, to_checkpoint
from osteoray.segmentation.provided import on_grid
from osteoray.segmentation.sides import BoneClass, bones_of_classes
from osteoray.segmentation.slices import central_box, network_input, network_target
from osteoray.segmentation.training import LabelledSlices, Schedule, segmentation_loss, train

SMALL = Shape(base_filters=8, levels=4, dropout=0.05, classes=4)
WINDOW_HU = (-200.0, 1000.0)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def patient(pelvis_ct, pelvis_classes) -> LabelledSlices:
    bones = Volume(bones_of_classes(pelvis_classes), pelvis_classes.grid)
    slices = network_input(central_box(pelvis_ct), 4.0, 3.0, WINDOW_HU)
    return LabelledSlices(slices.array, network_target(bones, slices))


def schedule(steps: int, report: int = 1000) -> Schedule:
    return Schedule(steps, batch=4, learning_rate=8e-3, weight_decay=1e-4, seed=0, report_steps=report)


@pytest.fixture(scope="module")
def trained(patient) -> BayesianUNet:
    *_, last = train([patient], SMALL, schedule(250))
    return from_checkpoint(to_checkpoint(last.network))


def test_training_lowers_the_loss(patient):
    losses = [snapshot.loss for snapshot in train([patient], SMALL, schedule(60, report=20))]
    assert losses[-1] < 0.8 * losses[0]


def test_the_network_overfits_one_slice(patient):
    k = int(np.argmax([len(np.unique(layer)) * 1e6 + (layer > 0).sum() for layer in patient.classes]))
    one = LabelledSlices(patient.images[k : k + 1], patient.classes[k : k + 1])
    *_, last = train([one], Shape(8, 3, 0.0, 4), Schedule(150, 2, 1e-2, 0.0, 0, 1000))
    probability, _ = predict(from_checkpoint(to_checkpoint(last.network)), one.images, samples=1, seed=0)
    found = probability.argmax(axis=0)
    assert (found == one.classes).mean() > 0.97


def test_a_segmented_ct_has_all_bones_in_place(trained, pelvis_ct, pelvis_classes):
    result = segment_ct(trained, pelvis_ct, 4.0, 3.0, WINDOW_HU, samples=3, seed=0)
    truth = bones_of_classes(pelvis_classes)
    for bone in range(1, 5):
        found, wanted = result.bones == bone, truth == bone
        assert 2 * (found & wanted).sum() / (found.sum() + wanted.sum()) > 0.8


def test_samples_differ_and_doubt_sits_at_edges(trained, patient):
    _, doubt = predict(trained, patient.images, samples=6, seed=1)
    assert 0 < doubt.max() <= 0.25
    edge = np.zeros(patient.classes.shape, bool)
    edge[:, 1:] |= patient.classes[:, 1:] != patient.classes[:, :-1]
    edge[:, :, 1:] |= patient.classes[:, :, 1:] != patient.classes[:, :, :-1]
    assert doubt[edge].mean() > 3 * doubt[~edge].mean()


def test_mean_and_variance_are_those_of_single_samples(trained, patient):
    images = patient.images[20:22]
    mean, variance = predict(trained, images, samples=4, seed=3)
    torch.manual_seed(3)
    with torch.inference_mode():
        repeated = torch.from_numpy(images)[:, None].repeat_interleave(4, dim=0)
        each = trained(repeated.contiguous(memory_format=torch.channels_last)).softmax(dim=1).numpy()
    each = each.reshape(2, 4, *each.shape[1:])
    np.testing.assert_allclose(mean, each.mean(axis=1).transpose(1, 0, 2, 3), atol=1e-5)
    np.testing.assert_allclose(variance, each.var(axis=1).mean(axis=1), atol=1e-5)


def test_without_dropout_there_is_no_doubt(patient):
    torch.manual_seed(0)
    network = BayesianUNet(Shape(4, 2, 0.0, 4)).eval()
    _, doubt = predict(network, patient.images[:2], samples=3, seed=0)
    assert doubt.max() < 1e-10


def test_inference_repeats_with_its_seed(trained, patient):
    first, again = (predict(trained, patient.images[:3], samples=2, seed=5)[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_any_slice_size_is_accepted(trained):
    assert trained(torch.zeros(1, 1, 37, 51)).shape == (1, 4, 37, 51)


def test_a_checkpoint_gives_the_same_network_without_pickled_code(trained, patient):
    buffer = BytesIO()
    torch.save(to_checkpoint(trained), buffer)
    buffer.seek(0)
    again = from_checkpoint(torch.load(buffer, weights_only=True))
    assert again.shape == trained.shape
    np.testing.assert_array_equal(
        predict(trained, patient.images[:2], 2, 0)[0], predict(again, patient.images[:2], 2, 0)[0]
    )


def test_a_resumed_training_is_the_same_training(patient):
    *_, whole = train([patient], SMALL, schedule(8, report=4))
    first = next(iter(train([patient], SMALL, schedule(8, report=4))))
    buffer = BytesIO()
    torch.save(first.resume, buffer)
    buffer.seek(0)
    *_, rest = train([patient], SMALL, schedule(8, report=4), torch.load(buffer, weights_only=True))
    assert rest.step == whole.step == 8
    for name, weights in whole.network.state_dict().items():
        torch.testing.assert_close(rest.network.state_dict()[name], weights, rtol=0, atol=0)


def test_the_loss_of_a_perfect_answer_is_zero_and_of_a_wrong_one_is_not():
    target = torch.nn.functional.one_hot(torch.randint(0, 4, (2, 8, 8)), 4).movedim(-1, 1).float()
    assert segmentation_loss(50 * target, target).item() == pytest.approx(0.0, abs=1e-3)
    assert segmentation_loss(50 * target.roll(1, 1), target).item() > 1


def test_the_identity_view_changes_nothing():
    image, target = torch.rand(2, 1, 16, 24), torch.nn.functional.one_hot(torch.randint(0, 4, (2, 16, 24)), 4)
    target = target.movedim(-1, 1).float()
    identity = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).expand(2, 2, 3)
    ones = torch.ones(2, 1, 1, 1)
    same = apply_views(image, target, Views(identity, ones, 0 * ones, torch.zeros_like(image)))
    torch.testing.assert_close(same[0], image, atol=1e-5, rtol=0)
    torch.testing.assert_close(same[1], target, atol=1e-5, rtol=0)


def test_views_keep_shares_summing_to_one_and_repeat_with_their_seed():
    target = torch.nn.functional.one_hot(torch.randint(0, 4, (3, 20, 30)), 4).movedim(-1, 1).float()
    views = [sample_views(3, (20, 30), torch.Generator().manual_seed(1)) for _ in range(2)]
    torch.testing.assert_close(views[0].output_from_input, views[1].output_from_input)
    _, shares = apply_views(torch.rand(3, 1, 20, 30), target, views[0])
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(3, 20, 30))


def test_the_central_box_keeps_bone_and_leaves_the_rest(pelvis_ct, pelvis_classes):
    box = central_box(pelvis_ct)
    assert box.array.shape[0] == pelvis_ct.array.shape[0]
    assert box.array.size < 0.9 * pelvis_ct.array.size
    kept = on_grid(pelvis_classes, box.grid).array
    assert (kept > 0).sum() == (pelvis_classes.array > 0).sum()


def test_air_has_no_central_box(pelvis_ct):
    air = Volume(np.full_like(pelvis_ct.array, -1000), pelvis_ct.grid)
    assert central_box(air).array.shape == air.array.shape


def test_targets_return_to_the_ct_grid_where_they_came_from(pelvis_ct, pelvis_classes):
    box = central_box(pelvis_ct)
    slices = network_input(box, 2.0, 3.0, WINDOW_HU)
    bones = Volume(bones_of_classes(pelvis_classes), pelvis_classes.grid)
    target = network_target(bones, slices)
    shares = np.stack([target == bone_class for bone_class in BoneClass]).astype(np.float32)
    back = most_probable(shares, slices.grid, box.grid)
    truth = on_grid(pelvis_classes, box.grid).array
    assert 2 * ((back > 0) & (truth > 0)).sum() / ((back > 0).sum() + (truth > 0).sum()) > 0.97
    shift = np.argwhere(back > 0).mean(axis=0) - np.argwhere(truth > 0).mean(axis=0)
    assert np.abs(shift * box.grid.spacing_mm).max() < 0.1


def test_the_window_maps_to_zero_and_one(pelvis_ct):
    values = network_input(pelvis_ct, 3.0, 3.0, (0.0, 500.0)).array
    assert values.min() == 0.0
    assert values.max() <= 1.0
