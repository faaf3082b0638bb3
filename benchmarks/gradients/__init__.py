"""Estimators of gradients, side by side."""
