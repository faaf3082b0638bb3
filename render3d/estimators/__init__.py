"""Estimators: how a gradient is had through a renderer that gives none.

An `Estimator` is noise (what is perturbed), support (which pixels are credited to which vertex) and signal (how losses
become credit). Three ways to use their parts: `Smoothed`, which is a renderer, `expected_loss`, which is a loss, and
`multi_sample_bound`, which is a bound on a log likelihood.
`check_gradient` compares any of them with an independent reference.
"""

from render3d.estimators.bound import multi_sample_bound as multi_sample_bound
from render3d.estimators.checks import GradientCheck as GradientCheck
from render3d.estimators.checks import check_gradient as check_gradient
from render3d.estimators.estimator import Estimator as Estimator
from render3d.estimators.expected import expected_loss as expected_loss
from render3d.estimators.noise import Antithetic as Antithetic
from render3d.estimators.noise import Draw as Draw
from render3d.estimators.noise import Gaussian as Gaussian
from render3d.estimators.noise import Noise as Noise
from render3d.estimators.noise import Pixels as Pixels
from render3d.estimators.noise import VertexNoise as VertexNoise
from render3d.estimators.noisy import Noisy as Noisy
from render3d.estimators.presets import ESTIMATORS as ESTIMATORS
from render3d.estimators.presets import NoControlVariateWarning as NoControlVariateWarning
from render3d.estimators.presets import antithetic as antithetic
from render3d.estimators.presets import central_difference as central_difference
from render3d.estimators.presets import control_variate as control_variate
from render3d.estimators.presets import estimator_by_name as estimator_by_name
from render3d.estimators.presets import leave_one_out as leave_one_out
from render3d.estimators.presets import local_credit as local_credit
from render3d.estimators.presets import local_regression as local_regression
from render3d.estimators.presets import reinforce as reinforce
from render3d.estimators.presets import spsa as spsa
from render3d.estimators.references import OneByOne as OneByOne
from render3d.estimators.references import Signs as Signs
from render3d.estimators.signal import ControlVariate as ControlVariate
from render3d.estimators.signal import LeaveOneOut as LeaveOneOut
from render3d.estimators.signal import Paired as Paired
from render3d.estimators.signal import Plain as Plain
from render3d.estimators.signal import Regression as Regression
from render3d.estimators.signal import Signal as Signal
from render3d.estimators.smoothed import Smoothed as Smoothed
from render3d.estimators.smoothed import differentiable as differentiable
from render3d.estimators.statistics import GradientStatistics as GradientStatistics
from render3d.estimators.support import Everywhere as Everywhere
from render3d.estimators.support import NotLocalWarning as NotLocalWarning
from render3d.estimators.support import Rings as Rings
from render3d.estimators.support import Support as Support
