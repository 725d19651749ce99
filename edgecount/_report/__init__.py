"""HTML reports: pages that need no other file, with one base template and style.

Templates of reports extend `base.html`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path


def open_template(path: Path) -> Callable[..., str]:
    """Load a template that extends `base.html`.

    Besides Jinja's own filters it can use `number(digits=2, sign=false)`, which makes None a dash.

    Returns:
        A function from the template's variables, as keywords, to the page as HTML; it escapes all
        values and raises if one is missing.

    Raises:
        ImportError: jinja2 is not installed.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([path.parent, Path(__file__).parent]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["number"] = _number
    return environment.get_template(path.name).render


def data_url(kind: str, data: bytes) -> str:
    """Return an image, of a kind such as "png", as a URL that holds all of it."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    if value is None:
        return "\N{EN DASH}"  # as templates show what is not there
    return f"{value:{'+' if sign else ''}.{digits}f}"
