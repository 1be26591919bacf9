"""Cells chosen by what they are about and how they ended, beside each other, and metrics by slice."""

from typing import Any

import httpx2
import pytest

from app.runs import scan
from tests.app.runs.conftest import ASK, QUESTIONS, Model, Project, variant
from tests.app.runs.test_reading import CORRECT, SHOUT, found
from tests.conftest import on_both

SOURCES = ["web", "web", "book", "book", "book", "web"]


async def sliced(project: Project, model: Model, *, repeats: int = 1) -> dict[str, Any]:
    """`ask` repeats six questions; `shout` gives them in capitals, and is right for `q5` alone."""
    await project.question()
    given = [
        {
            "id": f"q{n}",
            "inputs": {"question": text},
            "reference": text,
            "tags": ["even" if n % 2 == 0 else "odd"],
            "metadata": {"source": SOURCES[n], "level": n // 3},
        }
        for n, text in enumerate([*QUESTIONS, "OK?"])
    ]
    await project.make("datasets", "questions", {"items": given})
    endpoint = {"provider": "compatible", "base_url": model.base_url, "model": "dev-echo"}
    await project.make("endpoints", "e1", endpoint)
    near = {"use": "fuzz_ratio", "name": "near"}
    await project.make("suites", "small", {"dataset": "questions", "endpoints": ["e1"], "scorers": [CORRECT, near]})
    messages = [{"role": "user", "content": "{{ question | upper }}"}]
    await project.make("prompts", "shout", {"messages": messages, "variables": {"question": {"type": "string"}}})
    return await project.run(suite="small", candidates=SHOUT, repeats=repeats)


async def test_cells_are_chosen_by_slice_score_speed_and_text(client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(client)
    run = await sliced(project, model)
    path = f"/api/v1/runs/{run['id']}/results"
    shouted = [("c2:e1", f"q{n}") for n in range(5)]
    both = [(v, "q3") for v in ("c1:e1", "c2:e1")]
    expected: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
        ({"slice": "metadata.source=book", "variant": "c1"}, [("c1:e1", f"q{n}") for n in (2, 3, 4)]),
        ({"slice": "metadata.level=1", "tag": "odd", "variant": "c1"}, [("c1:e1", f"q{n}") for n in (3, 5)]),
        ({"slice": "tag=odd", "tag": "even"}, []),
        ({"slice": "metadata.source=film"}, []),
        ({"metric": "near", "min": 0.99, "variant": "c2"}, [("c2:e1", "q5")]),
        ({"metric": "near", "max": 0.99}, shouted),
        ({"metric": "correct", "passed": False, "min": 0, "max": 0}, shouted),
        ({"slower_than_ms": 600_000}, []),
        ({"slower_than_ms": 0, "variant": "c1", "case": "q1"}, [("c1:e1", "q1")]),
        ({"q": "WHO MAY", "q_in": "inputs"}, both),
        ({"q": "who may", "q_in": "any"}, both),
        ({"q": "no such thing", "q_in": "any"}, []),
        ({"error_kind": "timeout"}, []),
        ({"failed": True, "tag": "odd"}, [("c2:e1", "q1"), ("c2:e1", "q3")]),
        ({"failed": True, "variant": "c1"}, []),
        (
            {"flipped_against": "c1", "variant": "c2", "slice": "metadata.source=web"},
            [("c2:e1", "q0"), ("c2:e1", "q1")],
        ),
    ]
    for filters, those in expected:
        assert found(await project.get(path, **filters)) == those, filters


async def test_text_is_found_in_what_a_scorer_explained(client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(client)
    run = await sliced(project, model)
    path = f"/api/v1/runs/{run['id']}/results"
    cells = (await project.get(path))["items"]
    word = "differ"
    explained = [
        (c["variant"], c["case"]) for c in cells if any(word in s["explanation"].lower() for s in c["scores"].values())
    ]
    assert found(await project.get(path, q=word, q_in="explanation")) == explained
    assert found(await project.get(path, q=word, q_in="any")) == explained


async def test_flips_of_repeated_cases_are_those_of_the_comparison(client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(client)
    run = await sliced(project, model, repeats=3)
    compared = await project.get(f"/api/v1/runs/{run['id']}/comparison", candidate="c2", baseline="c1")
    changed = sorted({flip["case"] for flip in compared["flips"]})
    page = await project.get(f"/api/v1/runs/{run['id']}/results", variant="c2", flipped_against="c1")
    assert found(page) == [("c2:e1", case) for case in changed for _ in range(3)]
    assert changed


async def test_a_page_that_runs_out_of_time_is_short_and_goes_on_where_it_stopped(
    client: httpx2.AsyncClient, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(client)
    run = await sliced(project, model, repeats=2)
    path = f"/api/v1/runs/{run['id']}/results"
    for filters in ({"failed": True}, {"q": "IS"}, {"slice": "metadata.source=web"}, {"status": "answered"}):
        whole = found(await project.get(path, **filters))
        with monkeypatch.context() as hurried:
            hurried.setattr(scan, "BUDGET_S", 0.0)
            hurried.setattr(scan, "AT_LEAST", 0)
            hurried.setattr(scan, "LEAST", 1)
            page = await project.get(path, limit=5, **filters)
            seen, pages = found(page), 1
            while page["next_cursor"] is not None:
                page = await project.get(path, limit=5, cursor=page["next_cursor"], **filters)
                seen, pages = seen + found(page), pages + 1
        assert seen == whole, filters
        assert pages > 2


SENSELESS: list[tuple[dict[str, Any], str]] = [
    ({"slice": "source"}, "/slice"),
    ({"slice": "source=web"}, "/slice"),
    ({"min": 0.5}, "/min"),
    ({"max": 0.5}, "/max"),
    ({"q_in": "nowhere"}, "q_in"),
    ({"q": "a\x00b"}, "/q"),
    ({"error_kind": "\x00"}, "/error_kind"),
    ({"cursor": "bm9uc2Vuc2U"}, "/cursor"),
]


async def test_a_slice_that_means_nothing_is_refused(sqlite_client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(sqlite_client)
    run = await sliced(project, model)
    for filters, named in SENSELESS:
        answer = await sqlite_client.get(f"/api/v1/runs/{run['id']}/results", params=filters)
        assert (answer.status_code, named in answer.text) == (400, True), answer.text
    for by in ("source", "metadata.", "metadata.colour"):
        answer = await sqlite_client.get(f"/api/v1/runs/{run['id']}/summary", params={"by": by})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/by"), by


async def test_a_case_shows_all_variants_beside_each_other_and_what_differs(
    client: httpx2.AsyncClient, model: Model
) -> None:
    project = Project(client)
    run = await sliced(project, model)
    path = f"/api/v1/runs/{run['id']}/cases"
    page = await project.get(path, limit=4)
    rest = await project.get(path, limit=4, cursor=page["next_cursor"])
    assert rest["next_cursor"] is None
    cases = page["items"] + rest["items"]
    assert [case["case"] for case in cases] == [f"q{n}" for n in range(6)]
    first = cases[0]
    assert [cell["variant"] for cell in first["cells"]] == ["c1:e1", "c2:e1"]
    assert [cell["answer"]["text"] for cell in first["cells"]] == [QUESTIONS[0], QUESTIONS[0].upper()]
    assert (first["inputs"], first["reference"]) == ({"question": QUESTIONS[0]}, QUESTIONS[0])
    assert first["differs"] == ["answer", "correct", "near"]
    assert cases[5]["differs"] == []
    one = await project.get(path, case="q2", variant="c2")
    assert [cell["variant"] for cell in one["items"][0]["cells"]] == ["c2:e1"]
    books = await project.get(path, slice="metadata.source=book", limit=2)
    more = await project.get(path, slice="metadata.source=book", limit=2, cursor=books["next_cursor"])
    assert [case["case"] for case in books["items"] + more["items"]] == ["q2", "q3", "q4"]


@on_both
@pytest.mark.parametrize("by", ["tag", "metadata.source", "metadata.level"])
async def test_a_summary_by_slice_agrees_with_the_run_and_with_its_cells(
    client: httpx2.AsyncClient, model: Model, by: str
) -> None:
    project = Project(client)
    run = await sliced(project, model)
    summed = await project.get(f"/api/v1/runs/{run['id']}/summary", by=by)
    read = {(s["variant"], s["metric"], s["slice"]): s for s in summed["slices"]}
    for name in ("c1:e1", "c2:e1"):
        for metric, whole in variant(run, name)["metrics"].items():
            alike = ("n", "missing", "mean", "low", "high", "pass_rate", "direction", "unit")
            assert {f: read[name, metric, None][f] for f in alike} == {f: whole[f] for f in alike}
    assert sum(summed["cases"].values()) == 6
    assert all(s["small"] for s in summed["slices"])
    for value, count in summed["cases"].items():
        cells = await project.results(run["id"], variant="c2", slice=f"{by}={value}")
        values = [cell["scores"]["correct"]["value"] for cell in cells]
        one = read["c2:e1", "correct", value]
        assert (one["n"], len(values), one["mean"]) == (count, count, pytest.approx(sum(values) / count))
        assert one["low"] <= one["mean"] <= one["high"]


async def test_what_a_key_may_not_see_cannot_be_sliced_by(sqlite_client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(sqlite_client)
    given = [{"id": "q0", "inputs": {"question": "One?"}, "reference": "One?", "metadata": {"source": "secret source"}}]
    await project.question()
    await project.make("datasets", "questions", {"items": given, "sensitivity": "confidential"})
    await project.make("endpoints", "e1", {"provider": "compatible", "base_url": model.base_url, "model": "dev-echo"})
    await project.make("suites", "small", {"dataset": "questions", "endpoints": ["e1"], "scorers": [CORRECT]})
    run = await project.run(suite="small", candidates=ASK)
    body = {"name": "reader", "role": "reader", "clearance": "public"}
    made = await sqlite_client.post("/api/v1/keys", json=body)
    assert made.status_code == 201, made.text
    headers = {"Authorization": f"Bearer {made.json()['key']}"}
    path = f"/api/v1/runs/{run['id']}"
    for query in ("results?slice=metadata.source=x", "cases?slice=metadata.source=x", "summary?by=metadata.source"):
        answer = await sqlite_client.get(f"{path}/{query}", headers=headers)
        assert answer.status_code == 403, answer.text
    shown = await sqlite_client.get(f"{path}/cases", headers=headers)
    assert shown.status_code == 200, shown.text
    assert "One?" not in shown.text
