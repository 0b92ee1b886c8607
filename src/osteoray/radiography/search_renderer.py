"""What a search asks of a renderer, and who answers: the processor, or a GPU for many registrations at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Bool, Float

from osteoray.radiography import shear_warp
from osteoray.radiography.shear_warp import GradientTarget, SlicedDensity, pixel_ray_lengths, warps

if TYPE_CHECKING:
    import torch

    from osteoray.radiography.shear_warp_launch import Views

Question = Literal["render", "gradient_correlations", "normal_equations"]
"""A method of `SearchRenderer`."""


@dataclass(frozen=True, eq=False)
class NormalEquations:
    """Gauss-Newton's view of a pose: how the normalised gradient images change, and what they lack of the X-ray's.

    Attributes:
        hessian: products of the changes per unit of the six parameters, over even and over odd rows.
        slope: products of the changes with what is lacking.
        square: squared norm of what is lacking.
    """

    hessian: Float[np.ndarray, "2 6 6"]
    slope: Float[np.ndarray, "2 6"]
    square: Float[np.ndarray, "2"]

    @classmethod
    def of(cls, products: Float[np.ndarray, "2 7 7"]) -> NormalEquations:
        """From the products of the six changes and, last, of what is lacking."""
        return cls(products[:, :6, :6], products[:, :6, 6], products[:, 6, 6])


@runtime_checkable
class SearchRenderer(Protocol):
    """Renders bones for a search."""

    def render(
        self,
        bone: SlicedDensity,
        K: Float[np.ndarray, "3 3"],
        camera_from_world: Float[np.ndarray, "poses 4 4"],
        shape: tuple[int, int],
    ) -> Float[np.ndarray, "poses rows columns"]:
        """See `shear_warp.render`."""
        ...

    def gradient_correlations(
        self, bone: SlicedDensity, target: GradientTarget, camera_from_world: Float[np.ndarray, "poses 4 4"]
    ) -> Float[np.ndarray, "poses"]:
        """See `shear_warp.gradient_correlations`."""
        ...

    def normal_equations(
        self,
        bone: SlicedDensity,
        target: GradientTarget,
        camera_from_world: Float[np.ndarray, "13 4 4"],
        step: float,
        odd_rows: Bool[np.ndarray, "rows"],
    ) -> NormalEquations:
        """Normal equations of the bone's normalised gradient images at a pose, by central differences.

        Args:
            bone: the sliced density.
            target: the X-ray.
            camera_from_world: the pose, then a step forward in each of six parameters, then a step back in each.
            step: its length in units.
            odd_rows: rows of the target that are summed apart from the others.
        """
        ...


@runtime_checkable
class BatchRenderer(SearchRenderer, Protocol):
    """A renderer that answers many questions of one kind at once, each as if it were alone."""

    def answer(self, question: Question, requests: Sequence[tuple]) -> list[Any]:
        """The answers to a method's arguments, in order."""
        ...


class ProcessorRenderer:
    """The kernels in C or numba; see `shear_warp`."""

    def render(
        self,
        bone: SlicedDensity,
        K: Float[np.ndarray, "3 3"],
        camera_from_world: Float[np.ndarray, "poses 4 4"],
        shape: tuple[int, int],
    ) -> Float[np.ndarray, "poses rows columns"]:
        """See `SearchRenderer`."""
        return shear_warp.render(bone, K, camera_from_world, shape)

    def gradient_correlations(
        self, bone: SlicedDensity, target: GradientTarget, camera_from_world: Float[np.ndarray, "poses 4 4"]
    ) -> Float[np.ndarray, "poses"]:
        """See `SearchRenderer`."""
        return shear_warp.gradient_correlations(bone, target, camera_from_world)

    def normal_equations(
        self,
        bone: SlicedDensity,
        target: GradientTarget,
        camera_from_world: Float[np.ndarray, "13 4 4"],
        step: float,
        odd_rows: Bool[np.ndarray, "rows"],
    ) -> NormalEquations:
        """See `SearchRenderer`."""
        fields = shear_warp.rendered_gradients(bone, target, camera_from_world)
        images = np.empty((7, *target.gradients.shape), np.float32)
        np.subtract(fields[1:7], fields[7:], out=images[:6])
        images[:6] *= np.float32(0.5 / step)
        np.subtract(target.gradients, fields[0], out=images[6])
        products = np.zeros((2, 7, 7))
        for product, rows in zip(products, (~odd_rows, odd_rows), strict=True):
            if rows.any():
                flat = (images if rows.all() else images[:, :, rows]).reshape(7, -1)
                product[:] = flat @ flat.T
        return NormalEquations.of(products)

    def answer(self, question: Question, requests: Sequence[tuple]) -> list[Any]:
        """See `BatchRenderer`."""
        return [getattr(self, question)(*request) for request in requests]


PROCESSOR = ProcessorRenderer()


