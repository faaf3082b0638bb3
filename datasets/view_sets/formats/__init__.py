"""The format of view sets that needs datasets: shards."""

from render3d.datasets.view_sets.formats.shards import Shards

__all__ = ["Shards"]
