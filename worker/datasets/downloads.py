"""Fetch a published data set once and keep it as a file; nothing is kept whose SHA-256 is not the pinned one.

MNIST: the archive and the hash that Keras itself uses. Fashion-MNIST: the authors' four files; their README
publishes MD5 sums (8d4fb7e6…, 25c81989…, bef4ecab…, bb300cfd…), the SHA-256 below belong to the same bytes.
"""

import gzip
import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from worker.errors import DatasetInvalid, DatasetNotFound

ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Download:
    """A published file and the SHA-256 of its bytes."""

    url: str
    sha256: str


MNIST = {
    "mnist.npz": Download(ORIGIN + "mnist.npz", "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1")
}
FASHION_MNIST = {
    "x_train": Download(
        ORIGIN + "train-images-idx3-ubyte.gz",
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    "y_train": Download(
        ORIGIN + "train-labels-idx1-ubyte.gz",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    "x_test": Download(
        ORIGIN + "t10k-images-idx3-ubyte.gz",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ),
    "y_test": Download(
        ORIGIN + "t10k-labels-idx1-ubyte.gz",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
}


def only_file(files: Mapping[str, bytes]) -> bytes:
    """The published file is an archive already."""
    (content,) = files.values()
    return content


def archive_of_idx_files(files: Mapping[str, bytes]) -> bytes:
    """Pack gzipped IDX files, by key, into a NumPy archive."""
    arrays: dict[str, Any] = {key: parse_idx(gzip.decompress(files[key])) for key in files}
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def parse_idx(content: bytes) -> NDArray[np.uint8]:
    """An array of bytes in the IDX format: 0, 0, type 8, rank, big-endian sizes, values."""
    zero, kind, rank = int.from_bytes(content[:2], "big"), content[2], content[3]
    if zero != 0 or kind != 8:
        raise DatasetInvalid(f"not an IDX file of bytes: it begins with {content[:4]!r}")
    shape = np.frombuffer(content, dtype=">i4", count=rank, offset=4)
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * rank).reshape(shape)


DOWNLOADS: dict[str, tuple[Mapping[str, Download], Callable[[Mapping[str, bytes]], bytes]]] = {
    "mnist": (MNIST, only_file),
    "fashion-mnist": (FASHION_MNIST, archive_of_idx_files),
}


def download_dataset(name: str, path: Path, make_client: Callable[[], httpx.Client] | None = None) -> None:
    """Fetch data set `name` into `path`, which appears complete or not at all.

    Raises:
        DatasetNotFound: No network. The message says where to put the file by hand.
        DatasetInvalid: What came is not what was published.
    """
    sources, pack = DOWNLOADS[name]
    try:
        with make_client() if make_client else new_client() as client:
            files = {key: fetch(client, source) for key, source in sources.items()}
    except httpx.HTTPError as error:
        raise DatasetNotFound(
            f"data set {name!r} is not in the data folder and cannot be downloaded "
            f"({type(error).__name__}: {error}). Put a NumPy archive with the keys x_train, y_train, x_test, "
            f"y_test at {path}."
        ) from error
    write_atomically(path, pack(files))


def new_client() -> httpx.Client:
    """A client that follows redirects and does not wait forever."""
    return httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=True)


def fetch(client: httpx.Client, source: Download) -> bytes:
    """The bytes of a published file, after its hash has been compared."""
    response = client.get(source.url)
    response.raise_for_status()
    sha256 = hashlib.sha256(response.content).hexdigest()
    if sha256 != source.sha256:
        raise DatasetInvalid(
            f"{source.url} has SHA-256 {sha256}, expected {source.sha256}. Nothing was kept; try again, "
            "or put the file into the data folder by hand if a proxy changes what passes through it."
        )
    return response.content


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside `path`, then rename: two workers may do this at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
