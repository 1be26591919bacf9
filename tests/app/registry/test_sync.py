import asyncio
import base64
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.registry.sync.service import dependencies_first
from tests.app.registry.api import ENDPOINT, got, items_of, made, path, problem, prompt

ROOT = Path(__file__).parents[3]
FILES = {
    "promptward.yaml": """\
project: tiny
endpoints:
  dev/one: {provider: openai, model: m}
gate_policies:
  strict:
    rules:
      - {metric: exact_match, floor: 0.5}
environments:
  production:
    prompts:
      docs/answer: {suites: [qa], policy: strict}
""",
    "prompts/docs/answer.prompt.yaml": """\
description: Answers
messages:
  - {role: system, content: "{{ context }}"}
  - {role: user, content: "{{ question }}"}
variables:
  question: {}
  context: {default: ""}
rag: docs/answer
""",
    "prompts/docs/answer.rag.yaml": "corpus: docs\n",
    "prompts/judge.rubric.yaml": "instructions: Is it right?\nendpoint: dev/one\nlabels: {right: 1, wrong: 0}\n",
    "datasets/docs.jsonl": '{"id": "a", "inputs": {"text": "x"}}\n',
    "datasets/docs.md": "# Where it comes from\n",
    "datasets/qa.csv": "id,question,reference\nq1,why?,because\n",
    "datasets/qa.suite.yaml": "dataset: qa\nendpoints: [dev/one]\nscorers: [{use: exact_match}]\npolicy: strict\n",
}


def packed(files: dict[str, str | bytes]) -> list[dict[str, str]]:
    return [
        {"path": p, "text": c} if isinstance(c, str) else {"path": p, "base64": base64.b64encode(c).decode()}
        for p, c in files.items()
    ]


async def sync(client: httpx2.AsyncClient, mode: str, files: dict[str, Any] = FILES, **more: Any) -> dict[str, Any]:
    answer = await client.post("/api/v1/sync", json={"mode": mode, "files": packed(files), **more})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def actions(result: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(i["kind"], i["name"]): i["action"] for i in result["items"]}


def changed(result: dict[str, Any]) -> dict[tuple[str, str], tuple[str, str]]:
    return {(i["kind"], i["name"]): (i["action"], i["reason"]) for i in result["items"] if i["action"] != "unchanged"}


async def test_a_folder_becomes_versions_what_others_refer_to_first(client: httpx2.AsyncClient) -> None:
    result = await sync(client, "apply", message="first", commit="abc123")
    assert {(i["action"], i["version"], i["from_version"]) for i in result["items"]} == {("create", 1, None)}
    order = [(i["kind"], i["name"]) for i in result["items"]]
    assert sorted(order) == [
        ("datasets", "docs"),
        ("datasets", "qa"),
        ("endpoints", "dev/one"),
        ("gate-policies", "strict"),
        ("prompts", "docs/answer"),
        ("rag-configs", "docs/answer"),
        ("rubrics", "judge"),
        ("suites", "qa"),
    ]
    for first, later in (
        (("datasets", "docs"), ("rag-configs", "docs/answer")),
        (("rag-configs", "docs/answer"), ("prompts", "docs/answer")),
        (("gate-policies", "strict"), ("suites", "qa")),
    ):
        assert order.index(first) < order.index(later)
    assert (result["mode"], result["project"], result["ignored"]) == ("apply", "tiny", [])
    assert result["environments"]["production"]["prompts"] == {"docs/answer": {"suites": ["qa"], "policy": "strict"}}
    stored = await got(client, path("prompts", "docs/answer", "versions", "1"))
    assert (stored["message"], stored["source"]) == (
        "first",
        {"via": "sync", "path": "prompts/docs/answer.prompt.yaml", "commit": "abc123"},
    )
    assert (await got(client, path("datasets", "docs")))["description"] == "# Where it comes from"
    items = await items_of(client, path("datasets", "qa", "versions", "1", "items"))
    assert [(i["id"], i["inputs"], i["reference"]) for i in items] == [("q1", {"question": "why?"}, "because")]


