"""Published vectors and recorded metrics: the text scorers give exactly these numbers."""

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from evaluators import Sample, ScorerConfigError, build
from evaluators.metrics.corpus import corpus_bleu

_SCORERS = {"rouge1": "rouge_1", "rouge2": "rouge_2", "rougeL": "rouge_l", "rougeLsum": "rouge_lsum"}
_PARTS = {"fmeasure": "f", "precision": "precision", "recall": "recall"}


def vectors(shared_data: Path, metric: str, level: str) -> list[dict[str, Any]]:
    rows = map(json.loads, (shared_data / "scorer_vectors.jsonl").read_text().splitlines())
    return [row for row in rows if (row["metric"], row["level"]) == (metric, level)]


def test_all_published_corpus_bleu_vectors_come_out(shared_data: Path) -> None:
    rows = vectors(shared_data, "BLEU", "corpus")
    assert len(rows) == 18
    for row in rows:
        found = corpus_bleu(row["hypotheses"], row["references"], **row["params"])
        expected = row["expected"].get("score_0_1", row["expected"].get("score", 0) / 100)
        assert found.value == pytest.approx(expected, abs=row["tolerance"]), row
        assert "nrefs" in found.signature


def test_all_published_sentence_bleu_vectors_come_out(shared_data: Path) -> None:
    rows = vectors(shared_data, "BLEU", "sentence")
    assert len(rows) == 16
    for row in rows:
        references = [stream[0] for stream in row["references"]]
        score = build("bleu", row["params"]).score(Sample(output=row["hypotheses"][0], reference=references))
        assert score.value is not None
        assert 100 * score.value == pytest.approx(row["expected"]["score"], abs=row["tolerance"]), row


def test_all_published_rouge_vectors_come_out(shared_data: Path) -> None:
    rows = vectors(shared_data, "ROUGE", "pair")
    assert len(rows) == 24
    for row in rows:
        sample = Sample(output=row["hypotheses"][0], reference=row["references"][0][0])
        for key, expected in row["expected"].items():
            args = {"part": _PARTS[key], "stemmer": row["params"]["use_stemmer"]}
            value = build(_SCORERS[row["params"]["type"]], args).score(sample).value
            assert value == pytest.approx(expected, abs=row["tolerance"]), row


def test_a_parameter_that_is_not_offered_is_refused_and_gives_no_other_number() -> None:
    for use, args in (
        ("bleu", {"force": True}),
        ("bleu", {"tokenize": "ja-mecab"}),
        ("rouge_l", {"split_summaries": True}),
    ):
        with pytest.raises(ScorerConfigError):
            build(use, args)


def test_the_recorded_rouge_l_of_234_answers_is_found_again(shared_data: Path) -> None:
    tasks = list(map(json.loads, (shared_data / "mtrag_rag_responses.jsonl").read_text().splitlines()))
    means = {}
    for model in ("reference", "gpt-4o", "llama-3.1-405b-instruct"):
        samples = [Sample(output=task["outputs"][model]["text"], reference=task["target"]) for task in tasks]
        values = [score.value for score in build("rouge_l").score_batch(samples)]
        recorded = [task["outputs"][model]["recorded_metrics"]["RougeL"] for task in tasks]
        assert values == pytest.approx(recorded, abs=1e-15)
        means[model] = round(fmean(recorded), 4)
    assert means == {"reference": 1.0, "gpt-4o": 0.2917, "llama-3.1-405b-instruct": 0.2933}
