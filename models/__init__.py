"""The generative models, imported as ``render3d.models``."""

if __name__ != "render3d.models":
    raise ImportError(
        "This folder is imported as render3d.models; the bare name 'models' belongs to no package of ours."
    )
