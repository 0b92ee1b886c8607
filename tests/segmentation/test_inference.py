"""Monte Carlo inference: it finds bones, samples, repeats, and interpolates where it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.segmentation.conftest import tiny_schedule

from osteoray.imaging.volume import Volume
from osteoray.segmentation import inference
from osteoray.segmentation.cleaning import cleaned
from osteoray.segmentation.inference import context_of, moments, predict, refine, segment_ct
from osteoray.segmentation.segmenter import Design, Segmenter, coarse_samples
from osteoray.segmentation.sides import bones_of_classes
from osteoray.segmentation.slices import central_window
from osteoray.segmentation.training import train

pytestmark = pytest.mark.usefixtures("one_thread")


def dice(found: np.ndarray, wanted: np.ndarray) -> float:
    return 2 * (found & wanted).sum() / (found.sum() + wanted.sum())


def test_a_segmented_ct_has_all_bones_in_place(tiny_segmenter, pelvis_ct, pelvis_classes):
    result = segment_ct(tiny_segmenter, pelvis_ct, samples=3, seed=0)
    found, truth = cleaned(Volume(result.bones, pelvis_ct.grid)), bones_of_classes(pelvis_classes)
    for bone in range(1, 5):
        assert dice(found == bone, truth == bone) > 0.9


def test_the_fine_network_draws_boundaries_that_the_coarse_one_misses(tiny_segmenter, pelvis_ct, pelvis_classes):
    design = tiny_segmenter.design
    box = pelvis_ct.cut(central_window(pelvis_ct))
    shares, _ = predict(tiny_segmenter, box, samples=4, seed=0)
    slices = inference.network_input(box, design.coarse.pixel_mm, design.coarse.slice_mm, design.window_hu)
    with torch.inference_mode():
        coarse = coarse_samples(tiny_segmenter.coarse, torch.from_numpy(slices.array), 4).mean(dim=0).numpy()
    truth = inference.resize_volume((pelvis_classes.array > 0).astype(np.float32), pelvis_ct.array.shape)
    place = central_window(pelvis_ct)
    of_fine, of_coarse = (
        dice(inference.most_probable(p, box.array.shape) > 0, truth[place] > 0) for p in (shares, coarse)
    )
    assert of_fine > of_coarse + 0.02


def test_samples_differ_and_doubt_sits_at_edges(tiny_segmenter, pelvis_ct):
    result = segment_ct(tiny_segmenter, pelvis_ct, samples=6, seed=1)
    assert 0 < result.uncertainty.max() <= 0.25
    assert set(result.taken_cm3) == {"hip", "femur", "sacrum"}
    edge = np.zeros(result.bones.shape, bool)
    for axis in range(3):
        differs = np.diff(result.bones, axis=axis) != 0
        edge[tuple(slice(1, None) if a == axis else slice(None) for a in range(3))] |= differs
    assert result.uncertainty[edge].mean() > 5 * result.uncertainty[~edge].mean()


def test_moments_are_those_of_a_softmax_with_its_background():
    probability = torch.rand(5, 4, 2, 3).softmax(dim=1)
    mean, variance = moments(probability[:, 1:])
    torch.testing.assert_close(mean, probability.mean(dim=0)[1:])
    torch.testing.assert_close(variance, probability.var(dim=0, correction=0).mean(dim=0))


def test_a_sample_is_one_pass_through_both_networks(tiny_segmenter):
    """Without fine dropout each fine answer follows from its own coarse answer; every other one is seen in a mirror."""
    design = tiny_segmenter.design
    still = Segmenter.untrained(Design(design.coarse, design.fine, 0.0, design.window_hu))
    still.fine.load_state_dict(tiny_segmenter.fine.state_dict())
    still.fine.eval()
    images, found = torch.rand(4, 16, 16), torch.rand(3, 3, 2, 8, 8) / 4
    with torch.inference_mode():
        each = [refine(still, images, found[n : n + 1], 20.0)[0] for n in (0, 2)]
        mirrored, _ = refine(still, images.flip(-1), found[1:2].flip(-1), 20.0)
        each.append(mirrored[..., ::-1])
        together, _ = refine(still, images, found, 20.0)
    np.testing.assert_allclose(together, np.mean(each, axis=0), atol=1e-5)


def test_the_coarse_answer_is_interpolated_between_slices_as_volumes_are_resized():
    found = torch.rand(2, 3, 5, 8, 9)
    whole = context_of(found, slice(0, 12), (12, 20, 21))
    wanted = inference.resize_volume(found[1, 2].numpy(), (12, 20, 21))
    np.testing.assert_allclose(whole[1, 2].numpy(), wanted, atol=1e-5)
    torch.testing.assert_close(context_of(found, slice(4, 7), (12, 20, 21)), whole[:, :, 4:7])


def test_without_dropout_only_the_mirror_makes_a_difference(tiny_design, pelvis_ct):
    torch.manual_seed(0)
    still = Segmenter.untrained(Design(tiny_design.coarse, tiny_design.fine, 0.0, tiny_design.window_hu))
    still.coarse.eval()
    still.fine.eval()
    box = pelvis_ct.cut(central_window(pelvis_ct))
    one, two, four = (predict(still, box, samples=samples, seed=0) for samples in (1, 2, 4))
    assert one[1].max() < 1e-10
    assert two[1].max() > 1e-8
    for of_two, of_four in zip(two, four, strict=True):
        np.testing.assert_allclose(of_two, of_four, atol=1e-6)


def test_inference_repeats_with_its_seed(tiny_segmenter, pelvis_ct):
    box = pelvis_ct.cut(central_window(pelvis_ct))
    first, again, other = (predict(tiny_segmenter, box, samples=2, seed=seed)[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_gpu_trains_and_finds_the_bones_of_the_processor(tiny_patient, tiny_design, tiny_segmenter, pelvis_ct):
    *_, last = train([tiny_patient], tiny_design, tiny_schedule(150, 120), device="cuda")
    last.segmenter.coarse.eval()
    last.segmenter.fine.eval()
    on_gpu = segment_ct(last.segmenter, pelvis_ct, samples=4, seed=0).bones
    on_processor = segment_ct(tiny_segmenter, pelvis_ct, samples=4, seed=0).bones
    assert dice(on_gpu > 0, on_processor > 0) > 0.95
