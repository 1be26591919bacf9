"""How well scorers without a judge tell grounded answers from others, and what they take for citations and quotations."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import roc_auc_score

from evaluators import Chunk, Sample, Score, ScorerConfigError, build
from evaluators.retrieval.context_entity_recall import entities_of
from evaluators.retrieval.support import SUPPORTED, sentences, share, words

CHUNKS = [
    Chunk(id="geo#1", title="France", text="Paris is the capital of France. It has 2,102,650 residents."),
    Chunk(id="geo#2", title="Germany", text="Berlin is the capital of Germany."),
    Chunk(id="art", text="The Louvre is a museum in Paris."),
]
ALL = ["lexical_grounding", "citation_precision", "citation_recall", "quoted_spans", "context_entity_recall"]


def rows(shared_data: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (shared_data / f"{name}.jsonl").read_text().splitlines()]


def answered(output: str, **fields: Any) -> Sample:
    return Sample(output=output, chunks=CHUNKS, context="\n".join(each.text for each in CHUNKS), **fields)


def score(use: str, output: str, **args: Any) -> Score:
    return build(use, args).score(answered(output))


def test_lexical_grounding_tells_attributable_answers_from_others(shared_data: Path) -> None:
    """BEGIN: AUC against people's verdict; comparing with the context as a reference does worse."""
    answers = rows(shared_data, "begin_wow_attribution")
    labels = [row["human_label"] == "Fully attributable" for row in answers]

    def auc(use: str, field: str, **args: Any) -> float:
        scorer = build(use, args)
        samples = [Sample(output=row["response"], **{field: row["context"]}) for row in answers]  # type: ignore[arg-type]
        values = [each.value for each in scorer.score_batch(samples)]
        return float(roc_auc_score(labels, values))

    assert auc("lexical_grounding", "context") == pytest.approx(0.9584, abs=5e-5)
    assert auc("lexical_grounding", "context", form="strict") == pytest.approx(0.9689, abs=5e-5)
    assert auc("token_f1", "reference") == pytest.approx(0.8365, abs=5e-5)
    shares = [share(words(row["response"]), set(words(row["context"]))) for row in answers]
    reached = [
        sum(label is wanted and each >= SUPPORTED for each, label in zip(shares, labels, strict=True))
        / labels.count(wanted)
        for wanted in (True, False)
    ]
    assert reached == [pytest.approx(0.878, abs=5e-4), pytest.approx(0.100, abs=5e-4)]


def test_lexical_grounding_agrees_with_people_about_faithfulness_as_well_as_a_recorded_judge(shared_data: Path) -> None:
    """MTRAG: 156 answers of two models against mean human faithfulness; the judge rl_f has 0.765 and 0.705."""
    scorer, found, people = build("lexical_grounding", {"against": "chunks"}), list[float](), list[float]()
    for row in rows(shared_data, "mtrag_rag_responses"):
        chunks = [Chunk(id=each["document_id"], text=each["text"], title=each["title"]) for each in row["contexts"]]
        for model, answer in row["outputs"].items():
            if model != "reference":
                ratings = [each["faithfulness"] for each in answer["human"] if each["faithfulness"] is not None]
                value = scorer.score(Sample(output=answer["text"], chunks=chunks)).value
                assert value is not None
                found.append(value)
                people.append(sum(ratings) / len(ratings))
    assert pearsonr(found, people).statistic == pytest.approx(0.7454, abs=5e-5)
    assert spearmanr(found, people).statistic == pytest.approx(0.7766, abs=5e-5)


