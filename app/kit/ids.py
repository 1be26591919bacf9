"""Time-ordered ids with a prefix that says what they name."""

import re

from uuid_utils import uuid7

ID_PATTERN = re.compile(r"[a-z]{2,5}_[0-9a-f]{32}")


def new_id(prefix: str) -> str:
    """A version 7 UUID in hex behind `prefix` and an underscore, such as `run_019…`."""
    return f"{prefix}_{uuid7().hex}"
