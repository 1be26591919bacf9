"""The n-grams that many pairs of texts share, counted at once by sorting integers: the numbers of `ngrams.matches`."""

from collections.abc import Sequence

ORDER = 4
MAX_WORDS = 1 << 10
"""Words that one pair may have: four of their numbers and the pair's stand in one 64-bit integer."""

_WIDTH = 10


def matches(pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> list[list[int]]:
    """For each pair of token lists (output, reference): the 1- to 4-grams that they share, clipped as BLEU clips them.

    Raises ValueError for a pair of more than MAX_WORDS different words. At most 2 ** 20 pairs.
    """
    import numpy as np

    sides: tuple[list[int], list[int]] = ([], [])
    for output, reference in pairs:
        ids: dict[str, int] = {}
        number = ids.setdefault
        sides[0].extend([number(word, len(ids)) for word in output])
        sides[1].extend([number(word, len(ids)) for word in reference])
        if len(ids) > MAX_WORDS:
            raise ValueError(f"{len(ids)} different words in one pair; at most {MAX_WORDS}")
    words = [np.array(side, dtype=np.int64) for side in sides]
    lengths = [[len(pair[side]) for pair in pairs] for side in (0, 1)]
    owners = [np.repeat(np.arange(len(pairs), dtype=np.int64), each) for each in lengths]
    correct = np.zeros((len(pairs), ORDER), dtype=np.int64)
    grams = list(words)
    for n in range(ORDER):
        counted = []
        for side in (0, 1):
            if n:
                grams[side] = (grams[side][:-1] << _WIDTH) | words[side][n:]
            owner = owners[side]
            whole = owner[n:] == owner[: max(0, owner.size - n)]  # an n-gram does not cross from one text into the next
            keys = np.sort(((owner[n:] << (_WIDTH * ORDER)) | grams[side])[whole])
            starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if keys.size else keys
            counted.append((keys[starts], np.diff(np.append(starts, keys.size))))
        (ours, our_counts), (theirs, their_counts) = counted
        if not (ours.size and theirs.size):
            break
        place = np.minimum(np.searchsorted(theirs, ours), theirs.size - 1)
        same = theirs[place] == ours
        clipped = np.minimum(our_counts[same], their_counts[place[same]])
        correct[:, n] = np.bincount(ours[same] >> (_WIDTH * ORDER), weights=clipped, minlength=len(pairs))
    found: list[list[int]] = correct.tolist()
    return found
