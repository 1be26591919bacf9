"""Duplicates are found without loss, quickly, and told apart: exact, near, across splits, and in few-shot examples."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz import fuzz, process
from rapidfuzz.distance import Indel

from app.datasets.duplicates import Found, Text, near_duplicates, normalised
from app.datasets.signatures import Plan, signatures, steps
from app.datasets.similarity import Clock, Join
from app.kit.errors import InvalidContentError

Edges = set[tuple[str, str]]
ASK = "prompt ask@3 /messages/1"
PATIENCE = 300.0  # seconds: what is tested is the outcome, on a machine that may be busy


def plain(*texts: str, group: str = "") -> list[Text]:
    return [Text(str(index), group, text) for index, text in enumerate(texts)]


def edges(found: Found) -> Edges:
    return {(pair.a, pair.b) for pair in found.pairs}


def by_comparing_all(texts: list[str], threshold: float) -> set[tuple[int, int]]:
    scores = process.cdist(texts, texts, scorer=Indel.normalized_similarity, score_cutoff=threshold, dtype=np.float64)
    return {(int(a), int(b)) for a, b in zip(*np.nonzero(scores), strict=True) if a < b}


def by_joining(texts: list[str], threshold: float) -> set[tuple[int, int]]:
    clock = Clock(PATIENCE)
    found: list[tuple[int, int]] = []
    for batch in Join(texts, np.arange(len(texts)), threshold, clock).batches():
        found += [(min(pair), max(pair)) for pair in zip(batch.left.tolist(), batch.right.tolist(), strict=True)]
    assert not clock.cut
    assert len(found) == len(set(found)), "a pair was reported twice"
    return set(found)


def edited(text: str, count: int, rng: random.Random) -> str:
    letters = list(text)
    for _ in range(count):
        place = rng.randrange(len(letters) + 1)
        if rng.random() < 0.5 and place < len(letters):
            del letters[place]
        else:
            letters.insert(place, rng.choice("etaoin shrdlu.é漢"))
    return "".join(letters)


def sentences(words: list[str], count: int, rng: random.Random, *, near: float = 0.1) -> list[str]:
    """Of 20 to 200 characters, in phrases of real words; a share of them are edits of earlier ones."""
    out: list[str] = []
    while len(out) < count:
        if out and rng.random() < near:
            out.append(edited(rng.choice(out), rng.randint(1, 30), rng))
            continue
        length, text = rng.randint(20, 200), ""
        while len(text) < length:
            start = rng.randrange(len(words) - 3)
            text += " ".join(words[start : start + 3]) + " "
        out.append(text[:length].strip())
    return list(dict.fromkeys(normalised(text) for text in out))


def questions(folder: Path, name: str) -> list[Text]:
    rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
    return [Text(row["id"], "", row["question"]) for row in rows]


@pytest.fixture(scope="module")
def words(shared_data: Path) -> list[str]:
    return " ".join(item.text for item in questions(shared_data, "gsm8k_solutions")).split()


@given(
    st.lists(st.text("aab cé1", min_size=0, max_size=30), max_size=30),
    st.sampled_from([0.5, 0.6, 0.75, 0.8, 0.9, 0.95, 1.0]),
)
@settings(deadline=None, max_examples=150)
def test_what_is_found_is_what_comparing_all_finds(texts: list[str], threshold: float) -> None:
    texts = list(dict.fromkeys(texts))
    assert by_joining(texts, threshold) == by_comparing_all(texts, threshold)


@pytest.mark.parametrize(
    ("name", "threshold", "count"),
    [
        ("gsm8k_solutions", 0.9, 0),
        ("gsm8k_solutions", 0.7, 2),
        ("gsm8k_solutions", 0.6, 9),
        ("nq_open_qa", 0.9, 0),
        ("nq_open_qa", 0.7, 4),
        ("nq_open_qa", 0.6, 66),
    ],
)
def test_the_duplicates_among_real_questions_are_known(
    shared_data: Path, name: str, threshold: float, count: int
) -> None:
    texts = questions(shared_data, name)
    found = near_duplicates(texts, threshold=threshold, max_seconds=PATIENCE)
    assert (found.total, found.complete) == (count, True)
    compared = by_comparing_all([normalised(item.text) for item in texts], threshold)
    assert edges(found) == {(texts[a].id, texts[b].id) for a, b in compared}


def test_the_two_questions_about_farmer_brown_are_the_closest_of_gsm8k(shared_data: Path) -> None:
    closest = near_duplicates(questions(shared_data, "gsm8k_solutions"), threshold=0.7).pairs[0]
    assert (closest.a, closest.b, round(closest.similarity, 4)) == ("gsm8k-test-0339", "gsm8k-test-1317", 0.7597)


@given(
    st.text(max_size=60), st.lists(st.tuples(st.integers(0, 60), st.text(max_size=1)), max_size=12), st.integers(1, 4)
)
@settings(deadline=None, max_examples=300)
def test_a_row_of_bits_changes_no_more_than_the_lemma_allows(text: str, edits: list[tuple[int, str]], q: int) -> None:
    other = text
    for place, letter in edits:
        other = other[:place] + letter + other[place + (not letter) :]
    plan = Plan(1, 512, steps([text, "another text"], 512)) if q == 1 else Plan(q, 128)
    one, two = signatures([text, other], plan).T
    distance = Indel.distance(text, other)
    assert int(np.bitwise_count(one ^ two).sum()) <= plan.limit(np.array(float(distance)))


@pytest.mark.parametrize("threshold", [0.8, 0.85, 0.9, 0.97])
def test_no_pair_of_real_sentences_is_lost_by_the_filters(words: list[str], threshold: float) -> None:
    texts = sentences(words, 1500, random.Random(7), near=0.2)
    expected = by_comparing_all(texts, threshold)
    assert len(expected) > 40
    assert by_joining(texts, threshold) == expected


def test_no_pair_of_long_texts_is_lost(words: list[str]) -> None:
    rng = random.Random(3)
    texts = [" ".join(rng.choices(words, k=rng.randint(150, 400))) for _ in range(250)]
    texts += [edited(text, rng.randint(10, 400), rng) for text in texts]
    expected = by_comparing_all(texts, 0.9)
    assert len(expected) > 100
    assert by_joining(texts, 0.9) == expected


def test_white_space_letter_case_and_compatible_forms_make_no_difference_but_punctuation_does() -> None:
    found = near_duplicates(
        plain(
            "What is  the CAPITAL\nof Norway?",
            " what is the ｃａｐｉｔａｌ of norway? ",
            "What is the capital of Norway",
        )
    )
    assert [(pair.a, pair.b, pair.exact) for pair in found.pairs] == [("0", "1", True), ("0", "2", False)]
    assert (
        found.pairs[1].similarity == fuzz.ratio("what is the capital of norway?", "what is the capital of norway") / 100
    )
    assert (found.total, found.complete, found.reason) == (2, True, "")


def test_equal_texts_are_a_chain_and_stand_for_each_other() -> None:
    found = near_duplicates(plain("one and the same", "one and the same", "one and the same", "one and the samf"))
    assert edges(found) == {("0", "1"), ("1", "2"), ("0", "3")}


def test_pairs_come_most_similar_first_and_the_total_counts_those_beyond_the_limit() -> None:
    texts = plain(*(f"{'the same beginning of all ' * 3}{index:03}" for index in range(40)))
    found = near_duplicates(texts, limit=7)
    assert (len(found.pairs), found.total, found.complete) == (7, 40 * 39 // 2, True)
    everything = near_duplicates(texts, limit=10_000)
    assert found.pairs == everything.pairs[:7]
    similarities = [pair.similarity for pair in everything.pairs]
    assert similarities == sorted(similarities, reverse=True)


def test_across_splits_only_pairs_of_different_splits_are_leaks() -> None:
    texts = [
        Text("a", "train", "How many legs does a spider have?"),
        Text("b", "train", "How many legs does a spider have ?"),
        Text("c", "test", "how many legs does a spider have?"),
        Text("d", "test", "How many legs does this spider have?"),
        Text("e", "", "Something else altogether, in no split"),
    ]
    assert edges(near_duplicates(texts, across=True, threshold=0.85)) == {
        ("a", "c"),
        ("b", "c"),
        ("a", "d"),
        ("b", "d"),
    }
    assert ("a", "b") in edges(near_duplicates(texts, threshold=0.85))


@given(st.lists(st.tuples(st.sampled_from(["train", "test", "dev"]), st.integers(0, 5)), max_size=12))
@settings(deadline=None, max_examples=150)
def test_every_text_with_a_counterpart_in_another_split_is_in_a_pair(drawn: list[tuple[str, int]]) -> None:
    base = "a question about the price of apples and pears"
    kinds = [base, base + "?", base + "??", "quite another text of similar length here", "x", "y"]
    texts = [Text(str(index), group, kinds[kind]) for index, (group, kind) in enumerate(drawn)]
    leaking = {
        one.id
        for one in texts
        for other in texts
        if one.group != other.group and Indel.normalized_similarity(one.text, other.text) >= 0.9
    }
    found = near_duplicates(texts, across=True)
    assert {name for pair in edges(found) for name in pair} == leaking
    assert all(pair.a_group != pair.b_group for pair in found.pairs)
    assert found.total == len(found.pairs) == len(edges(found))


@pytest.mark.parametrize("across", [False, True])
def test_examples_are_compared_with_items_and_never_with_each_other(across: bool) -> None:
    text = "Natalia sold clips to 48 of her friends in April"
    texts = [
        Text("shot-1", ASK, text),
        Text("shot-2", ASK, text),
        Text("shot-3", "prompt ask@3 /messages/3", text + "!"),
        Text("item", "test", text + "."),
    ]
    found = near_duplicates(texts, across=across)
    assert {pair.a for pair in found.pairs} == {"item"}
    assert {pair.b_group for pair in found.pairs} == {ASK, "prompt ask@3 /messages/3"}


def test_an_item_within_a_longer_example_is_a_leak_even_if_it_was_edited() -> None:
    example = (
        "Here is how to answer. Question: What is the boiling point of water in kelvin? Answer: 373.15 K. Now you."
    )
    texts = [
        Text("shot", ASK, example),
        Text("whole", "test", "what is the boiling point of water in Kelvin?"),
        Text("edited", "test", "What was the boiling point of water in kelvins?"),
        Text("other", "test", "What is the melting point of iron in fahrenheit?"),
        Text("short", "test", "Now you."),
    ]
    found = near_duplicates(texts, across=True)
    assert [(pair.a, pair.b) for pair in found.pairs] == [("whole", "shot"), ("edited", "shot")]
    assert found.pairs[0].similarity == 1.0
    assert not found.pairs[0].exact
    assert found.pairs[1].similarity == fuzz.partial_ratio(normalised(texts[2].text), normalised(example)) / 100


@given(
    st.lists(st.text("abcdef ", min_size=20, max_size=40), max_size=4),
    st.text("abcdef ", min_size=30, max_size=160),
    st.lists(st.tuples(st.integers(0, 120), st.integers(20, 60), st.integers(0, 8)), max_size=8),
    st.sampled_from([0.7, 0.8, 0.9]),
)
@settings(deadline=None, max_examples=100)
def test_no_item_within_an_example_is_lost(
    items: list[str], example: str, cuts: list[tuple[int, int, int]], threshold: float
) -> None:
    rng = random.Random(len(example))
    items = [*items, *(edited(example[start : start + length], edits, rng) for start, length, edits in cuts)]
    items = list({normalised(item): item for item in items})
    texts = [*plain(*items, group="test"), Text("shot", ASK, example)]
    whole = normalised(example)
    expected = set()
    for index, item in enumerate(items):
        part = normalised(item)
        inside = 20 <= len(part) < len(whole) and fuzz.partial_ratio(part, whole, score_cutoff=threshold * 100) > 0
        if inside or Indel.normalized_similarity(part, whole, score_cutoff=threshold) > 0:
            expected.add((str(index), "shot"))
    found = edges(near_duplicates(texts, across=True, threshold=threshold))
    assert found == expected


def test_an_example_that_left_out_every_sixth_character_is_still_seen() -> None:
    part = "abcdefghijklmnopqrstuvwxyzäöüýàáâçèéêìíîñòóô"
    left = "".join(letter for index, letter in enumerate(part) if index % 5 != 2 or index > 40)
    found = near_duplicates([Text("item", "", part), Text("shot", ASK, "0123456789" * 5 + left)])
    assert [pair.similarity for pair in found.pairs] == [2 * len(left) / (len(part) + len(left))] == [0.9]


@pytest.mark.parametrize("threshold", [0.0, 0.49, 1.01, float("nan")])
def test_a_threshold_that_is_no_similarity_is_refused(threshold: float) -> None:
    with pytest.raises(InvalidContentError, match="/threshold"):
        near_duplicates([], threshold=threshold)


def test_empty_texts_and_no_texts_are_no_trouble() -> None:
    assert near_duplicates([]).total == 0
    assert edges(near_duplicates(plain("", "  ", "x", "\ud800"))) == {("0", "1")}
