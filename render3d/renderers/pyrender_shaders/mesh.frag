#version 330 core
// Lambert in linear light, as render3d's Shading says; the uniforms are those that pyrender sets. In the place of
// coverage: which face this is, counted from one.

struct DirectionalLight { vec3 direction; vec3 color; float intensity; };
struct Material {
  vec4 base_color_factor;
#ifdef HAS_BASE_COLOR_TEX
  sampler2D base_color_texture;
#endif
};
uniform vec3 ambient_light;
uniform int n_directional_lights;
uniform DirectionalLight directional_lights[MAX_DIRECTIONAL_LIGHTS];
uniform Material material;

in vec3 frag_position;
#ifdef NORMAL_LOC
in vec3 frag_normal;
#endif
#ifdef TEXCOORD_0_LOC
in vec2 uv_0;
#endif
#ifdef COLOR_0_LOC
in vec3 color_multiplier;
#endif
out vec4 frag_color;

void main() {
#ifdef NORMAL_LOC
  vec3 n = normalize(frag_normal);
  if (!gl_FrontFacing) n = -n;
#else
  vec3 n = normalize(cross(dFdx(frag_position), dFdy(frag_position)));
#endif
  vec3 light = ambient_light;
  for (int i = 0; i < n_directional_lights; i++) {
    DirectionalLight l = directional_lights[i];
    light += l.intensity * l.color * max(0.0, dot(n, -l.direction));
  }
  vec3 albedo = material.base_color_factor.rgb;
#ifdef HAS_BASE_COLOR_TEX
  albedo *= texture(material.base_color_texture, uv_0).rgb;
#endif
#ifdef COLOR_0_LOC
  albedo *= color_multiplier;
#endif
  frag_color = vec4(albedo * light, float(gl_PrimitiveID) + 1.0);
}
