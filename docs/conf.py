"""How Sphinx builds the documentation; ``make docs`` runs it, with warnings as errors."""

import re

from docutils.nodes import TextElement
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

import render3d

project = "render3d"
author = "render3d contributors"
copyright = author
version = release = render3d.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
html_theme = "furo"
html_title = f"render3d {release}"

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

# Docstrings put names in single backticks: linked where the name is documented, code where it is not.
default_role = "py:obj"
autodoc_default_options = {
    "members": True,
    "member-order": "bysource",
    "inherited-members": "object, tuple, Module, BaseException, Exception",
    "special-members": "__call__, __getitem__",
}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False
# The fields of a dataclass under their own heading, rather than each as an entry of the index.
napoleon_custom_sections = [("Attributes", "params_style")]


def skip_tuple_fields(
    app: Sphinx, what: str, name: str, member: object, skip: bool, options: dict[str, object]
) -> bool | None:
    """Leave out what Python itself says about the fields of a NamedTuple: the class's docstring says more."""
    return True if str(getattr(member, "__doc__", "")).startswith("Alias for field number") else None


def tidy_signature(
    app: Sphinx, what: str, name: str, thing: object, options: dict[str, object], signature: str | None, returns: str
) -> tuple[str, str] | None:
    """Show no arguments of protocols, no names of flags, and a class among the defaults by its name."""
    if getattr(thing, "_is_protocol", False):
        return "", returns
    if not signature:
        return None
    signature = re.sub(r"[~\w.]*Annotated\[(.*?), [~\w.]*_ArgConfig\([^()]*\)\]", r"\1", signature)
    return re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", signature), returns


def find_by_last_words(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: TextElement
) -> TextElement | None:
    """Resolve a name such as `Mesh.load` that a docstring of another module gives without its module."""
    if node.get("refdomain") != "py":
        return None
    words = node["reftarget"].split(".")
    domain = env.domains.python_domain
    for start in range(len(words)):
        suffix = "." + ".".join(words[start:])
        found = {entry.node_id: entry for name, entry in domain.objects.items() if f".{name}".endswith(suffix)}
        if len(found) == 1 and (start == 0 or words[0] == "render3d"):
            (entry,) = found.values()
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content)
    return None


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-skip-member", skip_tuple_fields)
    app.connect("autodoc-process-signature", tidy_signature)
    app.connect("missing-reference", find_by_last_words)
