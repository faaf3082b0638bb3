"""Every error the package raises on purpose, in one tree.

Render3DError
├── ShapeError(ValueError)        a tensor of the wrong shape, or shapes that do not broadcast
├── DeviceError(ValueError)       tensors that must share a device do not
├── CameraError(ValueError)       cameras that no image could come from, or that a convention cannot express
├── CapabilityError               a renderer or estimator was asked for what it lacks
├── GradientError(RuntimeError)   a gradient was asked for and none would come
├── GraphicsError(RuntimeError)   no usable OpenGL, or a context used where it must not be
├── RendererError(RuntimeError)   the library behind a renderer is missing, broken, or lacks a device it needs
├── MeshError(ValueError)         a mesh, or the file it came from, that cannot be used
├── VolumeError(ValueError)       a volume, or the file it came from, that cannot be used
├── TransformError(ValueError)    a spatial transform that cannot be applied or inverted
├── DatasetError(ValueError)      data on disk or settings of a dataset that cannot be used
├── GenerationError(RuntimeError) making images of a collection cannot start or go on
├── ModelError(ValueError)        a generative model, or what it was given, that does not fit
├── ViewSetError(ValueError)      a view set on disk that cannot be read or written
├── FitError(RuntimeError)        a fit that cannot start or go on
├── ComparisonError(RuntimeError) a comparison of renderers that cannot start or go on
├── TrainingError(RuntimeError)   a training run that cannot start or go on
└── UsageError                    words on a command line that make no command
"""


class Render3DError(Exception):
    """Root of the package's errors."""


class ShapeError(Render3DError, ValueError):
    """A tensor has the wrong shape, or two shapes do not broadcast."""


class DeviceError(Render3DError, ValueError):
    """Tensors that must live on one device do not."""


class CameraError(Render3DError, ValueError):
    """Cameras that no image could come from, or that a convention cannot express."""


class CapabilityError(Render3DError):
    """A renderer or an estimator was asked for something it cannot do."""


class GradientError(Render3DError, RuntimeError):
    """A gradient was asked for where none would come."""


class GraphicsError(Render3DError, RuntimeError):
    """No usable OpenGL, or a context used where it must not be."""


class RendererError(Render3DError, RuntimeError):
    """The library behind a renderer is missing, broken, or lacks a device that it needs."""


class MeshError(Render3DError, ValueError):
    """A mesh, or the file it came from, that cannot be used."""


class VolumeError(Render3DError, ValueError):
    """A volume, or the file it came from, that cannot be used."""


class TransformError(Render3DError, ValueError):
    """A spatial transform that cannot be applied or inverted."""


class DatasetError(Render3DError, ValueError):
    """Data on disk or settings of a dataset that cannot be used."""


class GenerationError(Render3DError, RuntimeError):
    """Making images of a collection cannot start or go on."""


class ModelError(Render3DError, ValueError):
    """A generative model, or what it was given, that does not fit."""


class ViewSetError(Render3DError, ValueError):
    """A view set on disk that cannot be read or written."""


class FitError(Render3DError, RuntimeError):
    """A fit that cannot start or go on."""


class ComparisonError(Render3DError, RuntimeError):
    """A comparison of renderers cannot start or go on."""


class TrainingError(Render3DError, RuntimeError):
    """A training run that cannot start or go on."""


class UsageError(Render3DError):
    """Words on a command line make no command."""
