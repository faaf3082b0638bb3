"""Upload, draw, read back: one frame of tiles at a time."""

import dataclasses
from typing import Any, final

import moderngl
import numpy as np
import numpy.typing as npt
from torch import Tensor

from render3d.cameras import Cameras
from render3d.color import NEUTRAL_GREY
from render3d.renderers.opengl.atlas import Grid, read_tiles
from render3d.renderers.opengl.draws import Segment, groups
from render3d.renderers.opengl.resources import Resources
from render3d.renderers.opengl.shaders import ProgramKey, compile_program
from render3d.renderers.opengl.uploads import Upload, pack
from render3d.renderers.shading import Shading
from render3d.scenes import Texture

Array = npt.NDArray[Any]

_CLIP_DISTANCES = [0x3000 + plane for plane in range(4)]  # GL_CLIP_DISTANCE0 and on


@final
@dataclasses.dataclass(frozen=True)
class Painter:
    """Draws tiles into a fixed set of targets, with one shading.

    Attributes:
        gl: The current context.
        resources: What it keeps.
        shading: Lights, background, culling and normals, in numbers.
        targets: Names of `render3d.renderers.opengl.atlas.FORMATS`.
        cameras: Whose projection, near and far hold for all tiles.
    """

    gl: moderngl.Context
    resources: Resources
    shading: Shading
    targets: tuple[str, ...]
    cameras: Cameras

    @property
    def _depth_test(self) -> bool:
        """Whether the order of triangles matters: a silhouette is their union."""
        return not {"alpha", "any_face"}.issuperset(self.targets)

    def paint(self, frame: list[Segment], matrices: Tensor, grid: Grid) -> dict[str, Array]:
        """The images of a frame's tiles, ``[tiles, H, W, components]`` for each target; the next call overwrites them.

        Args:
            frame: Tiles that fit the grid.
            matrices: ``[cameras, 4, 4]``, world to clip space with y down.
            grid: Where the tiles are.
        """
        tiles = sum(segment.tiles for segment in frame)
        framebuffer = self._cleared(grid)
        corners, first = grid.corners(tiles), 0
        for group in groups(frame):
            if first:
                # Mesa 22's software renderer shades late and lets a storage buffer be overwritten before it is read.
                self.gl.finish()
            count = sum(segment.tiles for segment in group)
            self._draw(group, matrices, corners[first : first + count], grid)
            first += count
        memory = self.resources.memory
        return {
            name: read_tiles(framebuffer, number, name, grid, tiles, memory[name])
            for number, name in enumerate(self.targets)
        }

    def _cleared(self, grid: Grid) -> moderngl.Framebuffer:
        region = (0, 0, *grid.size)
        atlas = self.resources.atlas
        framebuffer = atlas.framebuffer(self.targets, grid.size, depth_test=self._depth_test)
        color = (*self.shading.background, 0.0)
        if self.targets == ("color",):
            framebuffer.clear(viewport=region, color=color)
        else:  # a clear has one colour for all attachments
            framebuffer.clear(viewport=region)
            if "color" in self.targets:
                atlas.framebuffer(("color",), grid.size, depth_test=False).clear(viewport=region, color=color)
        framebuffer.use()
        self.gl.viewport = region
        return framebuffer

    def _draw(self, group: list[Segment], matrices: Tensor, corners: Array, grid: Grid) -> None:
        key = ProgramKey(
            targets=self.targets,
            coloring=group[0].coloring,
            smooth=self.shading.normals == "smooth",
            lights=len(self.shading.lights),
            clipped=False,
            orthographic=self.cameras.projection == "orthographic",
        )
        upload = pack(group, matrices, key)
        indices, content = self._write(upload, group[0].mesh.texture, corners, grid)
        # Dropping one side of a closed surface that lies in view leaves its silhouette as it is; see is_closed.
        halved = upload.contained & upload.closed & (not self._depth_test)
        for chosen, clipped, cull in (
            (halved, False, "back"),
            (upload.contained & ~halved, False, "none"),
            (~upload.contained, True, "none"),
        ):
            if chosen.any():
                program = self._program(dataclasses.replace(key, clipped=clipped), grid)
                self._set_state(clipped, self.shading.cull if self.shading.cull != "none" else cull)
                self._submit(program, content, indices, upload.commands[chosen])

    def _write(
        self, upload: Upload, texture: Texture | None, corners: Array, grid: Grid
    ) -> tuple[moderngl.Buffer, list[tuple[moderngl.Buffer, str, str]]]:
        """Fill the buffers; returns the indices and the description of the vertex array."""
        write = self.resources.buffers.write
        content = [(write(name, array), f"{array.shape[-1]}f", name) for name, array in upload.attributes.items()]
        centers = (corners + np.array([grid.tile_width, grid.tile_height]) / 2) / grid.size * 2 - 1
        content.append((write("tile_center", centers.astype(np.float32)), "2f/i", "tile_center"))
        content.append((write("tile_corner", corners), "2i/i", "tile_corner"))
        content.append((write("tile_first", upload.first), "3i/i", "tile_first"))
        indices = write("indices", upload.indices)
        if upload.face_colors is not None:
            write("face_colors", upload.face_colors).bind_to_storage_buffer(0)
        if "barycentric" in self.targets:
            content[0][0].bind_to_storage_buffer(1)
            indices.bind_to_storage_buffer(2)
        if texture is not None and "color" in self.targets:
            self.resources.textures.get(texture.image).use(0)
        return indices, content

    def _program(self, key: ProgramKey, grid: Grid) -> moderngl.Program:
        """The compiled program, with its uniforms set."""
        programs = self.resources.programs
        if key not in programs:
            programs[key] = compile_program(self.gl, key)
        program = programs[key]
        shading = self.shading
        towards = np.array([light.towards for light in shading.lights], np.float64).reshape(-1, 3)
        uniforms = {
            "tile_scale": (grid.tile_width / grid.size[0], grid.tile_height / grid.size[1]),
            "tile_size": (grid.tile_width, grid.tile_height),
            "near_far": (self.cameras.near, self.cameras.far),
            "reflectance": NEUTRAL_GREY,
            "ambient": shading.ambient,
            "light_towards": towards / np.linalg.norm(towards, axis=-1, keepdims=True),
            "light_color": [light.color for light in shading.lights],
        }
        for name, value in uniforms.items():
            if name in program:
                uniform = program[name]
                assert isinstance(uniform, moderngl.Uniform)
                uniform.write(np.array(value, np.float32).tobytes())
        return program

    def _set_state(self, clipped: bool, cull: str) -> None:
        self.gl.enable_only(moderngl.DEPTH_TEST if self._depth_test else moderngl.NOTHING)
        self.gl.front_face = "cw"  # counter-clockwise to the eye, since clip space has y down
        if cull != "none":
            self.gl.cull_face = cull
            self.gl.enable(moderngl.CULL_FACE)
        for plane in _CLIP_DISTANCES:
            (self.gl.enable_direct if clipped else self.gl.disable_direct)(plane)

    def _submit(
        self,
        program: moderngl.Program,
        content: list[tuple[moderngl.Buffer, str, str]],
        indices: moderngl.Buffer,
        commands: Array,
    ) -> None:
        """Draw many tiles by one call."""
        used = [(buffer, layout, name) for buffer, layout, name in content if name in program]
        vertex_array = self.gl.vertex_array(program, used, index_buffer=indices)
        try:
            buffer = self.resources.buffers.write("commands", commands)
            vertex_array.render_indirect(buffer, moderngl.TRIANGLES, count=len(commands))
        finally:
            vertex_array.release()
