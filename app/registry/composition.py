"""Prompts that are made of others: what a version's fragments stand for, put in their places."""

from collections.abc import Awaitable, Callable

from app.kit.errors import InvalidContentError
from app.kit.pointers import escape
from app.registry.kinds.prompt import MAX_FRAGMENTS, Prompt, composed
from app.registry.schemas import Artifact

ByDigest = Callable[[str, str], Awaitable[Artifact]]
"""`(kind, digest) -> the content`; raises `NotFoundError`."""


async def expanded(
    prompt: Artifact, by_digest: ByDigest, depth: int = 0, known: dict[tuple[str, int], Prompt] | None = None
) -> Prompt:
    """The prompt with all its fragments in their places, as it was when the version was made.

    Raises `InvalidContentError` when fragments have fragments more than five deep. They cannot go round in a circle: each is
    pinned by the digest of what was there before. `known` holds what was put together on the way, by digest and depth: a few
    prompts that each have the same fragments many times would otherwise be read exponentially often.
    """
    known = {} if known is None else known
    content: Prompt = prompt.content
    if not content.fragments:
        return content
    if depth == MAX_FRAGMENTS:
        raise InvalidContentError.at("/fragments", f"fragments have fragments at most {MAX_FRAGMENTS} deep")
    parts = {}
    for name in content.fragments:
        pin = prompt.pins[f"/fragments/{escape(name)}"]
        if (pin, depth) not in known:
            known[pin, depth] = await expanded(await by_digest("prompt", pin), by_digest, depth + 1, known)
        parts[name] = known[pin, depth]
    return composed(content, parts)
