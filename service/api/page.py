"""The page at `/`: files of our own, and Plotly from its wheel. None of them holds anything of the sweeps."""

import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Header, Response

from service.api.form_choices import form_choices
from service.errors import NotFound

router = APIRouter(include_in_schema=False)

PAGE_PREFIX = "/dashboard/"
PLOTLY = "plotly.min.js"
FORM_CHOICES = "form_choices.json"
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
    ".json": "application/json",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file as it is sent."""

    content: bytes
    packed: bytes
    media_type: str
    etag: str

    @property
    def version(self) -> str:
        """A name of this content: an address that holds it may be kept for good."""
        return self.etag.strip('"')


@lru_cache(maxsize=1)
def page_files() -> Mapping[str, PageFile]:
    """Every file of the page by its name: a closed list, so that no name in an address ever opens a file."""
    own = {entry.name: entry.read_bytes() for entry in (files("service") / "dashboard").iterdir() if entry.is_file()}
    made = {name: _page_file(name, content) for name, content in own.items()}
    made[PLOTLY] = _page_file(PLOTLY, (files("plotly") / "package_data" / PLOTLY).read_bytes())
    made[FORM_CHOICES] = _page_file(FORM_CHOICES, json.dumps(form_choices()).encode())
    with_version = own["index.html"].replace(b"PLOTLY_VERSION", made[PLOTLY].version.encode())
    return made | {"index.html": _page_file("index.html", with_version)}


def _page_file(name: str, content: bytes) -> PageFile:
    """Packed once, for every browser to come; the same bytes whenever they are packed."""
    packed = gzip.compress(content, compresslevel=6, mtime=0)
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return PageFile(content, packed, _MEDIA_TYPES[name[name.rindex(".") :]], etag)


IfNoneMatch = Annotated[str | None, Header()]
AcceptEncoding = Annotated[str | None, Header()]


@router.get("/")
def page(if_none_match: IfNoneMatch = None, accept_encoding: AcceptEncoding = None) -> Response:
    """The page itself; everything else it asks for."""
    return file("index.html", if_none_match, accept_encoding)


@router.get(PAGE_PREFIX + "{name}")
def file(
    name: str, if_none_match: IfNoneMatch = None, accept_encoding: AcceptEncoding = None, v: str | None = None
) -> Response:
    """One file, or 304 if the browser has it already; for good where the address names its version."""
    found = page_files().get(name)
    if found is None:
        raise NotFound(f"The page has no file {name[:64]!r}.")
    # Else: keep it, but ask; after an upgrade no old script meets a new API.
    caching = "public, max-age=31536000, immutable" if v == found.version else "no-cache"
    headers = {
        "ETag": found.etag,
        "Cache-Control": caching,
        "Vary": "Accept-Encoding",
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    }
    if if_none_match is not None and found.etag in if_none_match:
        return Response(status_code=304, headers=headers)
    if _takes_gzip(accept_encoding or ""):
        return Response(found.packed, media_type=found.media_type, headers=headers | {"Content-Encoding": "gzip"})
    return Response(found.content, media_type=found.media_type, headers=headers)


def _takes_gzip(accepted: str) -> bool:
    """Whether a browser says that it unpacks gzip, and not that it refuses it (`gzip;q=0`)."""
    codings = (coding.replace(" ", "").lower().partition(";q=") for coding in accepted.split(","))
    return any(name == "gzip" and (not mark or quality.strip("0.") != "") for name, mark, quality in codings)
