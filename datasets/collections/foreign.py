"""Formats of meshes that are not read, by the suffixes of their files."""

import os

_FORMATS = {
    "3D Studio": (".3ds",),
    "3ds Max": (".max", ".ase"),
    "3MF": (".3mf",),
    "AC3D": (".ac",),
    "Alembic": (".abc",),
    "AMF": (".amf",),
    "Blender": (".blend",),
    "Blitz3D": (".b3d",),
    "Caligari trueSpace": (".cob",),
    "Cinema 4D": (".c4d",),
    "COLLADA": (".dae", ".zae", ".kmz"),
    "DirectX": (".x",),
    "Draco": (".drc",),
    "DXF": (".dxf",),
    "FBX": (".fbx",),
    "IFC": (".ifc",),
    "IGES": (".igs", ".iges"),
    "Inter-Quake": (".iqm",),
    "Irrlicht": (".irrmesh",),
    "JT": (".jt",),
    "LightWave": (".lwo", ".lws"),
    "Maya": (".ma", ".mb"),
    "MikuMikuDance": (".pmd", ".pmx"),
    "MilkShape 3D": (".ms3d",),
    "Model 3D": (".m3d",),
    "Modo": (".lxo",),
    "Open Inventor": (".iv",),
    "OpenCTM": (".ctm",),
    "OpenGEX": (".ogex",),
    "Quake": (".mdl", ".md2", ".md3", ".md5mesh"),
    "Quick3D": (".q3o",),
    "Rhino": (".3dm",),
    "SketchUp": (".skp",),
    "SolidWorks": (".sldprt", ".sldasm"),
    "Source engine": (".smd",),
    "STEP": (".stp", ".step"),
    "U3D": (".u3d",),
    "USD": (".usd", ".usda", ".usdc", ".usdz"),
    "VRM": (".vrm",),
    "VRML": (".wrl", ".wrz", ".vrml"),
    "VTK": (".vtk", ".vtp"),
    "X3D": (".x3d", ".x3db", ".x3dv"),
    "XGL": (".xgl", ".zgl"),
}
_NO_MESH = "is no mesh"
_NAME = {suffix: name for name, suffixes in _FORMATS.items() for suffix in suffixes}


def looks_like_mesh(name: str) -> bool:
    """Return whether the name of a file ends as those of meshes do, be they read or not."""
    return not unreadable(name).startswith(_NO_MESH)


def unreadable(name: str | os.PathLike[str]) -> str:
    """Return why `Mesh.load` takes no file of such a name; empty if it does."""
    from render3d.scenes.files.meshes import READ  # as in `CollectionObject.load`

    suffix = os.path.splitext(os.fspath(name))[1].lower()  # noqa: PTH122  # of every file of a tree: a path is many times slower
    if suffix in READ:
        return ""
    if suffix in _NAME:
        return f"is {_NAME[suffix]} ({suffix}), which is not read; convert it to .glb or .obj"
    return f"{_NO_MESH}: these end in {', '.join(READ)}"
