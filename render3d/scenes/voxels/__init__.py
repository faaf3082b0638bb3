"""Meshes to voxels and back."""
