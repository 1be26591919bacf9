"""Calibrations over the API: what is measured, what is refused, what is kept."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.app.llm.canned import completion, http
from tests.app.runs.conftest import Project
from tests.app.runs.endpoint import Body, Endpoint, endpoint

LABELS = {"yes": 1, "no": 0}


async def rubric(project: Project, name: str = "right", base_url: str = "http://127.0.0.1:9/v1", **more: Any) -> None:
    await project.make("endpoints", "judge", {"provider": "compatible", "base_url": base_url, "model": "j"})
    content = {"instructions": "Is it right? {{ inputs.question }}", "endpoint": "judge", "labels": LABELS}
    if "scale" in more:
        del content["labels"]
    await project.make("rubrics", name, content | more)


async def calibrated(
    project: Project, labels: list[dict[str, Any]], name: str = "right", **more: Any
) -> dict[str, Any]:
    path = f"/api/v1/rubrics/{name}/calibrations"
    answer = await project.client.post(path, json={"labels": labels, **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def refused(project: Project, body: dict[str, Any], name: str = "right") -> dict[str, Any]:
    answer = await project.client.post(f"/api/v1/rubrics/{name}/calibrations", json=body)
    assert answer.status_code >= 400, answer.text
    kept = await project.client.get("/api/v1/rubrics/right/calibrations")
    assert kept.json().get("items", []) == []
    return {"status": answer.status_code, **answer.json()}


def recorded(pairs: Sequence[tuple[str, str | None]]) -> list[dict[str, Any]]:
    return [{"id": f"a{n}", "human": human, "judge": judge} for n, (human, judge) in enumerate(pairs)]


FEW = [("yes", "yes")] * 6 + [("yes", "no")] * 2 + [("no", "no")] * 3 + [("no", "yes")]


async def test_recorded_verdicts_are_measured_and_the_calibration_is_kept(project: Project) -> None:
    await rubric(project)
    made = await calibrated(project, recorded(FEW))
    figures = made["figures"]
    assert (made["verdicts"], figures["n"], figures["unjudged"]) == ("recorded", 12, 0)
    assert figures["accuracy"]["value"] == pytest.approx(0.75)
    assert figures["tpr"]["value"] == pytest.approx(6 / 8)
    assert figures["tnr"]["value"] == pytest.approx(3 / 4)
    assert figures["confusion"] == {"labels": ["no", "yes"], "counts": [[3, 1], [2, 6]]}
    assert figures["kappa"]["low"] < figures["kappa"]["value"] < figures["kappa"]["high"]
    assert (figures["human_rate"], figures["judge_rate"]) == (pytest.approx(8 / 12), pytest.approx(7 / 12))
    assert figures["corrected_rate"] == pytest.approx(8 / 12)
    assert await project.get(f"/api/v1/calibrations/{made['id']}") == made
    listed = (await project.get("/api/v1/rubrics/right/calibrations"))["items"]
    assert [(one["id"], one["n"]) for one in listed] == [(made["id"], 12)]
    actions = [entry["action"] for entry in (await project.get("/api/v1/audit"))["items"]]
    assert "rubric.calibrated" in actions


async def test_an_answer_without_a_verdict_is_counted_and_is_in_no_figure(sqlite_project: Project) -> None:
    await rubric(sqlite_project)
    made = await calibrated(sqlite_project, recorded([*FEW, ("yes", None)]))
    assert (made["figures"]["n"], made["figures"]["unjudged"]) == (12, 1)
    assert made["problems"] == {"not recorded": 1}


async def test_verdicts_are_read_as_people_write_them(sqlite_project: Project) -> None:
    await rubric(sqlite_project)
    labels = [
        {"id": "a", "human": True, "judge": "YES "},
        {"id": "b", "human": 0, "judge": "false"},
        {"id": "c", "human": "1", "judge": "no"},
    ]
    made = await calibrated(sqlite_project, labels)
    assert made["figures"]["confusion"]["counts"] == [[1, 0], [1, 1]]


async def test_ordered_labels_are_weighted_by_their_scores_and_a_scale_is_an_interval(sqlite_project: Project) -> None:
    await rubric(sqlite_project, labels={"bad": 0, "fair": 0.5, "good": 1})
    pairs = [("bad", "bad"), ("fair", "good"), ("good", "good"), ("good", "fair"), ("bad", "fair"), ("fair", "fair")]
    ordered = (await calibrated(sqlite_project, recorded(pairs)))["figures"]
    assert (ordered["weighting"], ordered["level"]) == ("quadratic", "ordinal")
    assert ordered["kappa"]["value"] > 0.4
    await rubric(sqlite_project, "stars", scale={"low": 1, "high": 5})
    scaled = [{"id": f"{n}", "human": n % 5 + 1, "judge": min(5, n % 5 + 2)} for n in range(10)]
    figures = (await calibrated(sqlite_project, scaled, "stars"))["figures"]
    assert (figures["weighting"], figures["level"]) == ("quadratic", "interval")
    assert figures["pearson"]["value"] > 0.9


async def test_what_cannot_be_read_is_refused_at_its_place_and_nothing_is_kept(sqlite_project: Project) -> None:
    await rubric(sqlite_project)
    problem = await refused(sqlite_project, {"labels": [{"id": "a", "human": "maybe"}, {"human": "yes"}]})
    assert problem["status"] == 422
    assert [e["pointer"] for e in problem["errors"]] == ["/labels/0/human", "/labels/1"]
    assert "none of the labels no, yes" in problem["errors"][0]["detail"]
    twice = await refused(sqlite_project, {"labels": [{"id": "a", "human": "yes"}] * 2})
    assert "labelled by /labels/0 already" in twice["detail"]
    assert (await refused(sqlite_project, {"labels": []}))["status"] == 422
    assert (await refused(sqlite_project, {}))["status"] == 422
    assert (await refused(sqlite_project, {"labels": recorded(FEW), "ref": "9"}))["errors"][0]["pointer"] == "/ref"
    assert (await refused(sqlite_project, {"labels": recorded(FEW)}, "rigth"))["status"] == 404
    unjudged = await refused(sqlite_project, {"labels": [{"id": "a", "human": "yes"}]})
    assert "neither an `output` to judge nor a recorded `judge`" in unjudged["detail"]


async def test_the_parts_are_stratified_seeded_and_keep_clusters_together(sqlite_project: Project) -> None:
    await rubric(sqlite_project)
    labels = recorded([("yes", "yes")] * 100 + [("no", "no")] * 100)
    made = await calibrated(sqlite_project, labels)
    assert made["splits"] == {"train": 30, "dev": 90, "test": 80}
    test = await calibrated(sqlite_project, labels, split="test", seed=1)
    assert test["figures"]["confusion"]["counts"] == [[40, 0], [0, 40]]
    clustered = [{**label, "cluster": f"c{n // 10}"} for n, label in enumerate(labels)]
    assert all(count % 10 == 0 for count in (await calibrated(sqlite_project, clustered))["splits"].values())


async def test_an_example_of_the_rubric_among_the_answers_is_reported(sqlite_project: Project) -> None:
    await rubric(sqlite_project, examples=[{"output": "It is  8000.", "verdict": "yes"}])
    labels = [
        {"id": "a", "human": "yes", "judge": "yes", "output": "it is 8000.", "split": "test"},
        {"id": "b", "human": "no", "judge": "no", "output": "no idea", "split": "dev"},
    ]
    made = await calibrated(sqlite_project, labels)
    assert made["leaks"] == [{"example": 0, "id": "a", "split": "test"}]
    assert made["examples_checked"] == 1
    train = [{**labels[0], "split": "train"}, labels[1]]
    assert (await calibrated(sqlite_project, train))["leaks"] == []


async def test_a_changed_judge_is_compared_on_the_common_answers(sqlite_project: Project) -> None:
    await rubric(sqlite_project)
    first = await calibrated(sqlite_project, recorded(FEW * 5))
    assert first["drift"] is None
    await rubric(sqlite_project, instructions="Be strict. {{ inputs.question }}", base_url="http://127.0.0.1:10/v1")
    better = [(human, human) for human, _ in FEW * 5]
    made = await calibrated(sqlite_project, [*recorded(better), {"id": "new", "human": "no", "judge": "yes"}])
    drift = made["drift"]
    assert (drift["calibration"], drift["changed"], drift["common"]) == (first["id"], ["rubric", "judge"], 60)
    assert drift["before"] == pytest.approx(first["figures"]["kappa"]["value"])
    assert drift["now"] == 1
    assert drift["difference"]["low"] > 0


# asking the judge


def verdict(label: str) -> bytes:
    return http(200, completion(json.dumps({"reason": "because", "verdict": label})))


def by_question(body: Body) -> bytes:
    text = body["messages"][-1]["content"]
    if "prose" in text:
        return http(200, completion("I rather like it."))
    return verdict("yes" if "even" in text else "no")


@pytest.fixture
async def judge() -> AsyncIterator[Endpoint]:
    async with endpoint(by_question) as made:
        yield made


def unjudged(count: int) -> list[dict[str, Any]]:
    return [
        {"output": f"answer {n}", "inputs": {"question": "even" if n % 2 == 0 else "odd"}, "human": n % 2 == 0}
        for n in range(count)
    ]


async def test_without_recorded_verdicts_the_rubrics_judge_is_asked(project: Project, judge: Endpoint) -> None:
    await rubric(project, base_url=judge.base_url)
    labels = [*unjudged(20), {"output": "x", "inputs": {"question": "prose"}, "human": "yes"}]
    made = await calibrated(project, labels)
    assert (made["verdicts"], made["figures"]["n"], made["figures"]["unjudged"]) == ("asked", 20, 1)
    assert made["figures"]["kappa"]["value"] == 1
    assert made["problems"] == {"unscored": 1}
    assert judge.calls >= 21


async def test_a_judge_that_cannot_be_reached_is_no_calibration(sqlite_project: Project) -> None:
    await rubric(sqlite_project)
    problem = await refused(sqlite_project, {"labels": unjudged(2)})
    assert problem["status"] == 502
    assert "gave no verdict at all" in problem["detail"]


# recorded judgements of real models


def nq(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "nq_open_qa.jsonl").read_text().splitlines()]
    return [
        {
            "id": f"{row['id']} {model}",
            "human": bool(output["human_correct"]),
            "judge": judged["verdict"] if (judged := output.get("gpt4_judge")) else None,
            "cluster": row["id"],
        }
        for row in rows
        for model, output in row["outputs"].items()
    ]


async def test_gpt_4_as_a_judge_of_open_questions_agrees_as_published(
    sqlite_project: Project, shared_data: Path
) -> None:
    await rubric(sqlite_project)
    made = await calibrated(sqlite_project, nq(shared_data))
    figures = made["figures"]
    assert (figures["n"], figures["unjudged"]) == (592, 8)
    assert round(100 * figures["accuracy"]["value"], 2) == 85.98
    assert figures["kappa"]["value"] == pytest.approx(0.6875, abs=5e-5)
    assert figures["confusion"] == {"labels": ["no", "yes"], "counts": [[159, 31], [52, 350]]}
    assert figures["tpr"]["value"] == pytest.approx(350 / 402)


async def test_a_faithfulness_judge_goes_together_with_peoples_ratings_as_recorded(
    sqlite_project: Project, shared_data: Path
) -> None:
    await rubric(sqlite_project, "faithful", scale={"low": 0, "high": 1})
    labels: list[dict[str, Any]] = []
    for line in (shared_data / "mtrag_rag_responses.jsonl").read_text().splitlines():
        row = json.loads(line)
        for model in ("gpt-4o", "llama-3.1-405b-instruct"):
            output = row["outputs"][model]
            ratings = [one["faithfulness"] for one in output["human"] if one["faithfulness"] is not None]
            human = (sum(ratings) / len(ratings) - 1) / 3
            judge = output["recorded_metrics"]["rl_f"]
            labels.append({"id": f"{row['id']} {model}", "human": human, "judge": judge})
    figures = (await calibrated(sqlite_project, labels, "faithful"))["figures"]
    assert figures["n"] == 156
    assert figures["pearson"]["value"] == pytest.approx(0.7648, abs=5e-5)
    assert figures["spearman"]["value"] == pytest.approx(0.7053, abs=5e-5)
    assert figures["pearson"]["low"] < 0.7648 < figures["pearson"]["high"]
