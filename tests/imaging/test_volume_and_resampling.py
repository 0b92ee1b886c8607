import numpy as np
import pytest

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.resampling import resample, resize_image, spaced
from osteoray.imaging.volume import Volume
from osteoray.imaging.volume_resizing import resize_volume


@pytest.fixture
def ramp():
    """A volume whose value is its own LPS x in millimetres."""
    grid = VoxelGrid.axial((20, 30, 40), (3.0, 2.0, 1.5), (-30.0, -20.0, 5.0))
    return Volume(grid.coordinates_mm()[..., 0].astype(np.float32), grid)


def test_array_must_have_the_shape_of_its_grid():
    with pytest.raises(ValueError, match=r"expected shape \(2, 2, 2\) of its grid, got \(2, 2, 3\)"):
        Volume(np.zeros((2, 2, 3)), VoxelGrid.axial((2, 2, 2), (1.0, 1.0, 1.0)))


def test_linear_resampling_reproduces_a_linear_field(ramp):
    grid = VoxelGrid.axial((5, 6, 7), (4.0, 3.0, 2.0), (-20.0, -10.0, 20.0))
    np.testing.assert_allclose(resample(ramp, grid).array, grid.coordinates_mm()[..., 0], atol=1e-4)


def test_respaced_volume_covers_the_same_extent_with_the_same_mean(ramp):
    coarse = spaced(ramp, (6.0, 4.0, 3.0))
    assert coarse.array.shape == (10, 15, 20)
    np.testing.assert_allclose(coarse.grid.centre_mm, ramp.grid.centre_mm, atol=1e-9)
    assert coarse.array[2:-2, 2:-2, 2:-2].mean() == pytest.approx(ramp.array.mean(), abs=0.1)


def test_crop_to_a_mask_keeps_places(ramp):
    mask = np.zeros(ramp.array.shape, bool)
    mask[5:8, 10:12, 20:25] = True
    cropped = ramp.crop_to(mask, margin_mm=3.0)
    assert cropped.array.shape == (5, 6, 9)
    np.testing.assert_allclose(cropped.array, cropped.grid.coordinates_mm()[..., 0], atol=1e-4)


def test_crop_to_nothing_is_an_error(ramp):
    with pytest.raises(ValueError, match="mask: expected at least one voxel, got none"):
        ramp.crop_to(np.zeros(ramp.array.shape, bool))


@pytest.mark.parametrize("shape", [(64, 32), (50, 20), (300, 200), (128, 64)])
def test_resized_image_keeps_constants_and_ramps(shape):
    columns = np.linspace(0.5, 127.5, 128) / 128
    image = np.tile(columns, (100, 1)).astype(np.float32)
    resized = resize_image(image, shape)
    expected = (np.arange(shape[1]) + 0.5) / shape[1]
    inner = slice(2, -2)
    np.testing.assert_allclose(resized[0][inner], expected[inner], atol=1e-3)
    np.testing.assert_allclose(resize_image(np.ones_like(image), shape), 1.0, atol=1e-6)


def test_shrinking_by_a_whole_factor_keeps_the_mean():
    image = np.random.default_rng(0).random((128, 64)).astype(np.float32)
    assert resize_image(image, (32, 16)).mean() == pytest.approx(image.mean(), abs=5e-3)


@pytest.mark.parametrize("shape", [(12, 20, 16), (3, 30, 11), (6, 10, 32)])
def test_a_resized_volume_is_resized_along_every_axis_as_an_image(shape):
    volume = np.random.default_rng(0).random((6, 10, 16)).astype(np.float32)
    layers = np.stack([resize_image(layer, shape[1:]) for layer in volume])
    flat = resize_image(layers.reshape(6, -1), (shape[0], shape[1] * shape[2]))
    np.testing.assert_allclose(resize_volume(volume, shape), flat.reshape(shape), atol=1e-6)
