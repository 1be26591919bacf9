"""Conditional requests."""


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether `If-None-Match` holds an ETag (RFC 9110): `*`, or a list of tags that are compared weakly."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return any(tag.strip().removeprefix("W/") == etag for tag in if_none_match.split(","))
