"""View sets of whole collections: written once, read back to learn from."""
