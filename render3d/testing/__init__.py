"""What a new renderer or estimator is tested with.

`RendererContract` (in ``contracts``), `GradientContract` (in ``gradients``) and `EstimatorContract` (in
``estimators``), which need pytest, hold the tests that a renderer or an estimator inherits. `NumpyRenderer` (in
``reference``) is what renderers are compared with, `compare` (in ``parity``) tells how far two renderings agree, and
`OnDevice` (in ``devices``) takes scenes to a renderer that works elsewhere.
"""

__all__: list[str] = []
