"""Which extensions a file may require: those that are read, and those that change nothing of what is drawn."""

from render3d.errors import MeshError
from render3d.scenes.files.gltf.document import Document

_READ = {
    "EXT_mesh_gpu_instancing",
    "EXT_meshopt_compression",  # a buffer view that it compresses is an error where it is used
    "EXT_texture_webp",
    "KHR_draco_mesh_compression",
    "KHR_materials_pbrSpecularGlossiness",
    "KHR_mesh_quantization",
    "KHR_meshopt_compression",
    "KHR_node_visibility",
    "KHR_texture_transform",
}
_WITHOUT_EFFECT = {
    "ADOBE_materials_clearcoat_specular",
    "ADOBE_materials_clearcoat_tint",
    "AGI_articulations",
    "AGI_stk_metadata",
    "EXT_feature_metadata",
    "EXT_instance_features",
    "EXT_lights_ies",
    "EXT_lights_image_based",
    "EXT_mesh_features",
    "EXT_mesh_manifold",
    "EXT_structural_metadata",
    "KHR_animation_pointer",
    "KHR_audio_emitter",
    "KHR_interactivity",
    "KHR_lights_punctual",
    "KHR_materials_anisotropy",
    "KHR_materials_clearcoat",
    "KHR_materials_diffuse_transmission",
    "KHR_materials_dispersion",
    "KHR_materials_emissive_strength",
    "KHR_materials_ior",
    "KHR_materials_iridescence",
    "KHR_materials_sheen",
    "KHR_materials_specular",
    "KHR_materials_transmission",  # noted as transparent
    "KHR_materials_unlit",
    "KHR_materials_variants",
    "KHR_materials_volume",
    "KHR_node_hoverability",
    "KHR_node_selectability",
    "KHR_xmp",
    "KHR_xmp_json_ld",
    "MSFT_packing_normalRoughnessMetallic",
    "MSFT_packing_occlusionRoughnessMetallic",
}


def check_extensions(document: Document) -> None:
    """Raise `MeshError` for a file that requires an extension which is not read and changes what is drawn."""
    unknown = set(document.root.texts("extensionsRequired")) - _READ - _WITHOUT_EFFECT
    if unknown:
        names = ", ".join(sorted(unknown))
        raise MeshError(f"it requires the glTF extensions {names}, which cannot be read. Export it without them")
