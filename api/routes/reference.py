"""`/docs`: what `/openapi.json` describes, for people. No script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d8dbe0, #3a3f47); --quiet: light-dark(#5b6470, #9aa4b1);
  --sheet: light-dark(#f6f7f9, #1d2025); --link: light-dark(#1f5fbf, #8ab4f8); }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 6rem;
  background: light-dark(#fff, #14161a); color: light-dark(#1c2024, #e6e8eb); }
a { color: var(--link); }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: .95rem; margin: 1rem 0 .25rem; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 1rem 0; }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .4rem 0; }
details > :not(summary) { margin-left: 1rem; margin-right: 1rem; }
summary { padding: .45rem .8rem; cursor: pointer; overflow-wrap: anywhere; }
summary:hover, summary:focus-visible { background: var(--sheet); }
summary span { color: var(--quiet); margin-left: .6rem; }
code { font: .9em ui-monospace, monospace; }
b.method { display: inline-block; min-width: 4.2em; font: 600 .8em ui-monospace, monospace; }
table { border-collapse: collapse; width: calc(100% - 2rem); margin-bottom: .8rem; }
td { border-top: 1px solid var(--line); padding: .3rem .6rem .3rem 0; vertical-align: top; overflow-wrap: anywhere; }
td:first-child { width: 12rem; } td small, .quiet { color: var(--quiet); }
:target { outline: 2px solid var(--link); }
"""
HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
METHODS = ("get", "post", "put", "patch", "delete")


@router.get("/docs", response_class=HTMLResponse)
def docs(request: Request) -> HTMLResponse:
    """The interface's description as a page."""
    return HTMLResponse(page(request.app.openapi()), headers={"content-security-policy": POLICY})


def page(described: Mapping[str, Any]) -> str:
    """An OpenAPI document as HTML. Every text in it is escaped."""
    tags: dict[str, list[str]] = defaultdict(list)
    for path, operations in described["paths"].items():
        for method in METHODS:
            if method in operations:
                operation = operations[method]
                tags[operation.get("tags", ["other"])[0]].append(_operation(method, path, operation))
    shapes = described.get("components", {}).get("schemas", {})
    title = f"{escape(described['info']['title'])} {escape(described['info']['version'])}"
    links = [*tags, "shapes"]
    return "".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}: HTTP interface</title>',
            f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>',
            f"<header><h1>{title}: HTTP interface</h1>",
            "<p>A key, where one is needed, goes into the header <code>Authorization: Bearer …</code>. ",
            'The same for programs: <a href="/openapi.json">openapi.json</a>.</p></header><nav>',
            *(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in links),
            "</nav><main>",
            *(
                f'<section id="{escape(tag)}"><h2>{escape(tag)}</h2>{"".join(each)}</section>'
                for tag, each in tags.items()
            ),
            '<section id="shapes"><h2>shapes</h2>',
            *(_shape(name, schema) for name, schema in sorted(shapes.items())),
            "</section></main></html>",
        ]
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    said = operation.get("description", operation.get("summary", ""))
    brief = _first_sentence(said)
    parts = [
        f'<details id="{_anchor(method, path)}"><summary><b class="method">{method.upper()}</b>',
        f"<code>{escape(path)}</code><span>{_words(brief)}</span></summary>",
        f"<p>{_words(said)}</p>" if said != brief else "",
    ]
    if given := operation.get("parameters"):
        rows = "".join(_row(each["name"], each["schema"], each.get("required"), _about(each)) for each in given)
        parts.append(f"<h3>Parameters</h3><table>{rows}</table>")
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f'<h3>Body <span class="quiet">{escape(media)}</span></h3>{_content(content)}')
    parts.append(f"<h3>Responses</h3><table>{''.join(_responses(operation['responses']))}</table></details>")
    return "".join(parts)


def _about(parameter: Mapping[str, Any]) -> str:
    said = parameter.get("description", "")
    return said if parameter["in"] == "query" else f"in the {parameter['in']}{f'; {said}' if said else ''}"


def _responses(responses: Mapping[str, Any]) -> Iterator[str]:
    for status, response in responses.items():
        kinds = [
            f"<small>{escape(media)}</small> {_type(content.get('schema', {}))}"
            for media, content in response.get("content", {}).items()
        ]
        said = _words(response.get("description", ""))
        yield f"<tr><td><code>{escape(status)}</code><td>{said}<td>{'<br>'.join(kinds)}</tr>"


def _content(content: Mapping[str, Any]) -> str:
    schema = content.get("schema", {})
    return _fields(schema) if "properties" in schema else f"<p>{_type(schema)}</p>"


def _shape(name: str, schema: Mapping[str, Any]) -> str:
    body = _fields(schema) if "properties" in schema else f"<p>{_type(schema)}</p>"
    said = schema.get("description", "")
    return (
        f'<details id="{_anchor("shape", name)}"><summary><code>{escape(name)}</code>'
        f"<span>{_words(_first_sentence(said))}</span></summary><p>{_words(said)}</p>{body}</details>"
    )


def _fields(schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows = (
        _row(name, each, name in required, each.get("description", "")) for name, each in schema["properties"].items()
    )
    return f"<table>{''.join(rows)}</table>"


def _row(name: str, schema: Mapping[str, Any], required: bool | None, said: str) -> str:
    notes = ["required"] if required else []
    if schema.get("default") is not None:
        notes.append(f"default {escape(str(schema['default']))}")
    small = f" <small>{', '.join(notes)}</small>" if notes else ""
    return f"<tr><td><code>{escape(name)}</code><td>{_type(schema)}{small}<td>{_words(said)}</tr>"


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in a few words, with links to the shapes that it names."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{_anchor("shape", name)}"><code>{escape(name)}</code></a>'
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(_type(each) for each in schema[several])
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in values)
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}{_limits(schema, 'minItems', 'maxItems')}"
    return f"{escape(kind)}{_limits(schema, 'minimum', 'maximum')}{_limits(schema, 'minLength', 'maxLength')}"


def _limits(schema: Mapping[str, Any], least: str, most: str) -> str:
    ends = [f"{schema[name]:,}" if name in schema else "" for name in (least, most)]
    return f" <small>{'–'.join(ends)}</small>" if any(ends) else ""


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.:])\s", text, maxsplit=1)[0].rstrip(".:")


def _words(text: str) -> str:
    """Docstrings' marks for code become code."""
    return re.sub(r"`{1,2}([^`]+)`{1,2}", r"<code>\1</code>", escape(text))


def _anchor(*parts: str) -> str:
    return re.sub(r"\W+", "-", "-".join(parts)).strip("-")
