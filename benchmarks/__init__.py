"""Benchmarks: speed and error, as ratios measured in one run."""
