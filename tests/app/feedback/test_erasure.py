"""Whoever is forgotten leaves nothing behind that stands for them, and takes nothing of others along."""

from sqlalchemy import text

from app.access.schemas import DEFAULT_PROJECT
from tests.app.feedback.conftest import People
from tests.conftest import on_both

TABLES = ("inference", "rating", "vote", "tally", "exposure", "rating_quota", "idempotent_request")


@on_both
async def test_no_hash_and_no_text_of_whoever_is_erased_stays(people: People) -> None:
    await people.prompt()
    hers, receipt = await people.served("ann")
    his, of_bob = await people.served("bob")
    await people.thumbs(receipt, 1, comment="ann was here")
    rating = {"receipt": of_bob, "signal": "stars", "value": 5, "rater": "ann", "comment": "ann was here"}
    headers = {"Idempotency-Key": "once"}
    kept = await people.client.post("/api/v1/feedback", json=rating, headers=headers)
    assert kept.status_code == 201
    logged = {"prompt": "ask", "unit": "ann", "error": "ann was here", "tags": ["ann"], "output": "ann was here"}
    assert (await people.client.post("/api/v1/inferences", json=logged)).status_code == 201
    await people.thumbs(of_bob, 1, rater="ann")
    assert await people.votes(":units") == {(0, "candidate"): (2, 2.0)}
    erased = (await people.client.delete("/api/v1/feedback/raters/ann")).json()
    assert erased == {"ratings": 3, "inferences": 2}
    hashed = people.feedback.unit_hash(DEFAULT_PROJECT, "ann")
    async with people.app.litestar.state.sessions() as session:
        for table in TABLES:
            rows = repr((await session.execute(text(f"SELECT * FROM {table}"))).all())
            assert hashed[:12] not in rows, table
            assert "ann" not in rows, table
    assert await people.votes(":units") == {(0, "candidate"): (1, 1.0)}
    assert await people.votes() == {}
    assert (await people.get(f"/inferences/{hers}"))["output"] is None
    assert (await people.get(f"/inferences/{his}"))["id"] == his
    again = await people.client.post("/api/v1/feedback", json=rating, headers=headers)
    assert (again.status_code, again.json()["type"]) == (410, "urn:promptward:erased")
    assert (await people.get("/feedback", history="true"))["items"] == []


@on_both
async def test_answers_kept_for_others_stay_as_they_are(people: People) -> None:
    _, of_bob = await people.served("bob")
    rating = {"receipt": of_bob, "signal": "thumbs", "value": 1}
    first = await people.client.post("/api/v1/feedback", json=rating, headers={"Idempotency-Key": "bob"})
    await people.served("ann")
    await people.client.delete("/api/v1/feedback/raters/ann")
    again = await people.client.post("/api/v1/feedback", json=rating, headers={"Idempotency-Key": "bob"})
    assert (again.status_code, again.content) == (201, first.content)


@on_both
async def test_no_vote_of_anybody_comes_back(people: People) -> None:
    inference, _ = await people.served("team")
    await people.rate({"inference_id": inference, "signal": "thumbs", "value": 1, "rater": "bob"})
    await people.rate({"inference_id": inference, "signal": "thumbs", "value": 0, "rater": "ann"})
    assert await people.votes() == {(0, "candidate"): (1, 0.0)}
    await people.client.delete("/api/v1/feedback/raters/ann")
    assert await people.votes() == {}
    [left] = (await people.get("/feedback", history="true"))["items"]
    assert (left["value"], left["in_rollout"], left["current"]) == (1.0, False, True)


@on_both
async def test_what_others_said_of_an_erased_unit_s_answers_counts_in_no_rollout(people: People) -> None:
    inference, _ = await people.served("ann")
    await people.rate({"inference_id": inference, "signal": "thumbs", "value": 1, "rater": "bob"})
    await people.client.delete("/api/v1/feedback/raters/ann")
    assert await people.votes() == {}
    [left] = (await people.get("/feedback"))["items"]
    assert (left["value"], left["in_rollout"], left["counted"]) == (1.0, False, True)
