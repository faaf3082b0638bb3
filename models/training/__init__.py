"""Training: from a recipe to a folder of results."""

__all__: list[str] = []
