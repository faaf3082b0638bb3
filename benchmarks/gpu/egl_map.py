"""Print, as JSON, which EGL devices this process sees and which of them belong to CUDA devices.

A process of its own, since libraries read ``CUDA_VISIBLE_DEVICES`` once.
"""

import json

import torch

from render3d.errors import GraphicsError
from render3d.renderers.opengl.devices import cuda_numbers_of_egl_devices, egl_device_of_cuda


def main() -> None:
    """Print one object."""
    found = {
        "cuda_devices": torch.cuda.device_count(),
        "cuda_number_of_each_egl_device": cuda_numbers_of_egl_devices(),
        "egl_device_of_cuda_0": _egl_device_of_first(),
    }
    print(json.dumps(found))


def _egl_device_of_first() -> int | None:
    """Return the EGL device that renders scenes on torch's CUDA device 0, or None."""
    try:
        return egl_device_of_cuda(0)
    except GraphicsError:
        return None


if __name__ == "__main__":
    main()
