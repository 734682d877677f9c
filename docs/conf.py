"""Configuration of Sphinx; `generate.py` writes the reference pages from the code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import generate  # noqa: E402 -- found through the line above

import mrcarray  # noqa: E402 -- the same

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "mrcarray"
author = "the mrcarray developers"
copyright = author  # noqa: A001 -- the name that Sphinx reads
version = release = mrcarray.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
default_role = "code"

autodoc_typehints = "none"  # the docstrings describe the types in words
napoleon_google_docstring = False
# Types in docstrings are prose ("int or None, in pixels"), so they are not links ...
napoleon_use_param = napoleon_use_rtype = False
napoleon_use_ivar = True  # attributes that are properties too are described once
# ... and only full names of our own are links, which must have a target.
nitpick_ignore_regex = [("py:.*", r"(?!mrcarray\.).*")]

smartquotes = False  # commands must be pasted as they are

html_theme = "furo"
html_title = "mrcarray"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def keep_whole(app: Sphinx, what: str, *rest: Any) -> None:  # noqa: ARG001 -- Sphinx passes the rest
    """Start the text of a property with an empty line: napoleon takes words before a colon for its type."""
    lines = rest[-1]
    if what in ("attribute", "data", "property"):
        lines.insert(0, "")


def setup(app: Sphinx) -> None:
    """Write the generated pages before Sphinx looks for its sources."""
    app.connect("builder-inited", lambda _: generate.write(HERE / "reference" / "generated"))
    app.connect("autodoc-process-docstring", keep_whole, priority=400)  # before napoleon, at 500
