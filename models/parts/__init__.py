"""Parts of the sequential generative model."""
