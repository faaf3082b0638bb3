"""The format of view sets that needs datasets: shards."""