async def test_a_plan_says_what_apply_then_does_and_changes_nothing(client: httpx2.AsyncClient) -> None:
    planned = await sync(client, "plan")
    assert await items_of(client, "/api/v1/prompts") == []
    applied = await sync(client, "apply")
    assert planned["items"] == applied["items"]
    again = await sync(client, "plan")
    assert set(actions(again).values()) == {"unchanged"}
    assert {i["version"] for i in again["items"]} == {1}


async def test_a_change_makes_new_versions_of_its_dependents_and_says_why(client: httpx2.AsyncClient) -> None:
    await sync(client, "apply")
    more = {**FILES, "datasets/docs.jsonl": FILES["datasets/docs.jsonl"] + '{"id": "b", "inputs": {"text": "y"}}\n'}
    for mode in ("plan", "apply"):
        assert changed(await sync(client, mode, more)) == {
            ("datasets", "docs"): ("update", "items changed"),
            ("rag-configs", "docs/answer"): ("update", "dataset docs changed"),
            ("prompts", "docs/answer"): ("update", "RAG config docs/answer changed"),
        }
    prompt_version = await got(client, path("prompts", "docs/answer", "versions", "2"))
    config = await got(client, path("rag-configs", "docs/answer", "versions", "2"))
    assert prompt_version["pins"] == {"/rag": config["digest"]}
    back = await sync(client, "apply")
    assert {i["version"] for i in back["items"] if i["action"] == "update"} == {3}, "a revert is history"


async def test_drafts_are_kept_by_digest_and_make_no_versions(client: httpx2.AsyncClient) -> None:
    await sync(client, "apply")
    edited = {
        **FILES,
        "prompts/docs/answer.prompt.yaml": FILES["prompts/docs/answer.prompt.yaml"].replace("Answers", "Answers well"),
        "prompts/new.prompt.yaml": "messages: [{role: user, content: x}]\n",
        "datasets/qa.csv": FILES["datasets/qa.csv"] + "q2,who?,me\n",
    }
    result = await sync(client, "draft", edited)
    assert changed(result) == {
        ("prompts", "docs/answer"): ("update", "description changed"),
        ("prompts", "new"): ("create", "new"),
        ("datasets", "qa"): ("update", "items changed"),
        ("suites", "qa"): ("update", "dataset qa changed"),
    }
    assert {i["version"] for i in result["items"] if i["action"] != "unchanged"} == {None}
    for item in result["items"]:
        url = path(item["kind"], item["name"], "diff")
        if item["action"] == "update":
            assert (await got(client, url, **{"from": 1, "to": item["digest"]}))["to"] == item["digest"]
    draft = next(i for i in result["items"] if (i["kind"], i["name"]) == ("datasets", "qa"))
    assert len(await items_of(client, path("datasets", "qa", "versions", draft["digest"], "items"))) == 2
    assert [a["name"] for a in await items_of(client, "/api/v1/prompts")] == ["docs/answer"]
    assert (await got(client, path("prompts", "docs/answer")))["version"] == 1
    assert (await sync(client, "draft", edited))["items"] == result["items"]