class AskingRenderer(ABC):
    """A `SearchRenderer` all of whose methods put their question to `ask`."""

    @abstractmethod
    def ask(self, question: Question, *request: Any) -> Any:
        """The answer to one question with a method's arguments."""

    def render(
        self,
        bone: SlicedDensity,
        K: Float[np.ndarray, "3 3"],
        camera_from_world: Float[np.ndarray, "poses 4 4"],
        shape: tuple[int, int],
    ) -> Float[np.ndarray, "poses rows columns"]:
        """See `SearchRenderer`."""
        return self.ask("render", bone, K, camera_from_world, shape)

    def gradient_correlations(
        self, bone: SlicedDensity, target: GradientTarget, camera_from_world: Float[np.ndarray, "poses 4 4"]
    ) -> Float[np.ndarray, "poses"]:
        """See `SearchRenderer`."""
        return self.ask("gradient_correlations", bone, target, camera_from_world)

    def normal_equations(
        self,
        bone: SlicedDensity,
        target: GradientTarget,
        camera_from_world: Float[np.ndarray, "13 4 4"],
        step: float,
        odd_rows: Bool[np.ndarray, "rows"],
    ) -> NormalEquations:
        """See `SearchRenderer`."""
        return self.ask("normal_equations", bone, target, camera_from_world, step, odd_rows)


class GpuRenderer(AskingRenderer):
    """Triton kernels; see `shear_warp_triton`.

    A bone and a target are copied to the device when first seen and stay there as long as they live; `render` sends
    its blank picture each time.

    Args:
        device: "cuda", or "cpu" where the kernels run in Triton's interpreter.
    """

    def __init__(self, device: str = "cuda") -> None:
        # Not where the package is imported: neither torch nor Triton is everywhere.
        from osteoray.radiography import shear_warp_launch

        self._launch = shear_warp_launch
        self._device = device
        self._volumes: WeakKeyDictionary[SlicedDensity, torch.Tensor] = WeakKeyDictionary()
        self._pictures: WeakKeyDictionary[GradientTarget, torch.Tensor] = WeakKeyDictionary()

    def ask(self, question: Question, *request: Any) -> Any:
        """See `AskingRenderer`."""
        return self.answer(question, [request])[0]

    def answer(self, question: Question, requests: Sequence[tuple]) -> list[Any]:
        """See `BatchRenderer`."""
        if question == "render":
            return self._launch.images([self._blank_view(*request) for request in requests])
        views = [self._view(*request[:3]) for request in requests]
        if question == "gradient_correlations":
            return self._launch.correlations(views)
        _, _, _, steps, odd_rows = zip(*requests, strict=True)
        return [NormalEquations.of(products) for products in self._launch.products(views, steps, odd_rows)]

    def _view(
        self, bone: SlicedDensity, target: GradientTarget, camera_from_world: Float[np.ndarray, "poses 4 4"]
    ) -> Views:
        if target not in self._pictures:
            layers = [target.ray_lengths, target.background, target.weights, *target.gradients]
            self._pictures[target] = self._sent(np.stack(layers))
        mapping = warps(bone, target.K, camera_from_world)
        return self._launch.Views(self._volume(bone), self._pictures[target], mapping)

    def _blank_view(
        self,
        bone: SlicedDensity,
        K: Float[np.ndarray, "3 3"],
        camera_from_world: Float[np.ndarray, "poses 4 4"],
        shape: tuple[int, int],
    ) -> Views:
        ray_lengths = pixel_ray_lengths(K, shape)
        picture = self._sent(np.stack([ray_lengths, np.zeros_like(ray_lengths)]))
        return self._launch.Views(self._volume(bone), picture, warps(bone, K, camera_from_world))

    def _volume(self, bone: SlicedDensity) -> torch.Tensor:
        if bone not in self._volumes:
            self._volumes[bone] = self._sent(dense(bone))
        return self._volumes[bone]

    def _sent(self, array: np.ndarray) -> torch.Tensor:
        import torch

        return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(self._device)


def gpu_problem() -> str | None:
    """Why `GpuRenderer` cannot work here, in one line; None where it can.

    A kernel is launched to find out: for its first launch Triton compiles a part of itself, which needs a C compiler
    and Python's headers.
    """
    try:
        import torch
        import triton  # noqa: F401
    except ImportError as error:
        return f"no module {error.name}"
    if not torch.cuda.is_available():
        return "no CUDA device"
    try:
        from osteoray.radiography.shear_warp_launch import try_launch

        try_launch("cuda")
    except Exception as error:
        return " ".join(f"a failed launch, {type(error).__name__}: {error}".split())
    return None


def dense(bone: SlicedDensity) -> Float[np.ndarray, "slices rows columns"]:
    """The density with its empty voxels, in g/cm² per millimetre of path."""
    first, stop, place = bone.runs.astype(np.int64).T
    slices, rows, columns = (int(n) for n in bone.shape)
    row = np.repeat(np.arange(slices * rows), np.diff(bone.run_starts))
    begin = np.cumsum(stop - first) - (stop - first)
    offset = np.arange((stop - first).sum()) - np.repeat(begin, stop - first)
    volume = np.zeros(slices * rows * columns, np.float32)
    volume[np.repeat(row * columns + first, stop - first) + offset] = bone.density[
        np.repeat(place, stop - first) + offset
    ]
    return volume.reshape(slices, rows, columns)
