"""A studio with a path tracer: objects under a sky with a sun, seen by cameras round them."""

import math

import numpy as np
import torch
from torch import Tensor

from benchmarks.photographs.objects import CENTER, RADIUS
from render3d.cameras import Cameras
from render3d.conventions import to_mitsuba
from render3d.images import Rendering
from render3d.renderers.mitsuba import variants
from render3d.scenes import Mesh

_HEIGHTS = (-10.0, 15.0, 35.0, 60.0)  # of the cameras, degrees
_DISTANCE = 4 * RADIUS
_OFF_CENTRE = (11.0, -8.0)  # of the principal point, pixels of images of 500 x 400
_SKY = 32, 64


def cameras_round(views: int, image_size: tuple[int, int], seed: int = 0) -> Cameras:
    """``[views]``: cameras at several heights round the object, none of which looks exactly at its centre."""
    random = torch.Generator().manual_seed(seed)
    turn = torch.arange(views) * (math.pi * (3 - math.sqrt(5)))
    up = torch.tensor(_HEIGHTS)[torch.arange(views) % len(_HEIGHTS)].deg2rad()
    directions = torch.stack([up.cos() * turn.cos(), up.cos() * turn.sin(), up.sin()], -1)
    center, missed = torch.tensor(CENTER), 0.03 * RADIUS * torch.randn(views, 3, generator=random)
    far = _DISTANCE * (1 + 0.1 * torch.rand(views, 1, generator=random))
    field_of_view = 2.3 * math.degrees(math.asin(RADIUS / _DISTANCE))
    cameras = Cameras.look_at(
        center + far * directions,
        center + missed,
        (0.0, 0.0, 1.0),
        vertical_fov_degrees=field_of_view,
        image_size=image_size,
    )
    matrix = cameras.intrinsics.clone()
    matrix[..., :2, 2] += torch.tensor(_OFF_CENTRE) * image_size[0] / 400
    return Cameras(cameras.world_to_camera, matrix, image_size)


def traced(mesh: Mesh, cameras: Cameras, samples: int = 24) -> Rendering:
    """``rgb``, over black, and ``alpha`` by Mitsuba's path tracer, with so many paths a pixel.

    Surfaces are of dull plastic in the colours of the mesh. Light comes from a sky, the ground and a sun.

    Raises:
        RendererError: Mitsuba is not installed, or there is no LLVM for it.
    """
    variants.load("llvm_ad_rgb")
    sensors = to_mitsuba(cameras)
    assert sensors.fov is not None
    height, width = cameras.image_size
    images = []
    with variants.active("llvm_ad_rgb") as mi:
        scene = mi.load_dict(
            {
                "type": "scene",
                "integrator": {"type": "path", "max_depth": 6, "hide_emitters": True},
                "light": {
                    "type": "envmap",
                    "bitmap": mi.Bitmap(_sky()),
                    "to_world": mi.ScalarTransform4f().rotate([1, 0, 0], 90),
                },
                "object": _shape(mi, mesh),
            }
        )
        for view in range(cameras.views):
            sensor = {
                "type": "perspective",
                "to_world": mi.ScalarTransform4f(sensors.to_world[view].double().numpy()),
                "fov": float(sensors.fov[view]),
                "fov_axis": "x",
                "principal_point_offset_x": float(sensors.principal_point_offset_x[view]),
                "principal_point_offset_y": float(sensors.principal_point_offset_y[view]),
                "film": {
                    "type": "hdrfilm",
                    "width": width,
                    "height": height,
                    "pixel_format": "rgba",
                    "rfilter": {"type": "box"},
                },
            }
            image = mi.render(scene, sensor=mi.load_dict(sensor), spp=samples, seed=view)
            images.append(torch.from_numpy(np.array(image)).movedim(-1, 0))
    found = torch.stack(images)
    return Rendering({"rgb": found[:, :3], "alpha": found[:, 3:].clamp(0, 1)})


def _shape(mi, mesh: Mesh):  # type: ignore[no-untyped-def]  # mitsuba has no types
    """The mesh as Mitsuba has it, both of its sides in the colours of the mesh."""
    mesh = mesh.split()
    if mesh.texture is not None:
        pixels = mesh.texture.image.numpy()
        colors = {"type": "bitmap", "bitmap": mi.Bitmap(pixels), "raw": True, "wrap_mode": "repeat"}
    elif mesh.face_colors is not None:
        colors = {"type": "mesh_attribute", "name": "face_color"}
    else:
        colors = {"type": "rgb", "value": 0.5}
    plastic = {"type": "principled", "roughness": 0.4, "specular": 0.5, "base_color": colors}
    properties = mi.Properties()
    properties["bsdf"] = mi.load_dict({"type": "twosided", "bsdf": plastic})
    textured = mesh.texture is not None
    shape = mi.Mesh("object", len(mesh.vertices), len(mesh.faces), properties, has_vertex_texcoords=textured)
    if mesh.face_colors is not None:
        shape.add_attribute("face_color", 3, _flat(mesh.face_colors))
    values = mi.traverse(shape)
    values["faces"] = mi.UInt(mesh.faces.reshape(-1).numpy().astype(np.uint32))
    values["vertex_positions"] = mi.Float(_flat(mesh.vertices))
    if mesh.texture is not None:
        values["vertex_texcoords"] = mi.Float(_flat(mesh.texture.uv * torch.tensor([1.0, -1.0])))  # row 0 is at v = 0
    values.update()
    return shape


def _flat(values: Tensor) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    return values.reshape(-1).numpy()


def _sky() -> "np.ndarray[tuple[int, int, int], np.dtype[np.float32]]":
    """Radiance by direction, the zenith in row 0: a ground that is dim, a sky, and a sun half way up."""
    height, width = _SKY
    sky = np.empty((height, width, 3), np.float32)
    above = np.linspace(1, -1, height, dtype=np.float32)[:, None, None]
    sky[:] = np.where(above > 0, (0.5, 0.6, 0.8) + above * (-0.1, 0.0, 0.2), (0.3, 0.27, 0.24))
    sky[height // 4, width // 3] = (170.0, 155.0, 130.0)
    return sky
