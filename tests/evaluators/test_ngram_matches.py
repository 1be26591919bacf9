"""BLEU's fast counts are sacrebleu's."""

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from evaluators.reference.ngram_matches import MAX_WORDS, ORDER, matches, tokens_13a

ODD = st.text(alphabet="aZ09 .,-&;\"'<>/:$%()[]{}\n\té日本ا🙂\u0301\u00a0\u2028quotampltg", max_size=60)


@given(ODD | st.text(max_size=60))
@example("1.5 1,000 .5 a.b ,, ... 3- -3 3-\n4 x&quot;y &amp;lt; <skipped>")
@example(".")
def test_tokens_are_those_of_sacrebleu(text: str) -> None:
    assert tokens_13a(text) == Tokenizer13a()(text).split()


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from("abcde"), max_size=12), st.lists(st.sampled_from("abcde"), max_size=12)),
        max_size=5,
    )
)
def test_counts_are_clipped_n_gram_matches(pairs: list[tuple[list[str], list[str]]]) -> None:
    found = matches(pairs)
    assert len(found) == len(pairs)
    for (output, reference), counted in zip(pairs, found, strict=True):
        for n in range(1, ORDER + 1):
            ours, theirs = (
                Counter(tuple(side[i : i + n]) for i in range(len(side) - n + 1)) for side in (output, reference)
            )
            assert counted.correct[n - 1] == (ours & theirs).total()
            assert counted.total[n - 1] == ours.total()
        assert (counted.output_words, counted.reference_words) == (len(output), len(reference))


def test_a_pair_with_too_many_words_is_refused_and_not_miscounted() -> None:
    words = [str(number) for number in range(MAX_WORDS + 1)]
    with pytest.raises(ValueError, match="distinct words"):
        matches([(words, words)])
    assert matches([(words[:-1], words[:-1])])[0].correct == [MAX_WORDS - n for n in range(4)]
