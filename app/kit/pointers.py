"""JSON pointers (RFC 6901), which say where in a document something stands."""


def escape(part: str) -> str:
    """One part of a pointer."""
    return part.replace("~", "~0").replace("/", "~1")
