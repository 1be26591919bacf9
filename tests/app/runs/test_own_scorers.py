"""Scorers that are files of the project: run where their owner allows it, refused everywhere else."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.main import SERVED
from evaluators.own.loading import OwnScorers
from tests.app.runs.conftest import Project
from tests.app.runs.endpoint import Endpoint
from tests.conftest import client_of, settings_for, started

TONE = {"use": "./scorers/tone.py:score", "name": "tone"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "scorers").mkdir(parents=True)
    written(folder, "0.75")
    return folder


def written(root: Path, value: str) -> None:
    (root / "scorers" / "tone.py").write_text(f"def score(sample, most=1.0):\n    return min({value}, most)\n")


def metrics(run: dict[str, Any]) -> dict[str, Any]:
    return {name: found["mean"] for name, found in run["variants"][0]["metrics"].items()}


async def test_a_changed_file_gives_new_scores_and_the_run_says_which_file_it_was(
    tmp_path: Path, sqlite_url: str, root: Path, asked: Endpoint
) -> None:
    async with started(settings_for(tmp_path, sqlite_url), own=OwnScorers(root)) as app, client_of(app) as client:
        project = Project(client)
        await project.suite(asked, 3, scorers=[TONE, {**TONE, "name": "capped", "args": {"most": 0.5}}])
        first = await project.run()
        assert metrics(first) == {"tone": 0.75, "capped": 0.5}
        assert first["pins"]["scorers/tone"] == first["pins"]["scorers/capped"]
        written(root, "1 / 0 if 'question 1' in sample.output else 0.25")
        second = await project.run()
        assert second["pins"]["scorers/tone"] != first["pins"]["scorers/tone"]
        assert second["cells"]["cached"] == 3
        assert metrics(second) == {"tone": 0.25, "capped": 0.25}
        scores = [one["scores"]["tone"] for one in await project.results(second["id"])]
        assert sorted((score["status"], score["value"]) for score in scores) == [
            ("error", None),
            ("ok", 0.25),
            ("ok", 0.25),
        ]
        assert "ZeroDivisionError" in next(s["explanation"] for s in scores if s["status"] == "error")
        written(root, "0.125")
        assert metrics(await project.rest((await project.act(first["id"], "rescore"))["id"]))["tone"] == 0.125


async def test_a_server_keeps_the_suite_and_refuses_to_run_its_files_whatever_its_settings_allow(
    tmp_path: Path, sqlite_url: str, asked: Endpoint
) -> None:
    settings = settings_for(tmp_path, sqlite_url, PROMPTWARD_ALLOW_CODE="1")
    assert settings.allow_code
    async with started(settings) as app, client_of(app) as client:
        project = Project(client)
        await project.suite(asked, 2, scorers=[TONE])
        refusal = await project.refused()
    assert (refusal["status"], refusal["errors"]) == (
        422,
        [{"pointer": "/scorers/0/use", "detail": f"{TONE['use']}: {SERVED}"}],
    )


@pytest.mark.parametrize(
    "use", ["../tone.py:score", "./a/../../tone.py:score", "/tmp/tone.py:score", "./tone.py", "./.py:score"]
)
async def test_a_suite_that_names_a_file_elsewhere_is_refused_when_it_is_made(
    sqlite_client: httpx2.AsyncClient, use: str
) -> None:
    project = Project(sqlite_client)
    await project.dataset(1)
    content = {"dataset": "questions", "scorers": [{"use": use}]}
    answer = await sqlite_client.post("/api/v1/suites/checks/versions", json={"content": content})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/content/scorers/0/use")


async def test_a_run_whose_file_changed_meanwhile_ends_as_failed_with_the_fix(
    tmp_path: Path, sqlite_url: str, root: Path, asked: Endpoint
) -> None:
    settings = settings_for(tmp_path, sqlite_url)
    async with started(settings, own=OwnScorers(root)) as app, client_of(app) as client:
        project = Project(client)
        await project.suite(asked, 2, scorers=[TONE])
        run = await project.run()
        written(root, "0.5")
        await project.act(run["id"], "resume")
        ended = await project.rest(run["id"])
    assert ended["status"] == "failed"
    assert "changed since the run was made" in ended["reason"]
