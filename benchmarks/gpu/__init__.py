"""Measure render3d on a GPU: ``python -m benchmarks.gpu --device cuda --out results.jsonl``.

Results are JSON lines, one measurement a line; ``python -m benchmarks.gpu.table results.jsonl`` prints them as tables.
Each section runs in a process of its own, so that one that crashes or hangs does not stop the others.
"""
