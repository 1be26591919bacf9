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

# Types whose definition is ours, which the import says. The least share of rows that come out alike all the same.
OWN_DEFINITION = {"contains-json": 0.7, "is-html": 0.8, "is-sql": 0.8, "is-refusal": 1.0}


def types(row: dict[str, Any]) -> set[str]:
    return {assertion["type"].removeprefix("not-") for assertion in row["assert"]}


EXACT = [row for row in ROWS if not types(row) & OWN_DEFINITION.keys()]


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


@pytest.mark.parametrize("row", EXACT, ids=title)
def test_an_imported_assertion_scores_as_promptfoo_0_123_does(row: dict[str, Any]) -> None:
    scores, losses = scored(row)
    expected = row["expected"]
    if any("there is no scorer" in loss or "there is no argument" in loss for loss in losses):
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
    if any("never fails; it is measured" in loss for loss in losses):
        assert (score.passed, expected["pass"]) == (None, True)
        return
    if score.label == "unparsable" and any("fails here, and passes there" in loss for loss in losses):
        assert (score.passed, expected["pass"]) == (False, True)
        return
    assert score.passed is expected["pass"], score
    if not measure:
        assert score.value == pytest.approx(expected["score"], abs=1e-9), score


@pytest.mark.parametrize("kind", sorted(OWN_DEFINITION))
def test_where_the_definition_is_ours_the_import_says_so_and_most_rows_come_out_alike(kind: str) -> None:
    rows = [row for row in ROWS if kind in types(row)]
    alike = 0
    for row in rows:
        scores, losses = scored(row)
        if any("there is no scorer" in loss for loss in losses):
            pytest.skip(losses[0])
        assert any(f"{kind}` is `" in loss for loss in losses)
        ((score, _),) = scores.values()
        alike += score.passed is row["expected"]["pass"]
    assert alike / len(rows) >= OWN_DEFINITION[kind]


def test_the_table_is_large_and_most_of_it_is_compared() -> None:
    assert len(EXACT) >= 400
    assert {"equals", "contains", "regex", "is-json", "word-count", "levenshtein", "bleu", "assert-set"} <= set().union(
        *map(types, EXACT)
    )
    assert {"assert_set", "contains", "exact_match", "is_json", "json_schema", "length", "regex"} <= set(names())
