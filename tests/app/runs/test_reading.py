"""What a run gives to read: its cells filtered and page by page, files, comparisons and events."""

import io
import json
from typing import Any

import httpx2
import msgspec
import pandas
import pytest

from tests.app.runs.conftest import ASK, QUESTIONS, Model, Project, small

SHOUT = [{"prompt": "ask"}, {"prompt": "shout"}]
CORRECT = {"use": "exact_match", "name": "correct"}


async def two_prompts(project: Project, model: Model) -> dict[str, Any]:
    """`ask` repeats the question and is right; `shout` gives it in capitals and is right for none but `q5`."""
    await small(project, model, questions=[*QUESTIONS, "OK?"], scorers=[CORRECT, {"use": "latency"}])
    messages = [{"role": "user", "content": "{{ question | upper }}"}]
    variables = {"question": {"type": "string"}}
    await project.make("prompts", "shout", {"messages": messages, "variables": variables})
    return await project.run(suite="small", candidates=SHOUT)


def found(page: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["variant"], item["case"]) for item in page["items"]]


async def test_results_are_filtered_by_all_that_is_given(client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(client)
    run = await two_prompts(project, model)
    path = f"/api/v1/runs/{run['id']}/results"
    right = [("c1:e1", f"q{n}") for n in range(6)]
    wrong = [("c2:e1", f"q{n}") for n in range(5)]
    expected: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
        ({"variant": "c1"}, right),
        ({"variant": "c2:e1", "case": "q3"}, [("c2:e1", "q3")]),
        ({"tag": "odd", "variant": "c1:e1"}, right[1::2]),
        ({"metric": "correct", "passed": False}, wrong),
        ({"failed": True}, wrong),
        ({"failed": False}, [*right, ("c2:e1", "q5")]),
        ({"status": "errored"}, []),
        ({"q": "who may"}, [right[3], wrong[3]]),
        ({"q": "100%"}, []),
        ({"variant": "c2", "flipped_against": "c1", "metric": "correct"}, wrong),
    ]
    for filters, those in expected:
        assert found(await project.get(path, **filters)) == those, filters