async def test_prune_archives_what_a_sync_made_and_no_file_declares(client: httpx2.AsyncClient) -> None:
    await sync(client, "apply")
    await made(client, "prompts", "by-hand", prompt())
    fewer = {p: c for p, c in FILES.items() if p != "prompts/judge.rubric.yaml"}
    assert changed(await sync(client, "apply", fewer)) == {}
    for mode in ("plan", "apply"):
        assert changed(await sync(client, mode, fewer, prune=True)) == {
            ("rubrics", "judge"): ("archive", "its file is gone")
        }
    assert await items_of(client, "/api/v1/rubrics") == []
    assert [a["name"] for a in await items_of(client, "/api/v1/rubrics", archived=True)] == ["judge"]
    assert [a["name"] for a in await items_of(client, "/api/v1/prompts")] == ["by-hand", "docs/answer"]
    assert (await got(client, path("rubrics", "judge", "versions", "1")))["version"] == 1, "versions stay"
    assert changed(await sync(client, "apply", fewer, prune=True)) == {}
    restored = await sync(client, "apply")
    assert changed(restored) == {("rubrics", "judge"): ("update", "it was archived and is in use again")}
    assert [a["version"] for a in await items_of(client, "/api/v1/rubrics")] == [1]


async def test_what_carries_an_environments_label_is_not_pruned(client: httpx2.AsyncClient, app: Any) -> None:
    from app.registry.service import Registry

    await sync(client, "apply")
    async with app.litestar.state.sessions.begin() as session:
        await Registry(session, "default").labels.move_protected("prompt", "docs/answer", "production", 1, "release")
    fewer = {p: c for p, c in FILES.items() if "prompt.yaml" not in p}
    fewer["promptward.yaml"] = FILES["promptward.yaml"].partition("environments")[0]
    assert actions(await sync(client, "plan", fewer, prune=True))["prompts", "docs/answer"] == "conflict"
    answer = await client.post("/api/v1/sync", json={"mode": "apply", "files": packed(fewer), "prune": True})
    assert problem(answer)[:2] == (409, "conflict")
    assert [a["name"] for a in await items_of(client, "/api/v1/prompts")] == ["docs/answer"]


async def test_what_was_changed_elsewhere_since_is_a_conflict_and_not_overwritten(client: httpx2.AsyncClient) -> None:
    await sync(client, "apply")
    ours = {**FILES, "prompts/judge.rubric.yaml": FILES["prompts/judge.rubric.yaml"].replace("right?", "wrong?")}
    rubric = {"instructions": "Edited by hand", "endpoint": "dev/one", "labels": {"right": 1, "wrong": 0}}
    await made(client, "rubrics", "judge", rubric)
    for files in (FILES, ours):
        result = await sync(client, "plan", files)
        (key, (action, reason)) = next(iter(changed(result).items()))
        assert (key, action) == (("rubrics", "judge"), "conflict")
        assert "version 2 was made outside of the files" in reason
        answer = await client.post("/api/v1/sync", json={"mode": "apply", "files": packed(files)})
        assert problem(answer) == (409, "conflict", ["prompts/judge.rubric.yaml"])
    theirs = {
        **FILES,
        "prompts/judge.rubric.yaml": FILES["prompts/judge.rubric.yaml"].replace("Is it right?", "Edited by hand"),
    }
    assert changed(await sync(client, "plan", theirs)) == {}
    assert changed(await sync(client, "apply", ours, force=True)) == {
        ("rubrics", "judge"): ("update", "instructions changed")
    }
    assert (await got(client, path("rubrics", "judge")))["content"]["instructions"] == "Is it wrong?"


async def test_a_name_that_no_sync_made_yet_is_taken_over(client: httpx2.AsyncClient) -> None:
    await made(client, "endpoints", "dev/one", ENDPOINT)
    assert changed(await sync(client, "apply"))["endpoints", "dev/one"] == ("update", "model changed")


async def test_references_prefer_the_files_and_fall_back_to_the_registry(client: httpx2.AsyncClient) -> None:
    old = await made(client, "datasets", "docs", {"items": [{"id": "old", "inputs": {"text": "old"}}]})
    await made(client, "tool-configs", "t", {"tools": [{"function": {"name": "f"}}]})
    files = {
        "prompts/new.rag.yaml": "corpus: docs\n",
        "prompts/old.rag.yaml": "corpus: docs@1\n",
        "prompts/p.prompt.yaml": "messages: [{role: user, content: x}]\ntools: t\n",
        "datasets/docs.jsonl": FILES["datasets/docs.jsonl"],
    }
    result = await sync(client, "apply", files)
    digests = {(i["kind"], i["name"]): i["digest"] for i in result["items"]}
    assert (await got(client, path("rag-configs", "new", "versions", "1")))["pins"] == {
        "/corpus": digests["datasets", "docs"]
    }
    assert (await got(client, path("rag-configs", "old", "versions", "1")))["pins"] == {"/corpus": old["digest"]}


