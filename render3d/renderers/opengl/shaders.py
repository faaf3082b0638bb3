"""The shaders: one vertex and one fragment shader, of which each use compiles the parts that it needs."""

import dataclasses
from typing import final

import moderngl

from render3d.renderers.opengl.atlas import FORMATS

_TYPES = {1: "float", 4: "vec4"}
"""What GLSL calls a value of so many components."""

_VERTEX = """
in vec4 clip;               // clip space of the view itself, y down
in vec2 tile_center;        // of the framebuffer's clip space; one an instance
in ivec2 tile_corner;       // in pixels; one an instance
in ivec3 tile_first;        // where its indices, vertices and face colours begin; one an instance
uniform vec2 tile_scale;
flat out ivec2 corner;
flat out ivec3 first;
#ifdef LIT
in vec3 surface;            // world position (flat) or world normal (smooth)
out vec3 fragment_surface;
#endif
#ifdef VERTEX_COLORS
in vec3 color;
out vec3 fragment_color;
#endif
#ifdef TEXTURE
in vec2 uv;
out vec2 fragment_uv;
#endif
#ifdef CLIPPED
out float gl_ClipDistance[4];
#endif

void main() {
  gl_Position = vec4(clip.xy * tile_scale + tile_center * clip.w, clip.zw);
  corner = tile_corner;
  first = tile_first;
#ifdef LIT
  fragment_surface = surface;
#endif
#ifdef VERTEX_COLORS
  fragment_color = color;
#endif
#ifdef TEXTURE
  fragment_uv = uv;
#endif
#ifdef CLIPPED
  gl_ClipDistance[0] = clip.w + clip.x;
  gl_ClipDistance[1] = clip.w - clip.x;
  gl_ClipDistance[2] = clip.w + clip.y;
  gl_ClipDistance[3] = clip.w - clip.y;
#endif
}
"""

_FRAGMENT = """
flat in ivec2 corner;
flat in ivec3 first;
#ifdef LIT
in vec3 fragment_surface;
#endif
#ifdef VERTEX_COLORS
in vec3 fragment_color;
#endif
#ifdef FACE_COLORS
layout(std430, binding = 0) readonly buffer FaceColors { float face_colors[]; };
#endif
#ifdef TEXTURE
in vec2 fragment_uv;
uniform sampler2D image;
#endif
#ifdef BARYCENTRIC
layout(std430, binding = 1) readonly buffer Positions { vec4 positions[]; };
layout(std430, binding = 2) readonly buffer Indices { int indices[]; };
uniform vec2 tile_size;
#endif
uniform vec3 reflectance;
uniform vec3 ambient;
#if LIGHTS > 0
uniform vec3 light_towards[LIGHTS];
uniform vec3 light_color[LIGHTS];
#endif
uniform vec2 near_far;

vec3 surface_normal() {     // unit, world, turned to the camera
#if defined(SMOOTH)
  vec3 n = normalize(fragment_surface);
  return gl_FrontFacing ? n : -n;
#elif defined(LIT)
  return normalize(cross(dFdy(fragment_surface), dFdx(fragment_surface)));
#else
  return vec3(0.0);
#endif
}

vec3 albedo() {
#if defined(VERTEX_COLORS)
  return fragment_color;
#elif defined(FACE_COLORS)
  int i = 3 * (first.z + gl_PrimitiveID);
  return vec3(face_colors[i], face_colors[i + 1], face_colors[i + 2]);
#elif defined(TEXTURE)
  return texture(image, vec2(fragment_uv.x, 1.0 - fragment_uv.y)).rgb;
#else
  return reflectance;
#endif
}

#ifdef BARYCENTRIC
vec3 weights() {            // perspective-correct, by homogeneous coordinates (Olano and Greer 1997)
  vec2 p = (gl_FragCoord.xy - vec2(corner)) / tile_size * 2.0 - 1.0;
  int i = first.x + 3 * gl_PrimitiveID;
  vec3 a = positions[first.y + indices[i]].xyw;
  vec3 b = positions[first.y + indices[i + 1]].xyw;
  vec3 c = positions[first.y + indices[i + 2]].xyw;
  vec3 q = vec3(p, 1.0);
  vec3 w = vec3(dot(q, cross(b, c)), dot(q, cross(c, a)), dot(q, cross(a, b)));
  return w / (w.x + w.y + w.z);
}
#endif

void main() {
#ifdef LIT
  vec3 n = surface_normal();
#endif
#ifdef OUT_color
  vec3 light = ambient;
#if LIGHTS > 0
  for (int i = 0; i < LIGHTS; i++) light += light_color[i] * max(0.0, dot(n, light_towards[i]));
#endif
  out_color = vec4(albedo() * light, 1.0);
#endif
#ifdef OUT_alpha
  out_alpha = 1.0;
#endif
#ifdef OUT_depth
#ifdef ORTHOGRAPHIC
  out_depth = mix(near_far.x, near_far.y, gl_FragCoord.z);
#else
  out_depth = 1.0 / gl_FragCoord.w;
#endif
#endif
#ifdef OUT_normal
  out_normal = vec4(n, 0.0);
#endif
#ifdef OUT_face_index
  out_face_index = float(gl_PrimitiveID + 1);  // 0 is where nothing is; exact below 2^24
#endif
#ifdef OUT_any_face
  out_any_face = float(gl_PrimitiveID + 1);
#endif
#ifdef OUT_barycentric
  out_barycentric = vec4(weights(), 0.0);
#endif
}
"""


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class ProgramKey:
    """What a program must do.

    Attributes:
        targets: Names of `render3d.renderers.opengl.atlas.FORMATS` that it writes, in order.
        coloring: ``"reflectance"``, ``"vertex"``, ``"face"`` or ``"texture"``.
        smooth: Whether normals are interpolated.
        lights: Number of directional lights.
        clipped: Whether triangles may leave their tile and are cut at its borders.
        orthographic: Whether depth is linear in window space.
    """

    targets: tuple[str, ...]
    coloring: str
    smooth: bool
    lights: int
    clipped: bool
    orthographic: bool

    @property
    def lit(self) -> bool:
        """Whether a normal is needed."""
        return "normal" in self.targets or ("color" in self.targets and self.lights > 0)

    def defines(self) -> list[str]:
        """The preprocessor names that choose the parts."""
        colored = "color" in self.targets
        flags = {
            "CLIPPED": self.clipped,
            "ORTHOGRAPHIC": self.orthographic,
            "LIT": self.lit,
            "SMOOTH": self.lit and self.smooth,
            "VERTEX_COLORS": colored and self.coloring == "vertex",
            "FACE_COLORS": colored and self.coloring == "face",
            "TEXTURE": colored and self.coloring == "texture",
            "BARYCENTRIC": "barycentric" in self.targets,
            **{f"OUT_{name}": True for name in self.targets},
        }
        return [name for name, wanted in flags.items() if wanted]


def compile_program(gl: moderngl.Context, key: ProgramKey) -> moderngl.Program:
    """The program for ``key``."""
    header = ["#version 430", f"#define LIGHTS {key.lights}", *(f"#define {name}" for name in key.defines())]
    types = [_TYPES[FORMATS[name][0]] for name in key.targets]
    outputs = [f"layout(location = {i}) out {types[i]} out_{name};" for i, name in enumerate(key.targets)]
    return gl.program(
        vertex_shader="\n".join([*header, _VERTEX]),
        fragment_shader="\n".join([*header, *outputs, _FRAGMENT]),
    )
