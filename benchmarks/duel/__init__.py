"""Gradients of the package beside published ones, rebuilt here from their papers."""
