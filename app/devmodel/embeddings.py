"""Embeddings by signed hashing of word stems: deterministic, of unit length, and no more than a bag of words.

Weinberger et al., Feature Hashing for Large Scale Multitask Learning (2009).
"""

from array import array
from base64 import b64encode
from collections import Counter
from functools import lru_cache
from hashlib import blake2b
from math import log, sqrt
from sys import byteorder

from app.devmodel import text as words_of

DIMENSIONS = 256


def embed(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """A vector of length 1: each stem adds 1 + ln(count) with its own sign at its own place."""
    counts = Counter(words_of.stems(text)) or Counter([text])
    vector = [0.0] * dimensions
    for feature, count in counts.items():
        place = _hashed(feature)
        vector[(place >> 1) % dimensions] += (1 + log(count)) * (1 if place & 1 else -1)
    length = sqrt(sum(one * one for one in vector))
    if length == 0:
        # Two features met with opposite signs and nothing else is there.
        vector[(_hashed(text) >> 1) % dimensions] = length = 1.0
    return [one / length for one in vector]


def base64_floats(vector: list[float]) -> str:
    """Little-endian 32-bit floats in base64, as OpenAI's `encoding_format: base64`."""
    floats = array("f", vector)
    if byteorder == "big":
        floats.byteswap()
    return b64encode(floats.tobytes()).decode()


@lru_cache(maxsize=50_000)
def _hashed(feature: str) -> int:
    return int.from_bytes(blake2b(feature.encode(), digest_size=8).digest())
