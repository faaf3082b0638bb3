"""The gradient of edges beside others."""
