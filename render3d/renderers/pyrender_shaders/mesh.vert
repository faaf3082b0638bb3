#version 330 core
// pyrender's names for what it sends; it replaces those ending in _LOC by numbers.

layout(location = 0) in vec3 position;
#ifdef NORMAL_LOC
layout(location = NORMAL_LOC) in vec3 normal;
out vec3 frag_normal;
#endif
#ifdef TEXCOORD_0_LOC
layout(location = TEXCOORD_0_LOC) in vec2 texcoord_0;
out vec2 uv_0;
#endif
#ifdef COLOR_0_LOC
layout(location = COLOR_0_LOC) in vec4 color_0;
out vec3 color_multiplier;
#endif
uniform mat4 V;
uniform mat4 P;
out vec3 frag_position;

void main() {
  gl_Position = P * V * vec4(position, 1.0);
  frag_position = position;
#ifdef NORMAL_LOC
  frag_normal = normal;
#endif
#ifdef TEXCOORD_0_LOC
  uv_0 = texcoord_0;
#endif
#ifdef COLOR_0_LOC
  color_multiplier = color_0.rgb;
#endif
}
