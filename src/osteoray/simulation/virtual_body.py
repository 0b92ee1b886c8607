"""The body of an enrolled patient: its shape from formula, or from one of several label maps in turn."""

from __future__ import annotations

import numpy as np

from osteoray.config.simulation import SimulationConfig
from osteoray.imaging.volume import Volume
from osteoray.simulation.anatomy import AnatomyParameters, draw_anatomy
from osteoray.simulation.body import Body
from osteoray.simulation.enrolment import VirtualPatient, generator
from osteoray.simulation.labelmaps import labelmap_body
from osteoray.simulation.procedural import procedural_body


def drawn_body(config: SimulationConfig, patient: VirtualPatient) -> Body:
    """The patient's body by formula."""
    parameters, rng = _parameters(config, patient)
    return procedural_body(parameters, config.anatomy_spacing_mm, rng)


def traced_body(config: SimulationConfig, patient: VirtualPatient, pairs: int, labels: Volume, mask: Volume) -> Body:
    """The patient's body from a label map; its density is drawn as for any patient.

    Args:
        config: of the cohort.
        patient: who.
        pairs: number of label maps; the first patient of each has its shape as it is, later ones a deformed one.
        labels: bones and muscles.
        mask: the body.
    """
    parameters, rng = _parameters(config, patient)
    deformation = 0.0 if patient.index < pairs else 1.0
    return labelmap_body(labels, mask, config.anatomy_spacing_mm, parameters.bmd_scale, deformation, rng)


def _parameters(config: SimulationConfig, patient: VirtualPatient) -> tuple[AnatomyParameters, np.random.Generator]:
    rng = generator(config.seed, patient.index, "anatomy")
    return draw_anatomy(patient.sex, patient.age_years, patient.height_cm, patient.weight_kg, rng), rng
