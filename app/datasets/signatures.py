"""Rows of bits that tell dissimilar strings apart: the rows of two strings at Indel distance d differ in a bounded number of bits.

Two kinds, after the q-gram lemma (Ukkonen, 1992, "Approximate string-matching with q-grams and maximal matches"): one insertion
or deletion changes at most 2q - 1 occurrences of q-grams, so two strings at distance d differ in at most (2q - 1) d of them.

- q = 1: a bit says "this character occurs at least k times". One character more or less changes one bit at most, so two rows
  differ in at most d bits, whichever characters and k are chosen; those are chosen that split a sample most evenly.
- q > 1: q-grams are hashed, and a bit is the parity of its bucket's count. One q-gram more or less flips one bit, so two rows
  differ in at most (2q - 1) d bits. Folding a row in two by XOR keeps that bound.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Words = NDArray[np.uint64]  # (words, texts)

BUCKETS = 128  # of characters: those of ASCII have one each
MOST = 400  # occurrences of one character that are told apart


class Plan(NamedTuple):
    """What the rows hold; `bits` is a multiple of 64, and 0 means no filter at all."""

    q: int
    bits: int
    steps: "Ints | None" = None  # (2, bits) for q = 1: bucket and least count of each bit

    def limit(self, distance: "NDArray[np.float64]") -> "NDArray[np.float64]":
        """The most bits in which the rows of two strings at this Indel distance differ."""
        return (2 * self.q - 1) * distance


def grams(texts: Sequence[str], q: int) -> "tuple[Words, Ints]":
    """Of every q-gram of every text: 64 well-mixed bits, and the index of its text."""
    import numpy as np

    points, rows = _characters(texts)
    size = max(0, len(points) - q + 1)
    value = np.zeros(size, np.uint64)
    for place in range(q):
        value = value * np.uint64(0x1FFFFF) + points[place : place + size]
    value = (value ^ (value >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(32))) * np.uint64(0x94D049BB133111EB)
    inside = rows[:size] == rows[q - 1 :][:size]  # not reaching over into the next text
    return value[inside], rows[:size][inside]


def signatures(texts: Sequence[str], plan: Plan) -> "Words":
    """The texts' rows, as words of 64 bits: (bits / 64, texts)."""
    import numpy as np

    out = np.zeros((plan.bits // 64, len(texts)), np.uint64)
    shift = np.uint64(64 - plan.bits.bit_length() + 1)
    start = 0
    while start < len(texts):
        end, characters = start, 0
        while end < len(texts) and (end - start) * plan.bits < 1 << 20 and characters < 1 << 18:
            characters += len(texts[end])
            end += 1
        if plan.steps is None:
            values, rows = grams(texts[start:end], plan.q)
            places = rows * plan.bits + (values >> shift).astype(np.int64)
            counts = np.bincount(places, minlength=(end - start) * plan.bits).reshape(end - start, plan.bits)
            bits = (counts & 1).astype(np.uint8)
        else:
            bits = (_counts(texts[start:end])[:, plan.steps[0]] >= plan.steps[1]).astype(np.uint8)
        out[:, start:end] = np.ascontiguousarray(np.packbits(bits, axis=1)).view(np.uint64).T
        start = end
    return out


def steps(texts: Sequence[str], bits: int) -> "Ints":
    """(2, bits): the buckets and least counts that split these texts most evenly, the best first."""
    import numpy as np

    counts = _counts(texts)
    highest = min(MOST, int(counts.max(initial=1)))
    share = np.stack([(counts >= least).mean(axis=0) for least in range(1, highest + 1)])  # (counts, buckets)
    order = np.argsort(-(share * (1 - share)), axis=None, kind="stable")[:bits]
    # where the sample's counts do not suffice: higher ones, each once, because a bit held twice would count twice
    order = np.concatenate([order, share.size + np.arange(bits - len(order))])
    return np.stack([order % BUCKETS, order // BUCKETS + 1])


def _characters(texts: Sequence[str]) -> "tuple[Words, Ints]":
    import numpy as np

    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return points, np.repeat(np.arange(len(texts)), lengths)


def _counts(texts: Sequence[str]) -> "Ints":
    import numpy as np

    points, rows = _characters(texts)
    places = rows * BUCKETS + (points % np.uint64(BUCKETS)).astype(np.int64)
    return np.bincount(places, minlength=len(texts) * BUCKETS).reshape(len(texts), BUCKETS)
