"""Every operation of the API, for every role, for strangers and for other projects. New routes find their way in here."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.examples import EXAMPLES
from tests.app.access.expected import ALL, CREATES, EXPECTED, GLOBAL, KINDS, MANAGES_PROJECTS, PUBLIC
from tests.app.access.world import NAMES, Operation, World, absent, world
from tests.app.releases.conftest import Door
from tests.conftest import client_of

BODIES: dict[str, Any] = {
    "create_key": {"role": "admin", "name": "stolen"},
    "create_project": {"name": "stolen"},
    "update_project": {"archived": True},
    "put_environment": {"prompts": {}},
    "log_inference": {"prompt": "ask@1", "output": "no"},
    "rate": {"inference_id": "", "signal": "thumbs", "value": 0},
    "create_release": {"environment": "production", "prompt": "ask", "endpoint": "bad"},
    "sync": {"mode": "apply", "files": [{"path": "p.prompt.yaml", "text": "messages: []"}]},
    "create_run": {"suite": "checks", "candidates": [{"prompt": "ask"}]},
    "chat_completions": {"model": "ask@production", "messages": [{"role": "user", "content": "x"}]},
}
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("matrix")
    path = folder / "promptward.db"
    shutil.copy(sqlite_template, path)
    async with world(folder, f"sqlite:///{path}") as made:
        yield made


def body_of(operation: Operation) -> Any:
    if operation.id.endswith("_put_label"):
        return {"version": 1}
    if operation.id.endswith("_create_version"):
        return {"content": {"messages": [{"role": "user", "content": "stolen"}]}}
    example = EXAMPLES.get(operation.id)
    return BODIES.get(operation.id, {} if example is None else example.body)


def refused(operation: Operation, answer: Any, status: int) -> bool:
    """Refused, and in the form that its clients read: OpenAI's for OpenAI's paths."""
    form = "application/json" if operation.path.startswith("/v1/") else PROBLEM
    return bool(answer.status_code == status and answer.headers["content-type"] == form)


async def test_every_operation_is_in_the_table_of_who_may_do_what(here: World) -> None:
    known = {operation.id for operation in here.operations} - PUBLIC
    assert sorted(known - set(EXPECTED)) == [], (
        "these operations are in no table: say in tests/app/access/expected.py which roles may do each"
    )
    assert sorted(set(EXPECTED) - known) == [], "these are gone from the API: take them out of expected.py"


async def test_a_role_that_may_not_is_refused_and_nothing_changes(here: World) -> None:
    before, wrong, asked = await here.contents(), [], 0
    for operation in here.operations:
        for role in ALL:
            if operation.id in PUBLIC or role in EXPECTED.get(operation.id, ()):
                continue
            asked += 1
            answer = await here.call(operation, role, body=body_of(operation))
            if not refused(operation, answer, 403):
                wrong.append((operation.id, role, answer.status_code, answer.text[:200]))
    assert wrong == []
    assert asked > 500
    assert await here.contents() == before


async def test_without_a_valid_key_nothing_opens_and_nothing_changes(here: World) -> None:
    before, wrong = await here.contents(), []
    for operation in here.operations:
        for key in (None, "revoked", "expired"):
            answer = await here.call(operation, key, body=body_of(operation))
            right = answer.status_code == 200 if operation.id in PUBLIC else refused(operation, answer, 401)
            if not right or (operation.id not in PUBLIC and "www-authenticate" not in answer.headers):
                wrong.append((operation.id, key, answer.status_code, dict(answer.headers)))
    assert wrong == []
    assert await here.contents() == before


async def test_an_id_of_another_project_is_answered_exactly_like_one_that_does_not_exist(here: World) -> None:
    before, wrong, asked = await here.contents(), [], 0
    for operation in here.operations:
        values = here.path_values(operation)
        if not values or operation.id in GLOBAL or operation.id in PUBLIC:
            continue
        asked += 1
        body = body_of(operation) if operation.id not in CREATES else {"nonsense": 1}
        real, made_up = [await here.call(operation, "foreign", real=real, body=body) for real in (True, False)]
        said = made_up.text
        for value in values.values():
            said = said.replace(absent(value), value)
        expected = 403 if operation.id in MANAGES_PROJECTS else 404
        same = real.status_code == made_up.status_code and real.text == said
        if not same or (real.status_code != expected and operation.id not in CREATES):
            wrong.append((operation.id, real.status_code, made_up.status_code, real.text[:300], said[:300]))
    assert wrong == []
    assert asked > 100
    after = await here.contents()
    own = f"('{here.ids['project_id']}'"
    touched = {name: set(after[name]) ^ set(before[name]) for name in before}
    assert [row for rows in touched.values() for row in rows if not row.startswith(own)] == []


async def test_lists_of_another_project_hold_nothing_of_this_one(here: World) -> None:
    own = {*here.ids.values(), *NAMES.values()} - {"1", "prompt", here.ids["project_id"]}
    for operation in here.operations:
        if operation.method != "GET" or "{" in operation.path or operation.id in {*PUBLIC, *MANAGES_PROJECTS}:
            continue
        if operation.id != "list_scorers":
            answer = await here.call(operation, "foreign")
            found = [value for value in own if f'"{value}"' in answer.text]
            assert found == [], (operation.id, answer.text)


async def test_a_role_that_may_is_let_in(here: World) -> None:
    """Readings are of what is there; what changes things is asked of what is not there, so that the next role finds it all."""
    wrong, asked = [], 0
    for operation in here.operations:
        for role in EXPECTED.get(operation.id, ()):
            asked += 1
            reading = operation.method == "GET"
            answer = await here.call(operation, role, real=reading)
            bad = answer.status_code >= 400 and operation.id not in NEEDS_A_QUERY if reading else False
            if bad or answer.status_code in (401, 403) or answer.status_code >= 500:
                wrong.append((operation.id, role, answer.status_code, answer.text[:300]))
    assert wrong == []
    assert asked > 800


NEEDS_A_QUERY = {"compare_run", "leaderboard", "drift"}
"""Those that have to be told what to compare."""


async def test_every_post_honours_an_idempotency_key_but_those_that_answer_secrets(here: World) -> None:
    wrong = []
    for operation in here.operations:
        if operation.method != "POST":
            continue
        url, key = here.url(operation, real=False), {"Idempotency-Key": f"once for {operation.id}"}
        first, again, other = [
            await here.admin.post(url, json=body, headers=key) for body in (*2 * [body_of(operation)], {"other": 1})
        ]
        if operation.id in ANSWERS_SECRETS:
            right = first.status_code == 201 and "idempotent-replayed" not in again.headers
        else:
            same = (first.status_code, first.content) == (again.status_code, again.content)
            right = same and again.headers.get("idempotent-replayed") == "true" and first.status_code < 500
            right = right and (other.status_code, "Idempotency-Key" in other.text) == (
                REUSED.get(operation.id, 422),
                True,
            )
        if not right:
            wrong.append((operation.id, first.status_code, again.status_code, other.status_code, first.text[:200]))
    assert wrong == []


REUSED = {"chat_completions": 400}
"""OpenAI's clients know no 422."""
ANSWERS_SECRETS = {"create_key", "create_project"}
"""A kept answer would be a kept secret."""


