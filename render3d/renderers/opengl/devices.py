"""Which EGL device belongs to which CUDA device."""

import ctypes
import ctypes.util
import os
from typing import Any

from render3d.errors import GraphicsError

_EGL_CUDA_DEVICE_NV = 0x323A
_MOST_DEVICES = 64


def egl_device_of_cuda(ordinal: int) -> int:
    """The index, in EGL's list of devices, of CUDA device ``ordinal`` as torch counts it.

    EGL numbers devices in its own order and does not know ``CUDA_VISIBLE_DEVICES``, so each EGL device is asked for its
    CUDA number (``EGL_CUDA_DEVICE_NV``, extension EGL_NV_device_cuda).

    Raises:
        GraphicsError: No EGL device reports that number: the driver came without its graphics part.
    """
    physical = _physical_ordinal(ordinal)
    numbers = cuda_numbers_of_egl_devices()
    if physical not in numbers:
        raise GraphicsError(
            f"No EGL device belongs to CUDA device {ordinal} (EGL lists {len(numbers)} devices, CUDA numbers "
            f"{numbers}). In a container, enable the driver's graphics part "
            "(NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility); or pass OpenGL(egl_device=0) to render elsewhere."
        )
    return numbers.index(physical)


def cuda_numbers_of_egl_devices() -> list[int | None]:
    """For each EGL device, the number of its CUDA device, or None (a software or another vendor's device)."""
    egl = _library()
    query_devices = _function(egl, "eglQueryDevicesEXT", ctypes.c_uint)
    query_attribute = _function(egl, "eglQueryDeviceAttribEXT", ctypes.c_uint)
    if query_devices is None or query_attribute is None:
        return []
    devices = (ctypes.c_void_p * _MOST_DEVICES)()
    count = ctypes.c_int()
    if not query_devices(ctypes.c_int(_MOST_DEVICES), devices, ctypes.byref(count)):
        return []
    numbers: list[int | None] = []
    for device in devices[: count.value]:
        value = ctypes.c_ssize_t(-1)
        known = query_attribute(ctypes.c_void_p(device), ctypes.c_int(_EGL_CUDA_DEVICE_NV), ctypes.byref(value))
        numbers.append(value.value if known and value.value >= 0 else None)
    return numbers


def _physical_ordinal(ordinal: int) -> int:
    """Undo ``CUDA_VISIBLE_DEVICES``, where it lists numbers."""
    visible = [part.strip() for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    if ordinal < len(visible) and visible[ordinal].isdigit():
        return int(visible[ordinal])
    return ordinal


def _library() -> ctypes.CDLL:
    try:
        return ctypes.CDLL(ctypes.util.find_library("EGL") or "libEGL.so.1")
    except OSError as error:
        raise GraphicsError(
            "libEGL was not found. Install it (Debian: apt install libegl1 libgl1 libgl1-mesa-dri libgles2), or see "
            "what 'render3d doctor' advises."
        ) from error


def _function(egl: ctypes.CDLL, name: str, result: type) -> Any:
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    address = egl.eglGetProcAddress(name.encode())
    return ctypes.CFUNCTYPE(result)(address) if address else None
