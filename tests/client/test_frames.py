"""A run as a table of pandas, against the service itself."""

import sys
from typing import Any

import pandas
import pytest
from promptward import AsyncClient, Client, PromptwardError

ITEMS = [
    {
        "id": f"q{n}",
        "inputs": {"question": f"Question {n}"},
        "reference": f"answer {n}",
        "recorded": {"m": {"text": text}},
    }
    for n, text in enumerate(["answer 0", "wrong", 'a "quoted", long\nline ' + "x" * 20_000])
]
SUITE = {
    "dataset": "d",
    "endpoints": ["m"],
    "scorers": [{"use": "contains", "name": "right"}, {"use": "fuzz_ratio", "name": "text"}],
}
PROMPT = {"messages": [{"role": "user", "content": "{{ question }}"}], "variables": {"question": {"type": "string"}}}


async def made(api: AsyncClient) -> dict[str, Any]:
    await api.prompts.create_version("ask", PROMPT)
    await api.datasets.create_version("d", {"items": ITEMS})
    await api.artifacts("endpoints").create_version("m", {"provider": "replay", "model": "m"})
    await api.artifacts("suites").create_version("s", SUITE)
    return dict(await api.runs.create("s", [{"prompt": "ask"}], repeats=2, wait=60))


async def test_a_frame_holds_every_cell_as_the_results_do(api: AsyncClient) -> None:
    run = await made(api)
    frame = await api.runs.frame(run["id"])
    assert frame.index.names == ["variant", "case", "repeat"]
    results = [result async for result in api.runs.each_result(run["id"])]
    assert list(frame.index) == [(r["variant"], r["case"], r["repeat"]) for r in results]
    for row, result in zip(frame.to_dict("records"), results, strict=True):
        assert result["answer"] is not None
        assert (row["text"], row["status"], row["inputs"]) == (
            result["answer"]["text"],
            result["status"],
            result["inputs"],
        )
        assert (row["right"], row["right.passed"]) == (
            result["scores"]["right"]["value"],
            result["scores"]["right"]["passed"],
        )
        assert row["score.text"] == result["scores"]["text"]["value"]
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert {kinds[n] for n in ("right", "score.text", "cost_usd")} == {"Float64"}
    assert (kinds["right.passed"], kinds["prompt_tokens"], kinds["text"]) == ("boolean", "Int64", "string")
    assert frame["right"].groupby("case").mean().to_dict() == {"q0": 1.0, "q1": 0.0, "q2": 0.0}


async def test_cases_and_slices_are_read_through_the_client(api: AsyncClient) -> None:
    run = await made(api)
    cases = [case async for case in api.runs.each_case(run["id"])]
    assert [(case["case"], len(case["cells"])) for case in cases] == [("q0", 2), ("q1", 2), ("q2", 2)]
    summed = await api.runs.summary(run["id"])
    assert [(s["metric"], s["n"]) for s in summed["slices"]] == [("right", 3), ("text", 3)]


async def test_without_pandas_the_error_says_what_to_install(api: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    run = await made(api)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(PromptwardError, match=r"pip install 'promptward-client\[pandas\]'"):
        await api.runs.frame(run["id"])


def test_the_blocking_client_has_frames_too(served_url: tuple[str, str]) -> None:
    url, key = served_url
    with Client(url, key) as client, pytest.raises(PromptwardError) as caught:
        client.runs.frame("run_none")
    assert caught.value.status == 404
    assert pandas.__version__