async def test_free_labels_in_a_file_are_put_on_its_version(client: httpx2.AsyncClient) -> None:
    files = {"prompts/p.prompt.yaml": "labels: [staging]\nmessages: [{role: user, content: x}]\n"}
    await sync(client, "apply", files)
    assert (await got(client, path("prompts", "p")))["labels"] == {"staging": 1}
    assert changed(await sync(client, "plan", files)) == {}
    files["prompts/p.prompt.yaml"] = files["prompts/p.prompt.yaml"].replace("staging", "beta")
    assert changed(await sync(client, "apply", files)) == {("prompts", "p"): ("update", "label beta moves here")}
    assert (await got(client, path("prompts", "p")))["labels"] == {"beta": 1, "staging": 1}
    assert (await got(client, path("prompts", "p")))["version"] == 1


async def test_the_project_file_may_move_the_folders(client: httpx2.AsyncClient) -> None:
    files = {
        "promptward.yaml": "folders: {prompts: src/prompts, datasets: src/data}\n",
        "src/prompts/a/b.prompt.yaml": "messages: [{role: user, content: x}]\n",
        "src/data/d.jsonl": '{"inputs": {}}\n',
        "src/data/README.md": "about this folder",
        "src/prompts/notes.txt": "notes",
        "elsewhere/c.prompt.yaml": "messages: [{role: user, content: x}]\n",
    }
    result = await sync(client, "plan", files)
    assert sorted(actions(result)) == [("datasets", "d"), ("prompts", "a/b")]
    assert sorted(i["path"] for i in result["ignored"]) == [
        "elsewhere/c.prompt.yaml",
        "src/data/README.md",
        "src/prompts/notes.txt",
    ]


PROMPT = "prompts/p.prompt.yaml"


