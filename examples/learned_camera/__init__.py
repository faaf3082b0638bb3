"""The parts of ``examples/learned_projection.py``: what is seen, how networks learn it, and the page that shows it."""
