"""Text scorers against the libraries that define them, on random and multilingual text."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.gleu_score import sentence_gleu
from nltk.translate.meteor_score import single_meteor_score
from rapidfuzz import fuzz
from rapidfuzz.distance import Hamming, JaroWinkler
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF, TER

from evaluators import Sample, Score, ScorerConfigError, build
from evaluators.metrics.corpus import corpus_bleu, corpus_chrf, corpus_ter

# Words and marks of several scripts, and what tokenizers treat in ways of their own.
PIECES = [
    *(
        "the",
        "cat",
        "sat",
        "on",
        "mat",
        "Running",
        "runs",
        "K9",
        "1,000.5",
        "a-b",
        "U.S.",
        "it's",
        "&quot;",
        "<skipped>",
    ),
    *("日本語", "。", "مرحبا", "שלום", "😀", "👩‍👩‍👧", "é", "e\u0301", "İ", "\u212a", "ß", "\ud800", "ｆ", "หนึ่ง"),
    *(".", ",", "!?", "-\n", "\n", "\n\n", "\t", "\u00a0", "\u2028", "\x1c", "'", '"', "(", "$5"),
]
text = st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from([" ", " ", "", "\n"])), max_size=14).map(
    lambda pieces: "".join(word + gap for word, gap in pieces)
)
many = settings(deadline=None, max_examples=40)


def scored(use: str, output: str, reference: object, **args: object) -> Score:
    return build(use, args).score(Sample(output=output, reference=reference))


@pytest.mark.parametrize(
    "args", [{}, {"tokenize": "intl"}, {"tokenize": "zh", "lowercase": True}, {"tokenize": "char"}]
)
@many
@given(output=text, references=st.lists(text, min_size=1, max_size=3))
def test_bleu_is_sacrebleus(args: dict[str, object], output: str, references: list[str]) -> None:
    expected = BLEU(effective_order=True, **args).sentence_score(output, references).score / 100
    assert scored("bleu", output, references, **args).value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "args",
    [
        {"smooth_method": "floor", "smooth_value": 0.5},
        {"smooth_method": "add-k"},
        {"max_ngram_order": 6, "tokenize": "none"},
    ],
)
@many
@given(output=text, reference=text)
def test_bleu_smooths_as_sacrebleu_does(args: dict[str, object], output: str, reference: str) -> None:
    expected = BLEU(effective_order=True, **args).sentence_score(output, [reference]).score / 100
    assert scored("bleu", output, reference, **args).value == pytest.approx(expected, abs=1e-12)


@many
@given(output=text, references=st.lists(text, min_size=1, max_size=3), word_order=st.sampled_from([0, 2]))
def test_chrf_is_sacrebleus(output: str, references: list[str], word_order: int) -> None:
    expected = CHRF(word_order=word_order).sentence_score(output, references).score / 100
    assert scored("chrf", output, references, word_order=word_order).value == pytest.approx(expected, abs=1e-12)


@many
@given(output=text, references=st.lists(text, min_size=1, max_size=2), normalized=st.booleans())
def test_ter_is_sacrebleus_and_lower_is_better(output: str, references: list[str], normalized: bool) -> None:
    expected = TER(normalized=normalized, asian_support=normalized).sentence_score(output, references).score / 100
    score = scored("ter", output, references, normalized=normalized, asian_support=normalized)
    assert score.value == pytest.approx(expected, abs=1e-12)
    assert score.direction == "minimize"


@many
@given(hypotheses=st.lists(text, min_size=1, max_size=4), data=st.data())
def test_a_corpus_is_scored_as_sacrebleu_does(hypotheses: list[str], data: st.DataObject) -> None:
    stream = st.lists(text, min_size=len(hypotheses), max_size=len(hypotheses))
    references = data.draw(st.lists(stream, min_size=1, max_size=2))
    assert corpus_bleu(hypotheses, references).value == BLEU().corpus_score(hypotheses, references).score / 100
    assert corpus_chrf(hypotheses, references).value == CHRF().corpus_score(hypotheses, references).score / 100
    assert corpus_ter(hypotheses, references).value == TER().corpus_score(hypotheses, references).score / 100


def test_streams_of_another_length_are_refused_not_cut() -> None:
    with pytest.raises(ValueError, match="stream 2 has 1 references for 2"):
        corpus_bleu(["a", "b"], [["a", "b"], ["a"]])


@pytest.mark.parametrize("stemmer", [False, True])
@many
@given(output=text, reference=text)
def test_rouge_is_rouge_scores_to_the_last_bit(stemmer: bool, output: str, reference: str) -> None:
    kinds = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL", "rouge_lsum": "rougeLsum"}
    expected = RougeScorer(list(kinds.values()), use_stemmer=stemmer).score(reference, output)
    for use, kind in kinds.items():
        for part, key in (("f", "fmeasure"), ("precision", "precision"), ("recall", "recall")):
            value = scored(use, output, reference, part=part, stemmer=stemmer).value
            assert value == getattr(expected[kind], key), (use, part)


lines = st.lists(st.lists(st.sampled_from("abcde"), max_size=9).map(" ".join), max_size=5).map("\n".join)


@settings(deadline=None, max_examples=120)
@given(output=lines, reference=lines)
def test_rouge_lsum_takes_the_same_one_of_several_longest_sequences(output: str, reference: str) -> None:
    expected = RougeScorer(["rougeLsum"]).score(reference, output)["rougeLsum"].fmeasure
    assert scored("rouge_lsum", output, reference).value == expected


@many
@given(
    output=text, references=st.lists(text, min_size=2, max_size=3), part=st.sampled_from(["f", "precision", "recall"])
)
def test_of_several_references_rouge_takes_the_one_with_the_best_f(
    output: str, references: list[str], part: str
) -> None:
    expected = RougeScorer(["rougeL"]).score_multi(references, output)["rougeL"]
    key = "fmeasure" if part == "f" else part
    assert scored("rouge_l", output, references, part=part).value == getattr(expected, key)


@many
@given(output=text, references=st.lists(text, min_size=1, max_size=3), longest=st.integers(1, 5))
def test_gleu_is_nltks(output: str, references: list[str], longest: int) -> None:
    expected = sentence_gleu([each.split() for each in references], output.split(), max_len=longest)
    assert scored("gleu", output, references, max_len=longest).value == pytest.approx(expected, abs=1e-12)


class EmptyWordNet:
    def synsets(self, word: str) -> list[object]:
        return []


@many
@given(output=text, reference=text)
def test_meteor_without_synonyms_is_nltks_with_an_empty_wordnet(output: str, reference: str) -> None:
    expected = single_meteor_score(reference.split(), output.split(), wordnet=EmptyWordNet())
    assert scored("meteor", output, reference, synonyms=False).value == pytest.approx(expected, abs=1e-12)


def test_meteor_with_synonyms_asks_for_wordnet_where_it_is_not() -> None:
    from nltk.corpus import wordnet

    try:
        wordnet.ensure_loaded()
    except LookupError:
        with pytest.raises(ScorerConfigError, match=r"nltk\.downloader wordnet") as raised:
            build("meteor")
        assert raised.value.pointer == "/args/synonyms"
    else:
        assert scored("meteor", "a big car", "a large automobile").value == pytest.approx(
            single_meteor_score(["a", "large", "automobile"], ["a", "big", "car"])
        )


@many
@given(output=text, reference=text)
def test_wratio_jaro_winkler_and_hamming_are_rapidfuzz_own(output: str, reference: str) -> None:
    assert scored("fuzz_wratio", output, reference).value == fuzz.WRatio(output, reference) / 100
    similarity = JaroWinkler.normalized_similarity(output, reference, prefix_weight=0.2)
    assert scored("jaro_winkler", output, reference, prefix_weight=0.2).value == similarity
    assert scored("hamming", output, reference).value == Hamming.normalized_similarity(output, reference)


TEXTS = [
    "bleu",
    "chrf",
    "ter",
    "rouge_1",
    "rouge_2",
    "rouge_l",
    "rouge_lsum",
    "gleu",
    "fuzz_wratio",
    "jaro_winkler",
    "hamming",
    "fuzz_partial_ratio",
    "levenshtein",
]


@pytest.mark.parametrize("use", [*TEXTS, "meteor"])
def test_a_megabyte_is_scored_or_refused_within_seconds_of_work(use: str) -> None:
    scorer = build(use, {"synonyms": False} if use == "meteor" else {})
    scorer.score(Sample(output="a", reference="b"))
    words = "lorem ipsum dolor sit. " * 45_000
    for output, reference in ((words, words[::-1]), ("x" * 1_000_000, "lorem"), ("a\nb\n" * 100_000, "a\nb\nc")):
        began = time.thread_time()
        score = scorer.score(Sample(output=output, reference=reference))
        assert time.thread_time() - began < 5
        assert score.status == "ok" or "too long" in score.explanation


@pytest.mark.parametrize("use", TEXTS)
def test_an_empty_output_is_scored_and_a_missing_reference_is_skipped(use: str) -> None:
    assert scored(use, "", "a reference").value == (1.0 if use == "ter" else 0.0)
    assert scored(use, "some words", None).status == "skipped"
    assert scored(use, "some words", []).status == "skipped"
    assert scored(use, "some words", {"not": "text"}).status == "skipped"


@pytest.mark.parametrize(
    ("use", "args", "pointer"),
    [
        ("bleu", {"max_ngram_order": 10**9}, "/args/max_ngram_order"),
        ("gleu", {"max_len": 10**9}, "/args/max_len"),
        ("chrf", {"char_order": 10**9}, "/args/char_order"),
        ("bleu", {"smooth_value": 0.5}, "/args/smooth_value"),
        ("bleu", {"smooth_method": "floor", "smooth_value": 2}, "/args/smooth_value"),
        ("bleu", {"max_ngram_order": 0}, "/args/max_ngram_order"),
        ("bleu", {"tokenize": "flores200"}, "/args/tokenize"),
        ("bleu", {"profile": "promptfoo", "tokenize": "char"}, "/args/tokenize"),
        ("bleu", {"threshold": 0}, "/args/threshold"),
        ("chrf", {"char_order": 0}, "/args/char_order"),
        ("chrf", {"beta": 0}, "/args/beta"),
        ("ter", {"asian_support": True}, "/args/asian_support"),
        ("gleu", {"min_len": 3, "max_len": 2}, "/args/max_len"),
        ("jaro_winkler", {"prefix_weight": 0.3}, "/args/prefix_weight"),
        ("levenshtein", {"max_distance": 3}, "/args/max_distance"),
        ("rouge_1", {"profile": "promptfoo", "stemmer": True}, "/args/stemmer"),
        ("meteor", {"alpha": 2, "synonyms": False}, "/args/alpha"),
        ("contains_all", {"values": ["a", ""]}, "/args/values/1"),
    ],
)
def test_arguments_without_sense_are_refused_with_their_place(use: str, args: dict[str, object], pointer: str) -> None:
    with pytest.raises(ScorerConfigError) as raised:
        build(use, args)
    assert raised.value.pointer == pointer


def test_contains_all_needs_each_value_where_contains_needs_one() -> None:
    assert scored("contains", "a b", ["a", "c"]).value == 1
    missed = scored("contains_all", "a b", ["a", "c"])
    assert (missed.value, missed.explanation) == (0, "not found: 'c'")
    assert scored("contains_all", "A B", None, values=["a", "b"], ignore_case=True).value == 1
    assert scored("ends_with", "Yes.", None, values=[".", "!"]).passed is True
    assert scored("ends_with", "Yes?", None, values=[".", "!"]).passed is False
