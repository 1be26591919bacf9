"""What an import gives is a project that the service takes."""

import base64
from typing import Any

import httpx2

from app.datasets.parsing import parse as parse_items
from app.formats.schemas import Imported
from app.kit.documents import dump, load
from app.registry.contents import parse
from app.registry.kinds import kinds
from app.registry.names import label_problem, name_problem


async def synced(client: httpx2.AsyncClient, imported: Imported) -> dict[tuple[str, str], str]:
    """Applies an import through the HTTP API and returns what was done to each artifact."""
    files: dict[str, str | bytes] = {
        "promptward.yaml": dump({"project": "imported", "endpoints": imported.endpoints}),
        **imported.files,
    }
    packed = [
        {"path": p, "text": c} if isinstance(c, str) else {"path": p, "base64": base64.b64encode(c).decode()}
        for p, c in files.items()
    ]
    answer = await client.post("/api/v1/sync", json={"mode": "apply", "files": packed})
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return {(item["kind"], item["name"]): item["action"] for item in result["items"]}


def parsed(imported: Imported) -> None:
    """Parses every file and endpoint with the kinds of the registry, which raise for what they do not take."""
    for path, text in imported.files.items():
        assert isinstance(text, str)
        name = path.split("/", 1)[1]
        if path.endswith(".jsonl"):
            parse_items(text.encode(), "application/jsonl")
            kind = kinds()["dataset"]
        else:
            kind = next(each for each in kinds().values() if path.endswith(each.suffix))
            parse(kind, load(text).data)
        assert name_problem(name.removesuffix(kind.suffix)) is None
    for name, content in imported.endpoints.items():
        assert name_problem(name) is None
        parse(kinds()["endpoint"], content)
    for version in imported.history:
        parse(kinds()["prompt"], version.content)
        assert [problem for label in version.labels if (problem := label_problem(label))] == []
