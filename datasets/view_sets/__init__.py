"""View sets of whole collections: written once, read back to learn from."""

__all__: list[str] = []
