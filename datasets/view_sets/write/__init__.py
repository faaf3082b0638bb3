"""Images of collections of meshes: made in worker processes, one object at a time, and kept whole or not at all."""
