"""Labels that are drawn from runs, or are there already in feedback and datasets."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.calibration.drawing import draw
from tests.app.calibration.test_calibrations import rubric
from tests.app.llm.canned import completion, http
from tests.app.runs.conftest import Project
from tests.app.runs.endpoint import Body, endpoint


@settings(max_examples=100)
@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=40), st.integers(1, 50), st.integers(0, 100))
def test_exactly_as_many_are_drawn_as_asked_with_probabilities_that_sum_to_it(
    sizes: list[float], n: int, seed: int
) -> None:
    drawn = draw(sizes, n, seed)
    assert len({one.place for one in drawn}) == len(drawn) == min(n, len(sizes))
    assert all(0 < one.probability <= 1 for one in drawn)
    assert draw(sizes, n, seed) == drawn


def test_answers_are_drawn_as_often_as_their_probability_says_so_that_weights_make_up_for_it() -> None:
    sizes = [0.1] * 80 + [1.0] * 20
    counts, estimates = [0] * 100, []
    for seed in range(2000):
        drawn = draw(sizes, 10, seed)
        for one in drawn:
            counts[one.place] += 1
        estimates.append(sum(1 / one.probability for one in drawn if one.place >= 80))
    assert sum(counts[:80]) / 80 / 2000 == pytest.approx(10 * 0.1 / 28, rel=0.1)
    assert sum(counts[80:]) / 20 / 2000 == pytest.approx(10 * 1.0 / 28, rel=0.05)
    assert sum(estimates) / 2000 == pytest.approx(20, rel=0.02)


async def judged(project: Project, count: int = 20) -> dict[str, Any]:
    """A run whose judge is divided on every fourth question, and says yes to all others."""
    votes: dict[str, int] = {}

    def answer(body: Body) -> bytes | str:
        text = str(body["messages"][-1]["content"])
        if "The mark is" not in text:
            return text
        number = int(text.split("question ")[1].split()[0])
        votes[str(number)] = votes.get(str(number), 0) + 1
        label = "no" if number % 4 == 0 and votes[str(number)] == 1 else "yes"
        return http(200, completion(json.dumps({"reason": "because", "verdict": label})))

    async with endpoint(answer) as model:
        await rubric(project, "good", base_url=model.base_url, instructions="{{ inputs.question }} - good?", votes=3)
        scorers: list[dict[str, Any]] = [
            {"use": "rubric", "name": "good", "args": {"rubric": "good"}},
            {"use": "length", "name": "words"},
        ]
        await project.suite(model, count, scorers=scorers)
        return await project.run()


async def drawn(project: Project, **asked: Any) -> dict[str, Any]:
    answer = await project.client.post("/api/v1/rubrics/good/label-queue", json=asked)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def label(project: Project, item: str, human: Any, status: int = 200) -> dict[str, Any]:
    answer = await project.client.put(f"/api/v1/rubrics/good/label-queue/{item}", json={"human": human})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def test_answers_are_drawn_labelled_and_calibrated_by_with_their_weights(project: Project) -> None:
    run = await judged(project)
    queue = await drawn(project, run=run["id"], n=8, by="disagreement")
    assert (queue["of"], queue["n"], queue["labelled"], queue["metric"]) == (20, 8, 0, "good")
    items = (await project.get("/api/v1/rubrics/good/label-queue"))["items"]
    assert len(items) == 8
    assert all(item["judge"] is None and item["output"] and item["inputs"] for item in items)
    divided = [item["probability"] for item in items if int(item["case"][1:]) % 4 == 0]
    agreed = [item["probability"] for item in items if int(item["case"][1:]) % 4]
    assert divided
    assert not agreed or max(agreed) < min(divided)
    for n, item in enumerate(items[:6]):
        kept = await label(project, item["item"], "yes" if n % 2 else "no")
        assert kept["judge"] == "yes"
    assert len((await project.get("/api/v1/rubrics/good/label-queue", labelled=False))["items"]) == 2
    made = await project.client.post("/api/v1/rubrics/good/calibrations", json={"queue": queue["id"]})
    assert made.status_code == 201, made.text
    figures = made.json()["figures"]
    weights = [1 / item["probability"] for item in items[:6]]
    assert figures["n"] == 6
    assert figures["accuracy"]["value"] == pytest.approx(sum(weights[1::2]) / sum(weights))
    assert figures["accuracy"]["method"] in ("bootstrap", None)


async def test_a_label_can_be_taken_back_and_what_is_no_verdict_is_refused(sqlite_project: Project) -> None:
    run = await judged(sqlite_project, 4)
    queue = await drawn(sqlite_project, run=run["id"], n=50)
    assert queue["n"] == 4
    item = f"{queue['id']}-0"
    assert (await label(sqlite_project, item, True))["human"] == "yes"
    assert (await label(sqlite_project, item, None))["human"] is None
    assert "none of the labels" in (await label(sqlite_project, item, "maybe", 422))["detail"]
    await label(sqlite_project, f"{queue['id']}-99", "yes", 404)
    await label(sqlite_project, "nothing", "yes", 404)
    empty = await sqlite_project.client.post("/api/v1/rubrics/good/calibrations", json={"queue": queue["id"]})
    assert (empty.status_code, "no answer" in empty.json()["detail"]) == (422, True)
    for body, pointer in (
        ({"run": "run_x"}, "/run"),
        ({"run": run["id"], "metric": "tone"}, "/metric"),
        ({"run": run["id"], "against": "tone"}, "/against"),
        ({"run": run["id"], "variant": "c9"}, "/run"),
    ):
        wrong = await sqlite_project.client.post("/api/v1/rubrics/good/label-queue", json=body)
        assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_labels_come_from_a_datasets_metadata(sqlite_project: Project) -> None:
    await rubric(sqlite_project)
    items = [
        {
            "id": f"q{n}",
            "inputs": {"question": f"{n}?"},
            "cluster": f"c{n // 2}",
            "metadata": {"people": "yes" if n % 2 else "no", "gpt": "yes" if n % 3 else "no"} if n else {},
        }
        for n in range(13)
    ]
    await sqlite_project.make("datasets", "d", {"items": items})
    source = {"dataset": "d", "human": "people", "judge": "gpt"}
    made = await sqlite_project.client.post("/api/v1/rubrics/right/calibrations", json={"dataset": source})
    assert made.status_code == 201, made.text
    read = made.json()
    assert (read["figures"]["n"], read["problems"]) == (12, {"no label": 1})
    assert read["figures"]["accuracy"]["method"] == "bootstrap"  # two items of a cluster are not independent
    for wrong, pointer in (
        (source | {"dataset": "e"}, "/dataset/dataset"),
        (source | {"human": "x"}, "/dataset/human"),
    ):
        answer = await sqlite_project.client.post("/api/v1/rubrics/right/calibrations", json={"dataset": wrong})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_labels_come_from_what_people_said_of_served_answers(sqlite_project: Project) -> None:
    def judge(body: Body) -> bytes:
        text = body["messages"][-1]["content"]
        return http(200, completion(json.dumps({"reason": "r", "verdict": "no" if "bad" in text else "yes"})))

    async with endpoint(judge) as model:
        await rubric(sqlite_project, base_url=model.base_url)
        await sqlite_project.question()
        said = [("fine", [1]), ("bad", [0]), ("bad", [1, 1, 0]), ("fine", [1, 0]), ("fine", [1])]
        for n, (output, thumbs) in enumerate(said):
            logged = await sqlite_project.client.post(
                "/api/v1/inferences", json={"prompt": "ask@1", "output": output, "variables": {"question": f"{n}"}}
            )
            for rater, value in enumerate(thumbs):
                rating = {"inference_id": logged.json()["id"], "signal": "thumbs", "value": value, "rater": f"r{rater}"}
                if n == 4:
                    rating["correction"] = "finer"
                kept = await sqlite_project.client.post("/api/v1/feedback", json=rating)
                assert kept.status_code == 201, kept.text
        source: dict[str, Any] = {"prompt": "ask", "signal": "thumbs"}
        made = await sqlite_project.client.post("/api/v1/rubrics/right/calibrations", json={"feedback": source})
        assert made.status_code == 201, made.text
        read = made.json()
        assert (read["verdicts"], read["problems"]) == ("asked", {"raters are divided": 1})
        assert read["figures"]["confusion"] == {"labels": ["no", "yes"], "counts": [[1, 0], [1, 2]]}
        corrected = await sqlite_project.client.post(
            "/api/v1/rubrics/right/calibrations", json={"feedback": source | {"corrected": "no"}}
        )
        assert corrected.json()["figures"]["confusion"]["counts"] == [[1, 1], [1, 1]]
