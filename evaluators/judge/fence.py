"""Marks between which text stands that is judged, and never obeyed."""

import hashlib

from evaluators.text import without_surrogates


class Fence:
    """Puts evidence between two equal lines whose mark no evidence can hold.

    The mark is derived from all evidence, so the same case gives the same prompt (and the same key in a cache), and a
    text that wants to forge the closing line would have to contain a digest of itself.
    """

    def __init__(self, *evidence: str) -> None:
        digest = hashlib.sha256()
        for text in evidence:
            data = text.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big"))
            digest.update(data)
        mark, attempt = "", 0
        while not any(sign.isdigit() for sign in mark) or any(mark in text for text in evidence):
            mark = hashlib.sha256(digest.digest() + attempt.to_bytes(4, "big")).hexdigest()[:20]
            attempt += 1
        self.mark = mark

    def around(self, name: str, text: str) -> str:
        """The text as a block of its own: fence line, text, the same fence line."""
        line = f"=== {name} {self.mark} ==="
        return f"\n{line}\n{without_surrogates(text)}\n{line}\n"
