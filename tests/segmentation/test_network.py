"""The Bayesian U-Net: any image, one sample per pass."""

from __future__ import annotations

import pytest
import torch

from osteoray.segmentation.network import BayesianUNet, Shape


def test_any_slice_size_is_accepted():
    network = BayesianUNet(Shape(3, 4, 4, 0.1, 4))
    assert network(torch.zeros(1, 3, 37, 51)).shape == (1, 4, 37, 51)


def test_passes_of_a_network_at_rest_differ_by_dropout_only():
    torch.manual_seed(0)
    image = torch.rand(1, 1, 16, 16)
    sampling, still = (BayesianUNet(Shape(1, 4, 2, dropout, 4)).eval() for dropout in (0.5, 0.0))
    with torch.inference_mode():
        assert not torch.equal(sampling(image), sampling(image))
        torch.testing.assert_close(still(image), still(image), rtol=0, atol=0)


def test_feature_maps_are_dropped_whole():
    network = BayesianUNet(Shape(1, 8, 2, 0.5, 4))
    dropped = network._drop(torch.ones(4, 8, 6, 6))
    assert sorted(torch.unique(dropped).tolist()) == [0.0, 2.0]
    assert (dropped.amin(dim=(2, 3)) == dropped.amax(dim=(2, 3))).all()


@pytest.mark.parametrize("inputs", [1, 6])
def test_the_first_layer_takes_the_channels_of_an_image(inputs):
    network = BayesianUNet(Shape(inputs, 4, 2, 0.0, 4))
    assert next(network.parameters()).shape[1] == inputs
