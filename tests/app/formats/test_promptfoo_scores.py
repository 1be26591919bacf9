"""Imported assertions score as promptfoo does: every row of the table was computed by promptfoo 0.123.1 itself.

A row holds a test's assertions with an output, and what `runAssertions` gave: whether it passed, its score, or its error.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from app.formats.service import read
from app.kit.documents import load
from evaluators.contract import Sample, Score
from evaluators.registry import build, names

TABLE = Path(__file__).with_name("promptfoo_0_123.jsonl")
ROWS = [json.loads(line) for line in TABLE.read_text(encoding="utf-8").splitlines()]

# What promptfoo counts as 0 or 1 and we measure: milliseconds, dollars, perplexity.
MEASURED = frozenset({"latency", "cost", "perplexity"})


def scored(row: dict[str, Any]) -> tuple[dict[str, tuple[Score, bool]], list[str]]:
    """The scores of a row by metric, each with whether its value is a measure; and the losses of the import."""
    test = {"vars": row.get("vars", {}), "assert": row["assert"]}
    if "threshold" in row:
        test["threshold"] = row["threshold"]
    config = json.dumps({"prompts": ["x"], "tests": [test]})
    imported = read("promptfoo", {"promptfooconfig.json": config.encode()})
    losses = [loss.what for loss in imported.losses]
    if "datasets/promptfoo.suite.yaml" not in imported.files:
        return {}, losses
    suite = load(str(imported.files["datasets/promptfoo.suite.yaml"])).data
    item = json.loads(imported.files["datasets/promptfoo.jsonl"])
    sample = Sample(
        output=row["output"],
        reference=item.get("reference"),
        inputs=item["inputs"],
        metadata=item.get("metadata", {}),
        latency_ms=row.get("latency"),
        cost_usd=row.get("cost"),
        logprobs=row.get("logprobs"),
        finish_reason=row.get("finish"),
    )
    found = {}
    for entry in suite["scorers"]:
        scorer = build(entry["use"], entry.get("args", {}))
        measure = scorer.value_range.high is None or scorer.value_range.direction == "minimize"
        found[entry.get("name", entry["use"])] = (scorer.score(sample), measure)
    return found, losses


def title(row: dict[str, Any]) -> str:
    shown = json.dumps(row["assert"], ensure_ascii=True)
    return f"{shown[:90]} {row['output'][:20]!a}"


@pytest.mark.parametrize("row", ROWS, ids=title)
def test_an_imported_assertion_scores_as_promptfoo_0_123_does(row: dict[str, Any]) -> None:
    scores, losses = scored(row)
    expected = row["expected"]
    if any("there is no scorer" in loss or "no argument 'profile'" in loss for loss in losses):
        pytest.skip(losses[0])
    if row.get("threshold") == 0:
        assert any("a threshold of 0 never fails" in loss for loss in losses)
        return
    if not scores:
        assert "error" in expected or not expected["pass"] or "look-around" in losses[0], losses
        return
    ((score, measure),) = scores.values()
    if "error" in expected:
        assert score.value is None
        return
    if score.label == "unparsable" and any("fails here, and passes there" in loss for loss in losses):
        assert (score.passed, expected["pass"]) == (False, True)
        return
    assert score.passed is expected["pass"], score
    if not measure:
        assert score.value == pytest.approx(expected["score"], abs=1e-9), score


def test_the_table_is_large_and_most_of_it_is_compared() -> None:
    assert len(ROWS) >= 400
    assert {"equals", "contains", "regex", "is-json", "word-count", "levenshtein", "bleu", "assert-set"} <= {
        assertion["type"].removeprefix("not-") for row in ROWS for assertion in row["assert"]
    }
    assert {"assert_set", "contains", "exact_match", "is_json", "json_schema", "length", "regex"} <= set(names())
