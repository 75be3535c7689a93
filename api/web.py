"""The web page: a few files of ours, read once and kept compressed. Every file but the page itself stands under an
address that changes when any of them does, so browsers keep it for good and never mix two versions.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from api import samples

router = APIRouter(include_in_schema=False)

SERVED = (".css", ".js", ".svg")
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing inline and nothing from elsewhere; text can't become markup. ``blob:``: page images fetched with a key."""

STYLES = "page.css"
LATER = "js/settings.js"
"""The script of a room that few open: fetched when it is."""

FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent: its bytes, the same compressed, what they are, a name for exactly these bytes."""

    plain: bytes
    packed: bytes
    media_type: str
    etag: str


@dataclass(frozen=True, slots=True)
class Site:
    """``page``: what every address of the page answers with. ``files``: the others, by path below ``version``."""

    page: Asset
    version: str
    files: dict[str, Asset]


@cache
def site() -> Site:
    """Everything there is, read once."""
    root = resources.files("api") / "static"
    contents = dict(_together(_walk(root, "")))
    version = hashlib.sha256(b"".join(name.encode() + data for name, data in contents.items())).hexdigest()[:16]
    files = {name: _asset(data, mimetypes.guess_type(name)[0] or "") for name, data in contents.items()}
    template = (root / "index.html").read_text(encoding="utf-8")
    return Site(_asset(_filled(template, version, list(files)).encode(), "text/html; charset=utf-8"), version, files)


@router.get("/")
@router.get("/library")
@router.get("/settings")
@router.get("/d/{document}")
@router.get("/c/{conversation}")
async def page(request: Request) -> Response:
    """The one page; its script reads the address."""
    return _sent(request, site().page, {"cache-control": "no-cache", "content-security-policy": PAGE_POLICY})


@router.get("/static/{version}/{name:path}")
async def static(version: str, name: str, request: Request) -> Response:
    """A file of this version of the page."""
    found = site().files.get(name) if version == site().version else None
    if found is None:
        raise HTTPException(404, "There is no such file; reload the page if it was open during an update.")
    return _sent(request, found, {"cache-control": FOREVER})


@router.get("/samples/{name}")
def sample(name: str, request: Request) -> Response:
    """A sample document or ``questions.json``: first-time visitors put them in as they would files of their own."""
    with samples.folder() as folder:
        names = {path.name: path for path in folder.iterdir() if path.suffix in (".pdf", ".json")}
        if name not in names:
            raise HTTPException(404, f"There is no sample {name!r}.")
        data = names[name].read_bytes()
    media_type = mimetypes.guess_type(name)[0] or ""
    return _sent(request, _asset(data, media_type), {"cache-control": "no-cache", "content-disposition": "attachment"})


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(SERVED):
            yield prefix + entry.name, _lean(entry.name, entry.read_text(encoding="utf-8")).encode()


def _together(found: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """All style sheets as one, in order of their names: they pack better and are needed at once anyway."""
    styles = b""
    for name, data in sorted(found):
        if name.endswith(".css"):
            styles += data
        else:
            yield name, data
    yield STYLES, styles


def _lean(name: str, text: str) -> str:
    """Without what only people read: spaces, types, and comments that begin a line or end one without a text."""
    if name.endswith(".js"):
        text = re.sub(r"/\*\*.*?\*/ ?", "", text, flags=re.DOTALL)
        text = re.sub(r" // [^\n\"'`]*$", "", text, flags=re.MULTILINE)
    if name.endswith((".js", ".css")):
        text = re.sub(r"^[ \t]*/\*.*?\*/|^[ \t]*//[^\n]*", "", text, flags=re.DOTALL | re.MULTILINE)
        text = re.sub(r"^\s+", "", text, flags=re.MULTILINE)
    if name.endswith(".js"):
        text = re.sub(r"^((?!.* // ).*[{(,;])\n", r"\1", text, flags=re.MULTILINE)
    if name.endswith(".css"):
        text = re.sub(r"\s*([{};,])\s*|(?<=:) ", r"\1", text).replace(";}", "}")
    return text


def _filled(template: str, version: str, names: list[str]) -> str:
    """The page with its files' addresses; scripts are named so that browsers fetch them at once."""
    base = f"/static/{version}"
    at_once = [name for name in names if name.endswith(".js") and name != LATER]
    scripts = [f'<link rel="modulepreload" href="{base}/{name}">' for name in at_once]
    styles = [f'<link rel="stylesheet" href="{base}/{name}">' for name in names if name.endswith(".css")]
    return template.replace("{files}", "\n".join(styles + scripts)).replace("{base}", base)


def _asset(data: bytes, media_type: str) -> Asset:
    etag = hashlib.sha256(data).hexdigest()[:32]
    return Asset(data, gzip.compress(data, 9, mtime=0), media_type, etag)


def _sent(request: Request, asset: Asset, headers: dict[str, str]) -> Response:
    packs = "gzip" in request.headers.get("accept-encoding", "") and len(asset.packed) < len(asset.plain)
    headers |= {"etag": f'"{asset.etag}{"-gzip" if packs else ""}"', "vary": "accept-encoding"}
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if packs:
        headers["content-encoding"] = "gzip"
    return Response(asset.packed if packs else asset.plain, media_type=asset.media_type, headers=headers)
