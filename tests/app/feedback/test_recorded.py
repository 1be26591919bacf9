"""702 ratings that real people gave, time-stamped, through the API."""

import json
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.feedback.schemas import Scale, Tally
from app.gates.rollout.judge import judge_rollout
from tests.app.feedback.conftest import People
from tests.app.gates.test_rollout import policy
from tests.conftest import on_both

VERSIONS = {"reference": 1, "gpt-4o": 2, "llama-3.1-405b-instruct": 3}
NUMBERS = ("naturalness", "appropriateness", "completeness", "faithfulness", "win_rate")


def recorded(shared_data: Path) -> list[dict[str, object]]:
    lines = (shared_data / "mtrag_human_feedback_events.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert [e["timestamp"] for e in found] == sorted(e["timestamp"] for e in found)
    return found


@on_both
async def test_posted_in_their_order_the_summary_reproduces_the_published_means(
    people: People, shared_data: Path
) -> None:
    for n in range(3):
        messages = [{"role": "user", "content": f"version {n + 1}: {{{{ question }}}}"}]
        content = {"messages": messages, "variables": {"question": {"type": "string"}}}
        await people.client.post("/api/v1/prompts/mtrag/versions", json={"content": content})
    ratings = [
        {
            "id": f"{event['task_id']} {event['model']}",
            "prompt": f"mtrag@{VERSIONS[str(event['model'])]}",
            "rater": event["annotator"],
            "signal": name,
            "value": event[name],
        }
        for event in recorded(shared_data)
        for name in NUMBERS
        if event[name] is not None
    ]
    for start in range(0, len(ratings), 500):
        await people.rate(ratings[start : start + 500])
    rows = {(r["key"], r["signal"]): r for r in (await people.get("/feedback/summary", prompt="mtrag"))["items"]}
    found = {model: rows[f"mtrag@{version}", "faithfulness"] for model, version in VERSIONS.items()}
    assert {model: (row["n"], round(row["mean"], 4)) for model, row in found.items()} == {
        "reference": (229, 3.4498),
        "gpt-4o": (231, 3.0476),
        "llama-3.1-405b-instruct": (231, 2.9870),
    }
    assert all(row["low"] < row["mean"] < row["high"] and row["raters"] >= 6 for row in found.values())
    assert len(rows) == 15


def test_the_two_models_cannot_be_told_apart_by_these_ratings(shared_data: Path) -> None:
    """One vote per annotator and task, faithfulness on its scale of 1 to 4, margin five points."""
    counted: defaultdict[tuple[str, float], int] = defaultdict(int)
    for event in recorded(shared_data):
        if event["model"] != "reference" and event["faithfulness"] is not None:
            counted[str(event["model"]), float(str(event["faithfulness"]))] += 1
    arms = {"gpt-4o": "candidate", "llama-3.1-405b-instruct": "baseline"}
    name = Scale("faithfulness", 1.0, 4.0).name
    tallies = [
        Tally(0, arms[model], name, round(100 * (value - 1) / 3), n, n * (value - 1) / 3, n * ((value - 1) / 3) ** 2)  # type: ignore[arg-type]
        for (model, value), n in counted.items()
    ]
    rule = {"feedback": {"signal": "faithfulness", "no_worse_by": 0.05, "range": [1, 4]}}
    now = datetime(2024, 10, 15, tzinfo=UTC)
    verdict = judge_rollout(policy(rule), tallies, {0: 0.5}, share=0.5, started_at=now, now=now)
    [found] = verdict.rules
    assert (verdict.action, found.verdict, found.n_candidate, found.n_baseline) == ("hold", "inconclusive", 231, 231)
    assert found.estimate == pytest.approx((3.0476 - 2.9870) / 3, abs=1e-4)
    assert (found.low, found.high) == (pytest.approx(FIGURES[0], abs=1e-3), pytest.approx(FIGURES[1], abs=1e-3))
    assert found.flip_cost is not None
    assert (found.flip_cost.removal, found.flip_cost.reversal) == FIGURES[2:]


FIGURES = (-0.0825, 0.1372, 10, 7)