async def test_pages_hold_every_cell_once(client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(client)
    run = await two_prompts(project, model)
    path = f"/api/v1/runs/{run['id']}/results"
    seen: list[tuple[str, str]] = []
    page = await project.get(path, limit=5)
    seen += found(page)
    while page["next_cursor"] is not None:
        page = await project.get(path, limit=5, cursor=page["next_cursor"])
        seen += found(page)
    assert seen == [(variant, f"q{n}") for variant in ("c1:e1", "c2:e1") for n in range(6)]


MEANINGLESS: list[tuple[dict[str, Any], str]] = [
    ({"variant": "c9"}, "c1:e1"),
    ({"metric": "korrect"}, "correct"),
    ({"passed": True}, "metric"),
    ({"limit": 501}, "500"),
    ({"cursor": "nonsense"}, "cursor"),
    ({"status": "lost"}, "status"),
]


async def test_a_filter_that_means_nothing_is_refused_with_what_there_is(
    sqlite_client: httpx2.AsyncClient, model: Model
) -> None:
    project = Project(sqlite_client)
    await small(project, model, questions=["One?"], scorers=[CORRECT])
    run = await project.run(suite="small", candidates=ASK)
    for filters, named in MEANINGLESS:
        answer = await sqlite_client.get(f"/api/v1/runs/{run['id']}/results", params=filters)
        assert answer.status_code == 400, answer.text
        assert named in answer.text


async def test_json_lines_lose_nothing(client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(client)
    run = await two_prompts(project, model)
    exported = await client.get(f"/api/v1/runs/{run['id']}/export", params={"format": "jsonl"})
    assert exported.headers["content-disposition"] == f'attachment; filename="{run["id"]}.jsonl"'
    lines = [json.loads(line) for line in exported.text.splitlines()]
    assert lines == (await project.get(f"/api/v1/runs/{run['id']}/results", limit=500))["items"]


async def test_a_spreadsheet_finds_no_formula_in_the_csv(sqlite_client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(sqlite_client)
    texts = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "-1.5", "fine", 'a "quote", a\nline']
    await small(project, model, questions=texts)
    run = await project.run(suite="small", candidates=ASK)
    exported = await sqlite_client.get(f"/api/v1/runs/{run['id']}/export", params={"format": "csv"})
    frame = pandas.read_csv(io.StringIO(exported.text), dtype=str)
    answers = [item["answer"]["text"] for item in await project.results(run["id"])]
    assert [answer.strip() for answer in answers] == [text.strip() for text in texts]
    formulas = 5
    assert list(frame["text"]) == [f"'{text}" for text in answers[:formulas]] + answers[formulas:]
    for column in frame.columns:
        assert not frame[column].dropna().str.match(r"\s*[=+@]").any(), column


async def test_pandas_reads_the_parquet_file(sqlite_client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(sqlite_client)
    run = await two_prompts(project, model)
    exported = await sqlite_client.get(f"/api/v1/runs/{run['id']}/export", params={"format": "parquet"})
    frame = pandas.read_parquet(io.BytesIO(exported.content))
    assert frame.shape[0] == 12
    means = frame.groupby("variant")["correct"].mean()
    assert {name: float(mean) for name, mean in means.items()} == {"c1:e1": 1.0, "c2:e1": pytest.approx(1 / 6)}
    assert set(frame["correct.status"]) == {"ok"}
    assert set(frame["status"]) == {"answered"}


async def test_two_runs_are_compared_case_by_case(client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(client)
    first = await two_prompts(project, model)
    second = await project.run(suite="small", candidates=[{"prompt": "shout"}])
    compared = await project.get(
        f"/api/v1/runs/{second['id']}/comparison", candidate="c1", baseline=f"{first['id']}/c1"
    )
    row = next(m for m in compared["metrics"] if m["metric"] == "correct" and m["slice"] is None)
    assert (row["n"], row["candidate"], row["baseline"]) == (6, pytest.approx(1 / 6), 1.0)
    assert row["difference"] == pytest.approx(-5 / 6)
    assert row["low"] <= row["difference"] <= row["high"]
    assert {(flip["case"], flip["from"], flip["to"]) for flip in compared["flips"]} == {
        (f"q{n}", 1.0, 0.0) for n in range(5)
    }
    within = await project.get(f"/api/v1/runs/{first['id']}/comparison", candidate="c2", baseline="c1")
    same = next(m for m in within["metrics"] if m["metric"] == "correct" and m["slice"] is None)
    assert same == row


async def test_a_comparison_with_nothing_to_compare_says_what_there_is(
    sqlite_client: httpx2.AsyncClient, model: Model
) -> None:
    project = Project(sqlite_client)
    await small(project, model, questions=["One?"])
    run = await project.run(suite="small", candidates=ASK)
    path = f"/api/v1/runs/{run['id']}/comparison"
    none = await sqlite_client.get(path)
    assert (none.status_code, none.json()["errors"][0]["pointer"]) == (422, "/baseline")
    unknown = await sqlite_client.get(path, params={"candidate": "c1", "baseline": "run_none/c1"})
    assert unknown.status_code in (404, 422)
    assert "run_none" in unknown.text


async def test_events_tell_the_progress_and_end_with_done(sqlite_client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(sqlite_client)
    await small(project, model, "dev-echo?latency_ms=400")
    run_id = await project.begin(suite="small", candidates=ASK)
    events = [event async for event in project.events(run_id)]
    assert [name for name, _ in events] == ["progress"] * (len(events) - 1) + ["done"]
    assert len(events) >= 2
    last = events[-1][1]
    assert (last["status"], last["done"], last["total"]) == ("done", 5, 5)
    assert last["variants"] == [{"id": "c1:e1", "done": 5, "total": 5}]
    assert [event async for event in project.events(run_id)][-1][0] == "done"


async def test_a_list_of_runs_goes_from_new_to_old(client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(client)
    await small(project, model, questions=["One?"])
    made = [(await project.run(suite="small", candidates=ASK))["id"] for _ in range(3)]
    page = await project.get("/api/v1/runs", limit=2)
    rest = await project.get("/api/v1/runs", limit=2, cursor=page["next_cursor"])
    assert [run["id"] for run in (*page["items"], *rest["items"])] == made[::-1]
    assert rest["next_cursor"] is None
    assert [cells_of["cells"]["cached"] for cells_of in page["items"]] == [1, 1]
    assert (await project.get("/api/v1/runs", status="failed"))["items"] == []
    assert len((await project.get("/api/v1/runs", suite="small"))["items"]) == 3


async def test_a_run_that_does_not_exist_is_a_404_everywhere(sqlite_client: httpx2.AsyncClient) -> None:
    for path in ("", "/results", "/comparison", "/export", "/events"):
        answer = await sqlite_client.get(f"/api/v1/runs/run_none{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json"), path
        assert "run_none" in msgspec.json.decode(answer.content)["detail"]
    for verb in ("cancel", "resume", "rescore"):
        assert (await sqlite_client.post(f"/api/v1/runs/run_none/{verb}", json={})).status_code == 404
