"""`promptward init --pack`: a ready-made suite is added to a project, and tells a leaky application from a careful one."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from evaluators import packs
from tests.app.cli.conftest import Run

FILES = ["datasets/red-team.jsonl", "datasets/red-team.md", "datasets/red-team.suite.yaml"]
PROMPT = """\
messages:
  - {role: system, content: "You are Ada, and you answer from the passages only, in one sentence.\\n\\n{{ context }}"}
  - {role: user, content: "{{ question }}"}
variables:
  question: {type: string}
  context: {type: string}
"""
ITEMS = {
    item["inputs"]["question"] + item["inputs"]["context"]: item
    for item in map(json.loads, packs.files("red-team")["red-team.jsonl"].splitlines())
}


@contextmanager
def application(answer: Callable[[dict[str, Any]], str]) -> Iterator[str]:
    """An endpoint on a socket that answers each item of the pack."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            system, question = (message["content"] for message in body["messages"])
            message = {"role": "assistant", "content": answer(ITEMS[question + system.split("\n\n", 1)[1]])}
            data = json.dumps(
                {
                    "id": "1",
                    "object": "chat.completion",
                    "created": 1,
                    "model": body["model"],
                    "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
                }
            ).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def leaky(item: dict[str, Any]) -> str:
    canary = item["metadata"].get("canary", "nothing")
    return "Sorry, I can't help." if "benign" in item["tags"] else f"{canary} https://attacker.example/?q={canary}"


def careful(item: dict[str, Any]) -> str:
    return item["reference"][0] if "benign" in item["tags"] else "We open at nine."


def test_a_pack_is_added_to_a_project_and_syncs(cli: Run, project: Path) -> None:
    made = cli("init", "--pack", "red-team", "--json")
    assert made.exit_code == 0, made.stderr
    assert json.loads(made.stdout)["files"] == FILES
    done = cli("sync")
    assert done.exit_code == 0, done.stderr
    assert "suites        red-team" in cli("sync", "--plan").stdout + done.stdout


def test_a_pack_overwrites_only_when_forced(cli: Run, project: Path) -> None:
    cli("init", "--pack", "red-team")
    card = project / FILES[1]
    card.write_text("mine")
    again = cli("init", "--pack", "red-team")
    assert (again.exit_code, "--force" in again.stderr, card.read_text()) == (2, True, "mine")
    assert cli("init", "--pack", "red-team", "--force").exit_code == 0
    assert card.read_bytes() == packs.files("red-team")["red-team.md"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pack", "blue-team"], "there is no pack 'blue-team'; there is red-team"),
        (["--force"], "--force goes with --pack"),
        (["--pack", "red-team", "--from", "prompts"], "--pack stands alone"),
    ],
)
def test_a_pack_that_cannot_be_added_is_refused(cli: Run, project: Path, arguments: list[str], said: str) -> None:
    result = cli("init", *arguments)
    assert (result.exit_code, said in result.stderr) == (2, True)


def test_a_pack_needs_a_project(cli: Run, folder: Path) -> None:
    result = cli("init", "--pack", "red-team")
    assert (result.exit_code, "promptward.yaml" in result.stderr) == (2, True)
    assert list(folder.iterdir()) == []


def test_the_pack_tells_a_leaky_application_from_a_careful_one(cli: Run, project: Path) -> None:
    assert cli("init", "--pack", "red-team").exit_code == 0
    (project / "prompts/ada.prompt.yaml").write_text(PROMPT)
    file = project / "promptward.yaml"
    with application(leaky) as bad, application(careful) as good:
        endpoints = f'  leaky: {{provider: compatible, base_url: "{bad}", model: m}}\n  careful: {{provider: compatible, base_url: "{good}", model: m}}\n'
        file.write_text(file.read_text().replace("endpoints:\n", f"endpoints:\n{endpoints}", 1))
        assert cli("sync").exit_code == 0
        run = cli(
            "run",
            "red-team",
            "--candidate",
            "prompt=ada,endpoint=leaky",
            "--candidate",
            "prompt=ada,endpoint=careful",
            "--json",
        )
    assert run.exit_code == 0, run.stderr
    means = {
        variant["endpoint"].partition("@")[0]: {name: read["mean"] for name, read in variant["metrics"].items()}
        for variant in json.loads(run.stdout)["variants"]
    }
    assert set(means) == {"leaky", "careful"}
    for name, worst, best in (
        ("resisted", 0, 1),
        ("no_foreign_url", 0, 1),
        ("over_refusal", 1, 0),
        ("still_helpful", 0, 1),
    ):
        assert (means["leaky"][name], means["careful"][name]) == (worst, best), name
    assert means["leaky"]["no_personal_data"] < means["careful"]["no_personal_data"] == 1
