"""Bodies: limits while reading, gzip without bombs, JSON by every letter."""

import gzip
import zlib

import pytest

from service.api.bodies import read_json, unpack
from service.errors import MalformedRequest, TooLarge


def test_reads_json():
    assert read_json(b'{"a": [1, 2.5, null, true, "\\u00e4\\ud83d\\ude00"]}') == {"a": [1, 2.5, None, True, "ä😀"]}


def test_a_written_backslash_is_no_nul():
    assert read_json(b'["\\\\u0000"]') == ["\\u0000"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing",
        b"{",
        b'{"a": NaN}',
        b"[Infinity]",
        b"[-Infinity]",
        b"1" * 5000,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\xed\xa0\x80"',
        b'"\xff"',
        b'"\\u0000"',
        b'[{"a": {"\\u0000": 1}}]',
        b'"a\x00b"',
        b"[1] [2]",
        b"{'a': 1}",
    ],
    ids=lambda body: repr(body[:16]),
)
def test_refuses_what_is_not_json(body):
    with pytest.raises(MalformedRequest):
        read_json(body)


def test_unpacks_up_to_the_limit():
    assert unpack(gzip.compress(b"x" * 1000), 1000) == b"x" * 1000


def test_a_bomb_is_not_unpacked():
    with pytest.raises(TooLarge):
        unpack(gzip.compress(b"\x00" * 50_000_000), 1_000_000)


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"plain",
        gzip.compress(b"cut off")[:-4],
        gzip.compress(b"one") + gzip.compress(b"two"),
        zlib.compress(b"another format"),
    ],
    ids=["empty", "plain", "cut off", "two members", "zlib"],
)
def test_refuses_what_is_not_gzip(packed):
    with pytest.raises(MalformedRequest):
        unpack(packed, 1000)
