"""Ids of ours: a prefix that says what it names, and random digits that nobody can guess or count."""

import secrets
from typing import Literal

Prefix = Literal["swp", "trl", "lse"]


def new_id(prefix: Prefix) -> str:
    """A fresh id, such as `swp_3f9c…`: 64 random bits."""
    return f"{prefix}_{secrets.token_hex(8)}"