@pytest.mark.parametrize(
    ("files", "pointers", "words"),
    [
        ({PROMPT: ""}, [PROMPT], "the file is empty"),
        ({PROMPT: "messages: [\n"}, [PROMPT], "line 2"),
        ({PROMPT: "messages: []\nmessages: []\n"}, [PROMPT], "line 2, column 1: the key 'messages'"),
        ({PROMPT: "just text"}, [f"{PROMPT}#"], "a mapping is expected"),
        ({PROMPT: b"messages: \xff"}, [PROMPT], "line 1: byte 10 is not UTF-8"),
        (
            {PROMPT: "messages:\n  - role: user\n    content: '{{ x }}'\n"},
            [f"{PROMPT}#/messages/0/content"],
            "line 3: the variable 'x' is used but not declared",
        ),
        ({PROMPT: "messages: [{role: user, content: x}]\nragg: r\n"}, [f"{PROMPT}#/ragg"], "line 2: "),
        (
            {PROMPT: "messages: [{role: user, content: x}]\nrag: r\n"},
            [f"{PROMPT}#/rag"],
            "line 2: there is no RAG config 'r'",
        ),
        ({PROMPT: "messages: [{role: user, content: x}]\nlabels: [Latest]\n"}, [f"{PROMPT}#/labels/0"], "no label"),
        ({"prompts/p.prompt.yml": "messages: []"}, ["prompts/p.prompt.yml"], "names end in"),
        ({"prompts/a b.prompt.yaml": "messages: [{role: user, content: x}]"}, ["prompts/a b.prompt.yaml"], "'a b'"),
        ({"prompts/d.jsonl": '{"inputs": {}}'}, ["prompts/d.jsonl"], "lies in datasets/"),
        ({"../p.prompt.yaml": "x"}, ["../p.prompt.yaml"], "relative"),
        ({"/etc/p.prompt.yaml": "x"}, ["/etc/p.prompt.yaml"], "relative"),
        ({"prompts\\p.prompt.yaml": "x"}, ["prompts\\p.prompt.yaml"], "relative"),
        (
            {
                "prompts/A.rag.yaml": "corpus: d",
                "prompts/a.rag.yaml": "corpus: d",
                "datasets/d.jsonl": '{"inputs": {}}',
            },
            ["prompts/a.rag.yaml#"],
            "differ only by case",
        ),
        (
            {"datasets/d.jsonl": '{"inputs": {}}', "datasets/d.csv": "q\nx\n"},
            ["datasets/d.jsonl#"],
            "declared in datasets/d.csv already",
        ),
        ({"datasets/d.jsonl": ""}, ["datasets/d.jsonl#"], "0 bytes"),
        ({"datasets/d.jsonl": '{"inputs": {}}\n{"input": {}}'}, ["datasets/d.jsonl#/2/input"], "line 2: input: "),
        ({"datasets/d.parquet": b"PAR1"}, ["datasets/d.parquet#"], "not Parquet"),
        ({"promptward.yaml": "projekt: x"}, ["promptward.yaml#/projekt"], "did you mean `project`?"),
        ({"promptward.yaml": "a: [\n"}, ["promptward.yaml"], "line 2"),
        (
            {"promptward.yaml": "endpoints:\n  e:\n    provider: openai\n    modle: m\n"},
            ["promptward.yaml#/endpoints/e/modle"],
            "line 4: ",
        ),
        ({"promptward.yaml": "folders: {prompts: ../up}"}, ["promptward.yaml#/folders/prompts"], "inside the project"),
        (
            {"promptward.yaml": "environments:\n  production:\n    prompts:\n      p: {suites: [s]}\n"},
            [
                "promptward.yaml#/environments/production/prompts/p",
                "promptward.yaml#/environments/production/prompts/p/suites/0",
            ],
            "line 4: there is no prompt 'p'",
        ),
        ({"promptward.yaml": "environments: {Prod: {}}"}, ["promptward.yaml#/environments/Prod"], "lower-case"),
    ],
)
async def test_a_fault_is_named_with_file_place_and_fix(
    sqlite_client: httpx2.AsyncClient, files: dict[str, Any], pointers: list[str], words: str
) -> None:
    answer = await sqlite_client.post("/api/v1/sync", json={"mode": "plan", "files": packed(files)})
    assert problem(answer) == (422, "invalid-content", pointers)
    assert words in " ".join(e["detail"] for e in answer.json()["errors"])


async def test_one_fault_anywhere_and_nothing_is_stored_but_all_faults_are_named(client: httpx2.AsyncClient) -> None:
    broken = {
        **FILES,
        "prompts/x.prompt.yaml": "messages: [{role: user, content: '{{ y }}'}]\n",
        "datasets/docs.jsonl": '{"id": "a", "inputs": 3}\n',
        "prompts/z.rag.yaml": "corpus: nowhere\n",
    }
    for mode in ("apply", "draft"):
        answer = await client.post("/api/v1/sync", json={"mode": mode, "files": packed(broken)})
        assert problem(answer)[:2] == (422, "invalid-content")
        assert sorted(problem(answer)[2]) == [
            "datasets/docs.jsonl#/1/inputs",
            "prompts/x.prompt.yaml#/messages/0/content",
            "prompts/z.rag.yaml#/corpus",
        ], "what depends on a broken file is not reported too"
    for kind in ("prompts", "datasets", "endpoints", "suites"):
        assert await items_of(client, f"/api/v1/{kind}") == []