async def test_a_proposer_makes_versions_and_releases_and_reads_results_and_changes_nothing_else(here: World) -> None:
    """What an automatic proposer of prompts may do. Last, because it changes what is there."""
    async with client_of(here.app, here.keys["proposer"]) as client:
        door = Door(client)
        for unfinished in (await door.get("/releases", state="evaluating"))["items"]:  # of a test before this one
            await door.get(f"/releases/{unfinished['id']}", wait=30)
        version = await door.prompt("Please: {{ question }}")
        offered = await door.release("alike", prompt=f"ask@{version['version']}", wait=30)
        assert offered["state"] in ("evaluated", "ready", "rolling_out", "live", "awaiting_approval"), offered
        run = (await door.get("/runs"))["items"][0]["id"]
        assert (await door.get(f"/runs/{run}/results"))["items"] != []
        assert (await door.get("/gates/verdicts"))["items"] != []
    kinds = {f"{kind}_create_version" for kind in KINDS}
    may = {*kinds, "create_release", "evaluate_release", "sync", "generate", "prompts_render"}
    may |= {"import_project", "datasets_change_items", "datasets_items_from_inference"}
    may |= {
        "create_run",
        "plan_run",
        "cancel_run",
        "resume_run",
        "extend_run",
        "clone_run",
        "rescore_run",
        "evaluate_gate",
        "backtest_gate",
    }
    may |= {"calibrate", "create_label_queue", "label_answer"}
    before, let_in = await here.contents(), []
    for operation in here.operations:
        if operation.method != "GET" and operation.id not in may:
            answer = await here.call(operation, "proposer", body=body_of(operation))
            let_in += [operation.id] if answer.status_code != 403 else []
    assert let_in == []
    labelled = {"content": {"messages": [{"role": "user", "content": "Hi"}]}, "labels": ["stable"]}
    operation = next(o for o in here.operations if o.id == "prompts_create_version")
    assert (await here.call(operation, "proposer", body=labelled)).status_code == 403
    prune = {"mode": "apply", "files": [], "prune": True}
    operation = next(o for o in here.operations if o.id == "sync")
    assert (await here.call(operation, "proposer", body=prune)).status_code == 403
    assert (await here.call(operation, "reader", body={"mode": "draft", "files": []})).status_code == 403
    assert (await here.call(operation, "ci", body={"mode": "apply", "files": []})).status_code == 403
    assert await here.contents() == before
