"""Act three: the door. Everything that goes round a release is refused; a release whose gate passes opens it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from promptward import AsyncClient, PromptwardError

from app.cli.artifacts import label as label_command
from app.cli.command import Session
from app.cli.demo.stage import Stage
from app.cli.ship import Asked, only, shipped

PROMPT, ENVIRONMENT = "docs/answer", "production"
PROMPT_FILE = "prompts/docs/answer.prompt.yaml"
QUESTION = "Which exit code does promptward check have when the gate fails?"


class _Connected(Session):
    """A command's session that talks to the service of the demo."""

    def __init__(self, client: AsyncClient) -> None:
        super().__init__(as_json=True)
        self._client = client

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AsyncClient]:
        yield self._client


async def door(session: Session, stage: Stage) -> dict[str, Any]:
    """Three ways round the release are refused, then `ship` opens it, and the official client gets an answer."""
    refusals = [await refused(stage, way) for way in ("rest", "cli", "sync")]
    release = only(await shipped(session, stage.client, stage.files, Asked(ENVIRONMENT)))
    async with stage.openai() as client:
        answer = await client.chat.completions.create(
            model=f"{PROMPT}@{ENVIRONMENT}",
            messages=[],
            extra_body={"variables": {"question": QUESTION}, "unit": "the first user"},
        )
    ours: dict[str, Any] = answer.model_dump()["promptward"]
    label = await stage.client.prompts.get(PROMPT, ENVIRONMENT)
    return {
        "refusals": [problem["status"] for problem in refusals],
        "refused": refusals,
        "release": dict(await stage.client.releases.get(release["id"])),
        "label": {"name": ENVIRONMENT, "version": label["version"]},
        "served": {
            "model": answer.model,
            "question": QUESTION,
            "answer": answer.choices[0].message.content,
            "inference_id": ours["inference_id"],
            "receipt": bool(ours["receipt"]),
            "release": ours["release"],
        },
    }


async def refused(stage: Stage, way: str) -> dict[str, Any]:
    """The problem that a way round the release is answered with."""
    client = stage.client
    try:
        if way == "rest":
            await client.prompts.label(PROMPT, ENVIRONMENT, 1)
        elif way == "cli":
            # The command itself, as `promptward label prompts docs/answer production 1` would run it.
            run: Any = label_command.callback
            await run.__wrapped__(
                _Connected(client),
                kind="prompts",
                name=PROMPT,
                label=ENVIRONMENT,
                version="1",
                remove=False,
                reason=None,
            )
        else:
            await client.sync(labelled(stage.files), "apply")
    except PromptwardError as error:
        return {"way": way, "status": error.status, "type": f"urn:promptward:{error.slug}", "detail": error.detail}
    return {"way": way, "status": 200, "type": "", "detail": "it was not refused"}


def labelled(files: list[dict[str, str]]) -> list[dict[str, str]]:
    """The same files, the prompt's with the environment's label in it."""
    return [
        {**file, "text": f"{file['text']}\nlabels: [{ENVIRONMENT}]\n"} if file["path"] == PROMPT_FILE else file
        for file in files
    ]