def test_sentences_of_real_passages_are_right_when_they_cite_their_passage_and_wrong_otherwise(
    shared_data: Path,
) -> None:
    right, wrong = list[float](), list[float]()
    tasks = [row for row in rows(shared_data, "mtrag_rag_responses") if len(row["contexts"]) >= 2]
    for row in tasks:
        texts = [each["text"] for each in row["contexts"][:2]]
        chunks = [Chunk(id=each["document_id"], text=each["text"]) for each in row["contexts"][:2]]
        # The longest sentence: the first one is often a title that both passages have.
        said = [max(sentences(text), key=len).rstrip(".") for text in texts]
        for places, values in (((1, 2), right), ((2, 1), wrong)):
            answer = "\n".join(f"{each} [{place}]." for each, place in zip(said, places, strict=True))
            sample = Sample(output=answer, chunks=chunks)
            values += [build(use, {}).score(sample).value or 0 for use in ("citation_precision", "citation_recall")]
    assert len(tasks) > 50
    assert set(right) == {1.0}
    assert sum(wrong) / len(wrong) < 0.1


def test_recorded_answers_seldom_quote_and_what_they_quote_is_looked_up(shared_data: Path) -> None:
    scorer, values = build("quoted_spans", {"against": "chunks"}), list[float]()
    for row in rows(shared_data, "mtrag_rag_responses"):
        chunks = [Chunk(id=each["document_id"], text=each["text"]) for each in row["contexts"]]
        for answer in row["outputs"].values():
            result = scorer.score(Sample(output=answer["text"], chunks=chunks))
            assert result.status in ("ok", "skipped")
            values += [] if result.value is None else [result.value]
    assert (len(values), values.count(1.0), values.count(0.0)) == (16, 7, 7)


def test_grounding_counts_words_by_their_stem_and_numbers_whole() -> None:
    assert score("lexical_grounding", "Capitals of France").value == 1
    assert score("lexical_grounding", "2,102,650").value == 1
    assert score("lexical_grounding", "2,102,651").value == pytest.approx(2 / 3)
    assert score("lexical_grounding", "").value == 0
    assert score("lexical_grounding", "Paris [1]").value == 1
    assert build("lexical_grounding", {}).score(Sample(output="x")).status == "skipped"
    assert build("lexical_grounding", {}).score(Sample(output="x", context="")).value == 0


@pytest.mark.parametrize(("answer", "value"), [("東京は首都", 1), ("京都は首都", 0.5), ("عاصمة", 1), ("cafe\u0301", 1)])
def test_grounding_reads_scripts_without_spaces_and_combining_marks(answer: str, value: float) -> None:
    context = "東京は首都です。 عاصمة caf\u00e9"
    assert build("lexical_grounding", {}).score(Sample(output=answer, context=context)).value == pytest.approx(value)


@settings(deadline=None)
@given(st.text(max_size=50), st.text(max_size=50), st.text(max_size=50))
def test_more_context_never_supports_less(answer: str, context: str, more: str) -> None:
    for form in ("share", "strict"):
        scorer = build("lexical_grounding", {"form": form})
        less = scorer.score(Sample(output=answer, context=context)).value
        after = scorer.score(Sample(output=answer, context=f"{context}\n{more}")).value
        assert 0 <= less <= after <= 1  # type: ignore[operator]


@pytest.mark.parametrize(
    ("answer", "precision", "recall"),
    [
        ("Paris is the capital of France [1].", 1, 1),
        ("Paris is the capital of France.[1] Berlin is the capital of Germany. [2]", 1, 1),
        ("Paris is the capital of France [2].", 0, 0),
        ("Paris is the capital of France.", None, 0),
        ("Paris is the capital of France [1]. Rome is in Italy.", 1, 0.5),
        ("Paris is the capital of France [1][9].", 0.5, 1),  # the ninth chunk is not there
        ("Paris is the capital of France [1, 2].", 0.5, 1),  # the second adds nothing
        ("Paris is the capital of France [geo#1].", 1, 1),
        ("Paris is the capital of France [geo].", 1, 1),  # any piece of that document
        ("Paris is the capital of France [^1].", 1, 1),
        ("Paris is the capital of France [sic].", None, 0),
        ("Paris: Louvre museum; Germany: Berlin capital [2][art].", 1, 1),  # only both together support it
        ("Yes.", None, None),
        ("", None, 0),
    ],
)
def test_a_citation_is_right_when_its_chunk_has_the_sentences_words(
    answer: str, precision: float | None, recall: float | None
) -> None:
    assert score("citation_precision", answer).value == precision
    assert score("citation_recall", answer).value == recall