def test_an_order_puts_what_is_needed_first_and_a_cycle_is_named() -> None:
    a, b, c, elsewhere = ("prompt", "a"), ("prompt", "b"), ("prompt", "c"), ("prompt", "not in the files")
    assert dependencies_first({a: {b, elsewhere}, b: {c}, c: set()}) == ([c, b, a], [])
    order, cycle = dependencies_first({a: {b}, b: {c}, c: {a}})
    assert (order, cycle[0], set(cycle)) == ([], cycle[-1], {a, b, c})
    assert dependencies_first({a: {a}}) == ([], [a, a])


async def test_files_that_come_twice_or_in_no_form_are_refused(sqlite_client: httpx2.AsyncClient) -> None:
    for file in ({"path": PROMPT}, {"path": PROMPT, "text": "x", "base64": "eA=="}, {"path": PROMPT, "base64": "!"}):
        answer = await sqlite_client.post("/api/v1/sync", json={"mode": "plan", "files": [file]})
        assert problem(answer) == (422, "invalid-content", [PROMPT])
    twice = [{"path": PROMPT, "text": "messages: [{role: user, content: x}]"}] * 2
    answer = await sqlite_client.post("/api/v1/sync", json={"mode": "plan", "files": twice})
    assert problem(answer) == (422, "invalid-content", [PROMPT])
    answer = await sqlite_client.post("/api/v1/sync", json={"mode": "do", "files": []})
    assert problem(answer) == (400, "bad-request", ["/mode"])


async def test_two_syncs_at_once_make_each_version_once(client: httpx2.AsyncClient) -> None:
    results = await asyncio.gather(*(sync(client, "apply") for _ in range(5)))
    assert sorted({a for r in results for a in actions(r).values()}) == ["create", "unchanged"]
    assert sum("create" in actions(r).values() for r in results) == 1
    for kind in ("prompts", "datasets", "suites"):
        assert {a["version"] for a in await items_of(client, f"/api/v1/{kind}")} == {1}


@pytest.mark.parametrize(
    ("role", "allowed"), [("reader", ["plan"]), ("ci", ["plan", "draft"]), ("engineer", ["plan", "draft", "apply"])]
)
async def test_each_mode_needs_its_permission(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient, role: str, allowed: list[str]
) -> None:
    key = (await client.post("/api/v1/keys", json={"role": role, "name": role})).json()["key"]
    files = {**FILES, "promptward.yaml": FILES["promptward.yaml"].partition("environments")[0]}
    for mode in ("plan", "draft", "apply"):
        answer = await anonymous.post(
            "/api/v1/sync", json={"mode": mode, "files": packed(files)}, headers={"Authorization": f"Bearer {key}"}
        )
        assert answer.status_code == (200 if mode in allowed else 403)


async def test_the_example_project_is_synced_as_it_lies_here(client: httpx2.AsyncClient) -> None:
    paths = [ROOT / "promptward.yaml", *(ROOT / "prompts").rglob("*"), *(ROOT / "datasets").rglob("*")]
    files: dict[str, Any] = {
        p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in paths if p.is_file()
    }
    result = await sync(client, "apply", files)
    assert set(actions(result).values()) == {"create"}
    assert result["ignored"] == []
    assert len(result["items"]) >= 10
    assert set(actions(await sync(client, "apply", files)).values()) == {"unchanged"}


async def test_a_card_with_windows_line_endings_says_the_same(sqlite_client: httpx2.AsyncClient) -> None:
    card = "---\ntags: [x]\nsensitivity: personal\n---\n# Card\n\nText\n"
    digests = set()
    for text in (card, card.replace("\n", "\r\n")):
        await sync(sqlite_client, "apply", {**FILES, "datasets/docs.md": text}, force=True)
        found = await got(sqlite_client, path("datasets", "docs"))
        assert found["content"]["sensitivity"] == "personal"
        digests.add(found["digest"])
    assert len(digests) == 1
