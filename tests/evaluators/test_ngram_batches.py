"""Pairs counted together have the numbers of pairs counted alone."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.reference import ngrams
from evaluators.reference.ngram_batches import MAX_WORDS, ORDER, matches

WORDS = st.lists(st.sampled_from("abcde"), max_size=12)


@given(st.lists(st.tuples(WORDS, WORDS), max_size=5))
def test_counts_are_clipped_n_gram_matches(pairs: list[tuple[list[str], list[str]]]) -> None:
    found = matches(pairs)
    assert found == [ngrams.matches(output, [reference], ORDER) for output, reference in pairs]
    for (output, reference), counted in zip(pairs, found, strict=True):
        for n in range(1, ORDER + 1):
            ours, theirs = (
                Counter(tuple(side[i : i + n]) for i in range(len(side) - n + 1)) for side in (output, reference)
            )
            assert counted[n - 1] == (ours & theirs).total()


def test_a_pair_with_too_many_words_is_refused_and_not_miscounted() -> None:
    words = [str(number) for number in range(MAX_WORDS + 1)]
    with pytest.raises(ValueError, match="different words"):
        matches([(words, words)])
    assert matches([(words[:-1], words[:-1])]) == [[MAX_WORDS - n for n in range(4)]]
