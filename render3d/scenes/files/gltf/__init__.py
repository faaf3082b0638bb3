"""glTF 2.0, read as its specification says: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html."""

__all__: list[str] = []
