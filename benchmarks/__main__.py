"""``python -m benchmarks NAME [--check]``, from the root of a checkout."""

import sys

import tyro

from benchmarks.bench import bench

sys.exit(tyro.cli(bench, prog="python -m benchmarks"))
