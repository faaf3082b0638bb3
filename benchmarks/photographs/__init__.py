"""How good meshes of photographs are, on objects whose shape is known."""
