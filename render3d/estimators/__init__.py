"""Estimators: gradients through a renderer that gives none.

An `Estimator` is noise (what is perturbed), support (which pixels are credited to which vertex) and signal (how losses
become credit). Three ways to use their parts: `Smoothed`, which is a renderer, `expected_loss`, which is a loss, and
`multi_sample_bound`, which is a bound on a log likelihood.
`check_gradient` compares any of them with an independent reference.
"""

from render3d.estimators.bound import MultiSampleBound, multi_sample_bound
from render3d.estimators.checks import GradientCheck, check_gradient
from render3d.estimators.choice import SHARP, default_gradient, differentiable, estimator_of
from render3d.estimators.estimator import Estimator
from render3d.estimators.expected import expected_loss
from render3d.estimators.noise import Antithetic, Draw, Gaussian, Noise, Pixels, VertexNoise
from render3d.estimators.noisy import Noisy
from render3d.estimators.presets import (
    ESTIMATORS,
    NoControlVariateWarning,
    antithetic,
    central_difference,
    control_variate,
    estimator_by_name,
    leave_one_out,
    local_credit,
    local_regression,
    reinforce,
    spsa,
)
from render3d.estimators.references import OneByOne, Signs
from render3d.estimators.signal import ControlVariate, LeaveOneOut, Paired, Plain, Regression, Signal
from render3d.estimators.smoothed import Smoothed
from render3d.estimators.statistics import GradientStatistics
from render3d.estimators.support import Everywhere, NotLocalWarning, Rings, Support

__all__ = ["MultiSampleBound", "Smoothed", "differentiable", "expected_loss", "multi_sample_bound"]
__all__ += ["SHARP", "default_gradient", "estimator_of"]
__all__ += ["GradientCheck", "GradientStatistics", "check_gradient"]
__all__ += ["ESTIMATORS", "Estimator", "NoControlVariateWarning", "estimator_by_name"]
__all__ += ["antithetic", "central_difference", "leave_one_out", "reinforce", "spsa"]
__all__ += ["control_variate", "local_credit", "local_regression"]
__all__ += ["Antithetic", "Draw", "Gaussian", "Noise", "Noisy", "OneByOne", "Pixels", "Signs", "VertexNoise"]
__all__ += ["Everywhere", "NotLocalWarning", "Rings", "Support"]
__all__ += ["ControlVariate", "LeaveOneOut", "Paired", "Plain", "Regression", "Signal"]
