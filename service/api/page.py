"""The page at `/`: files of our own, and Plotly from its wheel. None of them holds anything of the sweeps."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Header, Response

from service.errors import NotFound

router = APIRouter(include_in_schema=False)

PAGE_PREFIX = "/dashboard/"
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Plotly positions its figures with inline styles
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "font-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file as it is sent."""

    content: bytes
    media_type: str
    etag: str


@lru_cache(maxsize=1)
def page_files() -> Mapping[str, PageFile]:
    """Every file of the page by its name: a closed list, so that no name in an address ever opens a file."""
    own = {entry.name: entry.read_bytes() for entry in (files("service") / "dashboard").iterdir() if entry.is_file()}
    own["plotly.min.js"] = (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    return {
        name: PageFile(content, _MEDIA_TYPES[name[name.rindex(".") :]], f'"{hashlib.sha256(content).hexdigest()[:32]}"')
        for name, content in own.items()
    }


IfNoneMatch = Annotated[str | None, Header()]


@router.get("/")
def page(if_none_match: IfNoneMatch = None) -> Response:
    """The page itself; everything else it asks for."""
    return file("index.html", if_none_match)


@router.get(PAGE_PREFIX + "{name}")
def file(name: str, if_none_match: IfNoneMatch = None) -> Response:
    """One file, or 304 if the browser has it already."""
    found = page_files().get(name)
    if found is None:
        raise NotFound(f"The page has no file {name[:64]!r}.")
    headers = {
        "ETag": found.etag,
        "Cache-Control": "no-cache",  # keep it, but ask: after an upgrade no old script meets a new API
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    }
    if if_none_match is not None and found.etag in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(found.content, media_type=found.media_type, headers=headers)
