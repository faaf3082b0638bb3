"""What a new back end or estimator is tested with.

`RendererContract` (in ``contracts``, which needs pytest) holds the tests that a back end inherits, `NumpyRenderer` (in
``reference``) is what they compare it with, and `compare` (in ``parity``) tells how far two renderings agree.
"""
