"""Prompts that are made of others: what a version's fragments stand for, put in their places."""

from collections.abc import Awaitable, Callable

from app.kit.errors import InvalidContentError
from app.kit.pointers import escape
from app.registry.kinds.prompt import MAX_FRAGMENTS, Prompt, composed
from app.registry.schemas import Artifact

ByDigest = Callable[[str, str], Awaitable[Artifact]]
"""`(kind, digest) -> the content`; raises `NotFoundError`."""


async def expanded(prompt: Artifact, by_digest: ByDigest, depth: int = 0) -> Prompt:
    """The prompt with all its fragments in their places, as it was when the version was made.

    Raises `InvalidContentError` when fragments have fragments more than five deep. They cannot go round in a circle: each is
    pinned by the digest of what was there before.
    """
    content: Prompt = prompt.content
    if not content.fragments:
        return content
    if depth == MAX_FRAGMENTS:
        raise InvalidContentError.at("/fragments", f"fragments have fragments at most {MAX_FRAGMENTS} deep")
    parts = {}
    for name in content.fragments:
        part = await by_digest("prompt", prompt.pins[f"/fragments/{escape(name)}"])
        parts[name] = await expanded(part, by_digest, depth + 1)
    return composed(content, parts)
