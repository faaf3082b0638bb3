"""Formats of meshes that are not read, by the suffixes of their files."""

from pathlib import Path

_FORMATS = {
    "3D Studio": (".3ds",),
    "3ds Max": (".max",),
    "3MF": (".3mf",),
    "AC3D": (".ac",),
    "Alembic": (".abc",),
    "AMF": (".amf",),
    "Blender": (".blend",),
    "Cinema 4D": (".c4d",),
    "COLLADA": (".dae", ".zae", ".kmz"),
    "DirectX": (".x",),
    "Draco": (".drc",),
    "DXF": (".dxf",),
    "FBX": (".fbx",),
    "IFC": (".ifc",),
    "IGES": (".igs", ".iges"),
    "JT": (".jt",),
    "LightWave": (".lwo", ".lws"),
    "Maya": (".ma", ".mb"),
    "MikuMikuDance": (".pmd", ".pmx"),
    "OpenCTM": (".ctm",),
    "Quake": (".md2", ".md3", ".md5mesh"),
    "Rhino": (".3dm",),
    "SketchUp": (".skp",),
    "STEP": (".stp", ".step"),
    "U3D": (".u3d",),
    "USD": (".usd", ".usda", ".usdc", ".usdz"),
    "VRM": (".vrm",),
    "VRML": (".wrl", ".vrml"),
    "X3D": (".x3d", ".x3db", ".x3dv"),
}
_NAME = {suffix: name for name, suffixes in _FORMATS.items() for suffix in suffixes}


def looks_like_mesh(path: Path) -> bool:
    """Return whether a file has a suffix of meshes, be they read or not."""
    from render3d.scenes.files.meshes import READ  # as in `CollectionObject.load`

    return path.suffix.lower() in READ or path.suffix.lower() in _NAME


def unreadable(path: Path) -> str:
    """Return why `Mesh.load` takes no file of such a name; empty if it does."""
    from render3d.scenes.files.meshes import READ

    suffix = path.suffix.lower()
    if suffix in READ:
        return ""
    if suffix in _NAME:
        return f"is {_NAME[suffix]} ({suffix}), which is not read; convert it to .glb or .obj"
    return f"is no mesh: these end in {', '.join(READ)}"
