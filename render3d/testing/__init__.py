"""What a new back end or estimator is tested with.

`RendererContract` (in ``contracts``), `GradientContract` (in ``gradients``) and `EstimatorContract` (in
``estimators``), which need pytest, hold the tests that a back end or an estimator inherits. `NumpyRenderer` (in
``reference``) is what back ends are compared with, `compare` (in ``parity``) tells how far two renderings agree, and
`OnDevice` (in ``devices``) takes scenes to a back end that works elsewhere.
"""
