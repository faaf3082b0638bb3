"""What a new back end or estimator is tested with.

`RendererContract` (in ``contracts``, which needs pytest) holds the tests that a back end inherits, `NumpyRenderer` (in
``reference``) is what they compare it with, `compare` (in ``parity``) tells how far two renderings agree, and
`OnDevice` (in ``devices``) takes their scenes to a back end that works elsewhere.
"""
