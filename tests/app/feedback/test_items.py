"""Answers from production become cases of a dataset."""

from typing import Any

import httpx2

from tests.app.registry.api import got, items_of, path, problem


async def served(client: httpx2.AsyncClient, identifier: str, **more: Any) -> str:
    body = {"id": identifier, "prompt": "ask", "variables": {"question": f"what is {identifier}?"}, "output": "no idea"}
    answer = await client.post("/api/v1/inferences", json={**body, **more})
    assert answer.status_code == 201, answer.text
    return identifier


async def take(client: httpx2.AsyncClient, *ids: str, name: str = "hard", **more: Any) -> httpx2.Response:
    return await client.post(f"/api/v1/datasets/{name}/items:from-inference", json={"inferences": list(ids), **more})


async def test_a_corrected_answer_becomes_a_case_with_the_correction_as_its_reference(people: Any) -> None:
    client = people.client
    await people.prompt()
    for identifier in ("m1", "m2"):
        await served(client, identifier)
    for correction in ("wrong at first", "a letter"):
        rating = {"id": "m1", "signal": "thumbs", "value": 0, "rater": "ann", "correction": correction}
        assert (await client.post("/api/v1/feedback", json=rating)).status_code == 201
    made = await take(client, "m1", tags=["hard"], split="test", message="from production")
    assert made.status_code == 201, made.text
    more = await take(client, "m2", use_output=True)
    assert (more.status_code, more.json()["version"], more.json()["source"]) == (201, 2, {"via": "inference"})
    first, second = await items_of(client, path("datasets", "hard", "versions", "2", "items"))
    assert (first["id"], first["inputs"], first["reference"]) == ("m1", {"question": "what is m1?"}, "a letter")
    assert (first["tags"], first["split"], first["metadata"]["corrected"]) == (["hard"], "test", True)
    assert (second["reference"], second["metadata"]["corrected"]) == ("no idea", False)
    assert (await take(client, "m2", use_output=True)).status_code == 200
    assert (await got(client, path("datasets", "hard")))["version"] == 2


async def test_what_cannot_be_asked_again_is_refused(people: Any) -> None:
    client = people.client
    await people.prompt()
    await served(client, "m1")
    await client.post("/api/v1/inferences", json={"id": "bare", "prompt": "ask", "output": "x"})
    refused = await take(client, "m1", "nothing", "bare")
    assert problem(refused) == (422, "invalid-content", ["/inferences/1", "/inferences/2"])
    assert (await client.get("/api/v1/datasets/hard")).status_code == 404
    assert problem(await take(client))[0] == 400
