"""Parts of the sequential generative model."""

__all__: list[str] = []
