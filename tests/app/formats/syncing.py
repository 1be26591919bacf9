"""What an import gives is a project that the service takes."""

import base64
from typing import Any

import httpx2

from app.formats.schemas import Imported
from app.kit.documents import dump


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