def test_markers_may_be_read_as_numbers_or_as_ids_alone() -> None:
    chunks = [Chunk(id="2", text="alpha beta gamma"), Chunk(id="1", text="delta epsilon zeta")]
    sample = Sample(output="alpha beta gamma [1]", chunks=chunks)
    assert build("citation_recall", {}).score(sample).value == 0  # a chunk has the id 1
    assert build("citation_recall", {"markers": "number"}).score(sample).value == 1
    assert build("citation_recall", {"markers": "id"}).score(sample).value == 0


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ('It says "Paris is the capital of France."', 1),
        ("It says “paris  is the CAPITAL”.", 1),
        ("Sie sagt „Berlin is the capital“.", 1),
        ('It says "Paris is the capital of Germany".', 0),
        ('It says "Paris is the … of France".', 1),
        ('It says "the museum in Rome" and "Berlin is the capital".', 0.5),
        ('The "museum" is big.', None),
        ('It says "… … …" and "…. … ,,, a b".', None),
        ('It says "aris is the capital".', 0),
        ("Nothing is quoted.", None),
    ],
)
def test_a_quotation_must_stand_in_the_sources(answer: str, value: float | None) -> None:
    assert score("quoted_spans", answer).value == value


def test_entities_are_names_numbers_and_dates() -> None:
    text = "The city of Paris had 2,102,650 people on 12 May 2020. Cats and the Bank of America paid 45%. I think so."
    assert entities_of(text, "cats") == ["Paris", "2,102,650", "12 May 2020", "Bank of America", "45%"]


def test_entity_recall_looks_for_the_references_entities_in_the_context() -> None:
    scorer = build("context_entity_recall", {})
    assert scorer.score(answered("", reference="Paris has 2102650 people, Rome more.")).value == pytest.approx(2 / 3)
    assert scorer.score(answered("", reference=["Rome", "the Louvre"])).value == 1
    assert scorer.score(answered("", reference="nothing at all")).status == "skipped"
    assert scorer.score(answered("")).status == "skipped"
    given_list = build("context_entity_recall", {"entities": "metadata.entities", "against": "chunks"})
    assert given_list.score(answered("", metadata={"entities": ["louvre", "東京"]})).value == 0.5
    assert given_list.score(answered("", metadata={"entities": "louvre"})).status == "error"
    assert given_list.score(answered("")).status == "skipped"


@pytest.mark.parametrize(
    ("use", "args", "pointer"),
    [
        ("citation_recall", {"bound": 0}, "/args/bound"),
        ("quoted_spans", {"min_words": 0}, "/args/min_words"),
        ("context_entity_recall", {"entities": "entities"}, "/args/entities"),
        ("lexical_grounding", {"against": "prompt"}, "/args/against"),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused(use: str, args: dict[str, Any], pointer: str) -> None:
    with pytest.raises(ScorerConfigError) as raised:
        build(use, args)
    assert raised.value.pointer == pointer


@pytest.mark.parametrize("use", ALL)
@settings(deadline=None)
@given(st.text(st.characters(), max_size=80))
def test_any_answer_gets_a_status(use: str, output: str) -> None:
    result = build(use, {}).score(answered(output, reference=output))
    assert result.status in ("ok", "skipped")


@pytest.mark.parametrize("use", ALL)
@pytest.mark.parametrize(
    "unit", ["word ", ".", ". ", "[1]", "[1] ", '"', '"a b c" ', "“", "A", "Ab ", "1,", "東", "\ud800", "\n", "e\u0301"]
)
def test_a_megabyte_takes_less_than_two_seconds(use: str, unit: str) -> None:
    output = unit * (1_000_000 // len(unit))
    began = time.process_time()
    result = build(use, {}).score(answered(output, reference=output))
    assert time.process_time() - began < 2
    assert result.status in ("ok", "skipped") or "at most" in result.explanation
