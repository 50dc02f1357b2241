"""A report as one HTML page that needs nothing else: no network, and scripts only for convenience."""

import base64
import hashlib
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from plotly.offline import get_plotlyjs

from sweeper.report.content import GENERATOR, Report
from sweeper.report.pictures import pictures
from sweeper.store.shown import shown

_TEMPLATES = files("sweeper.report") / "templates"
# What would end a script's text, or begin markup, in a browser; all of it may stand in a string of JSON as an escape.
_UNSAFE = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def page(report: Report) -> str:
    """The page. Names from outside stand in it as text only: autoescaped, or as data of JSON."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.globals |= {"pictures": pictures, "as_data": as_data}
    scripts = [get_plotlyjs(), _text("report.js")]
    if not any(_is_interactive(section) for _, section, _ in report.sections):
        scripts = scripts[1:]
    return environment.from_string(_text("report.html")).render(
        report=report,
        generator=GENERATOR,
        style=_text("report.css"),
        scripts=scripts,
        # Only these scripts run: not even one that got into the page could.
        policy=f"default-src 'none'; script-src {' '.join(map(_source, scripts))}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'",
    )


def _shown(value: Any) -> Any:
    """A value as it may be shown: no secrets, and no characters that change how the rest is read."""
    return shown(value) if type(value) is str else value


def as_data(value: Any) -> str:
    """A value as JSON within a script element, in which no text can end the element."""
    return json.dumps(value, allow_nan=False).translate(_UNSAFE)


def _is_interactive(section: Any) -> bool:
    return any(getattr(block, "interactive", None) for block in section.blocks)


def _source(script: str) -> str:
    """The script as a content security policy names it."""
    # Browsers read a carriage return as a newline before they take the hash.
    text = re.sub("\r\n?", "\n", script)
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")
