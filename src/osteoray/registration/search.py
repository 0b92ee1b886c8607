"""Search for one bone's pose: CMA-ES from afar until two searches agree, then Levenberg-Marquardt."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from cmaes import CMA
from jaxtyping import Bool, Float

from osteoray.radiography.search_renderer import PROCESSOR, NormalEquations, SearchRenderer
from osteoray.radiography.shear_warp import GradientTarget, SlicedDensity, is_faced
from osteoray.registration.parametrisation import PoseSpace, mean_distance_mm

PRIOR_WEIGHT = 0.02
"""Gradient correlation that a pose at the edge of the box must be better by than one in its middle; CMA-ES only."""
TRIALS = ((1e-4, 1.0), (1e-4, 2.0), (1.0, 1.0))
"""Damping and length of the steps tried each time. Residuals stay large (tissue is not in the model), so Gauss-Newton
steps are too short: the doubled one halves the number of iterations."""
LEAST_GAIN = 1e-5
"""Gain in gradient correlation below which refinement stops."""
COARSE_STEPS = 6
"""Levenberg-Marquardt steps after each CMA-ES search, before results are compared."""
DIFFERENCE_UNITS_PER_MM = 0.67
"""Step of the central differences per millimetre of voxel size. Forward differences miss the optimum by half a step:
measured 2-4 mm instead of 0.2 mm."""
UNSEEN = -1.0
"""Correlation given to a pose at which the bone's slices are not faced: the worst there is."""
STALLED_SPREAD = 0.02
"""Standard deviation, relative to the box, below which CMA-ES has converged."""


@dataclass(frozen=True)
class Effort:
    """How much one coarse search may cost.

    Attributes:
        population: poses per generation.
        generations: most generations.
        most_searches: searches after which disagreement is accepted.
        agreement_mm: mean distance of the bone's points between two results that agree.
    """

    population: int
    generations: int
    most_searches: int
    agreement_mm: float

    def twice(self) -> Effort:
        """Twice the poses for twice as many generations."""
        return replace(self, population=2 * self.population, generations=2 * self.generations)


@dataclass(frozen=True, eq=False)
class Found:
    """Best pose of several independent searches.

    Attributes:
        units: in the search's pose space.
        correlation: weighted gradient correlation.
        agreement_mm: distance of the nearest other search's result from it.
    """

    units: Float[np.ndarray, "6"]
    correlation: float
    agreement_mm: float


def explore(
    bone: SlicedDensity,
    target: GradientTarget,
    space: PoseSpace,
    ranges: Float[np.ndarray, "6"],
    effort: Effort,
    rng: np.random.Generator,
    renderer: SearchRenderer = PROCESSOR,
) -> Float[np.ndarray, "6"]:
    """One CMA-ES search (Hansen 2001) over the box, with a weak Gaussian prior as wide as the box.

    Args:
        bone: the coarsest model.
        target: the X-ray at that level.
        space: the poses.
        ranges: half widths of the box in units.
        effort: population and generations.
        rng: seeds the search.
        renderer: renders the bone.
    """
    # bounds are left open: the optimum may lie on an edge, and the verdict says so.
    search = CMA(np.zeros(6), 0.5, population_size=effort.population, seed=int(rng.integers(2**31)))
    best, best_cost = np.zeros(6), np.inf
    for _ in range(effort.generations):
        samples = np.array([search.ask() for _ in range(effort.population)])
        samples[:, :3] = np.clip(samples[:, :3], -2.0, 2.0)
        samples[:, 3:] = np.clip(samples[:, 3:], -3.0, 3.0)
        poses = space.poses(samples * ranges)
        correlation = renderer.gradient_correlations(bone, target, poses)
        # What the renderer cannot see from the side has the score of the rest of the picture.
        correlation = np.where(is_faced(bone, poses, space.centre_mm), correlation, UNSEEN)
        costs = PRIOR_WEIGHT * (samples**2).mean(axis=1) - correlation
        search.tell(list(zip(samples, costs.tolist(), strict=True)))
        if costs.min() < best_cost:
            best_cost, best = costs.min(), samples[costs.argmin()]
        if samples.std(axis=0).max() < STALLED_SPREAD:
            break
    return best * ranges


