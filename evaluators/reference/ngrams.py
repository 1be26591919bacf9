"""How many runs of words two texts share."""

import itertools
from collections import Counter
from collections.abc import Hashable, Sequence


def matches(found: Sequence[Hashable], references: Sequence[Sequence[Hashable]], order: int) -> list[int]:
    """For n = 1 to `order`: the n-grams of `found` that the references have.

    An n-gram counts as often as `found` has it, but at most as often as the one reference that has it most often.

    An (n + 1)-gram can only be shared where both n-grams in it are, so each order looks at what the one before has left:
    its grams are numbers, made of the numbers of the two shared grams, and None elsewhere.
    """
    shared = [0] * order
    here: Sequence[Hashable] = found
    there: list[Sequence[Hashable]] = list(references)
    for n in range(order):
        counted, most = Counter(here), Counter(there[0])
        for other in there[1:]:
            most |= Counter(other)
        common = counted.keys() & most.keys()
        common.discard(None)
        if not common:
            break
        shared[n] = sum([min(most[gram], counted[gram]) for gram in common])
        if n + 1 < order:
            numbers = {gram: number for number, gram in enumerate(common)}
            here = _longer(here, numbers)
            there = [_longer(each, numbers) for each in there]
    return shared


def totals(length: int, order: int) -> list[int]:
    """For n = 1 to `order`: how many n-grams a text of `length` words has."""
    return [max(length - n, 0) for n in range(order)]


def _longer(grams: Sequence[Hashable], numbers: dict[Hashable, int]) -> list[int | None]:
    found = list(map(numbers.get, grams))
    size = len(numbers)
    return [None if left is None or right is None else left * size + right for left, right in itertools.pairwise(found)]