def refine(
    bone: SlicedDensity,
    target: GradientTarget,
    space: PoseSpace,
    units: Float[np.ndarray, "6"],
    steps: int,
    tether: Float[np.ndarray, "6"] | None = None,
    renderer: SearchRenderer = PROCESSOR,
) -> tuple[Float[np.ndarray, "6"], float]:
    """Levenberg-Marquardt on the difference of the normalised gradient images.

    Their squared distance is 4 (1 - gradient correlation), so a least-squares step climbs the correlation. Each step
    renders 13 poses for the Jacobian and three trials.

    Args:
        bone: the model.
        target: the X-ray.
        space: the poses.
        units: where to begin.
        steps: most steps.
        tether: squared distance of the images that one squared unit away from the middle of the space costs.
        renderer: renders the bone.

    Returns:
        The pose in units and its gradient correlation.
    """
    tether = np.zeros(6) if tether is None else tether
    correlation = renderer.gradient_correlations(bone, target, space.poses(units[None]))
    value = float(correlation[0] - tether @ units**2 / 4)
    for _ in range(steps):
        equations = linearised(bone, target, space, units, renderer=renderer)
        hessian = equations.hessian.sum(axis=0) + np.diag(tether)
        slope = equations.slope.sum(axis=0) - tether * units
        diagonal = np.diag(np.diag(hessian))
        if not np.diag(hessian).min() > 0:
            break
        candidates = np.array(
            [units + length * np.linalg.solve(hessian + damping * diagonal, slope) for damping, length in TRIALS]
        )
        values = renderer.gradient_correlations(bone, target, space.poses(candidates)) - candidates**2 @ tether / 4
        gain = float(values.max()) - value
        if gain > 0:
            units, value = candidates[values.argmax()], float(values.max())
        if gain < LEAST_GAIN:
            break
    return units, value + float(tether @ units**2 / 4)


def linearised(
    bone: SlicedDensity,
    target: GradientTarget,
    space: PoseSpace,
    units: Float[np.ndarray, "6"],
    odd_rows: Bool[np.ndarray, "rows"] | None = None,
    renderer: SearchRenderer = PROCESSOR,
) -> NormalEquations:
    """Normal equations of the bone's normalised gradient images at a pose.

    Args:
        bone: the model.
        target: the X-ray.
        space: the poses.
        units: the pose.
        odd_rows: rows of the target that are summed apart from the others; None for none.
        renderer: renders the bone.
    """
    voxel_mm = float(1.0 / np.linalg.norm(bone.index_from_world[0, :3]))
    step = DIFFERENCE_UNITS_PER_MM * voxel_mm
    steps = step * np.vstack([np.zeros((1, 6)), np.eye(6), -np.eye(6)])
    odd_rows = np.zeros(len(target.weights), bool) if odd_rows is None else odd_rows
    return renderer.normal_equations(bone, target, space.poses(units + steps), step, odd_rows)


def search(
    bone: SlicedDensity,
    target: GradientTarget,
    space: PoseSpace,
    ranges: Float[np.ndarray, "6"],
    landmarks_mm: Float[np.ndarray, "points 3"],
    effort: Effort,
    rng: np.random.Generator,
    tether: Float[np.ndarray, "6"] | None = None,
    renderer: SearchRenderer = PROCESSOR,
) -> Found:
    """Search from independent seeds until the best result has been found twice.

    Args:
        bone: the coarsest model.
        target: the X-ray at that level.
        space: the poses.
        ranges: half widths of the box in units.
        landmarks_mm: points whose mean distance measures agreement.
        effort: what may be spent.
        rng: seeds the searches.
        tether: see `refine`.
        renderer: renders the bone.
    """
    results: list[tuple[np.ndarray, float]] = []
    agreement_mm = np.inf
    for _ in range(effort.most_searches):
        start = explore(bone, target, space, ranges, effort, rng, renderer)
        results.append(refine(bone, target, space, start, COARSE_STEPS, tether, renderer))
        results.sort(key=lambda result: -result[1])
        poses = space.poses(np.array([units for units, _ in results]))
        if len(results) > 1:
            agreement_mm = min(mean_distance_mm(poses[0], other, landmarks_mm) for other in poses[1:])
        if agreement_mm < effort.agreement_mm:
            break
    units, correlation = results[0]
    return Found(units, correlation, float(agreement_mm))
