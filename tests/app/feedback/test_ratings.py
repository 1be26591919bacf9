"""One vote per person, the last one counts, and nothing forged, foreign or out of range is one."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from app.access.schemas import DEFAULT_PROJECT
from app.feedback.book import Caps
from app.feedback.receipts import Signer
from app.kit.clock import utc_now
from tests.app.feedback.conftest import RELEASE, People
from tests.conftest import on_both


@on_both
async def test_a_rating_by_receipt_is_kept_and_counted(people: People) -> None:
    inference, receipt = await people.served()
    rating = await people.thumbs(receipt, 1, comment="helped", tags=["web"])
    assert (rating["inference_id"], rating["value"], rating["version"], rating["release"]) == (
        inference,
        1.0,
        2,
        RELEASE,
    )
    assert (rating["counted"], rating["in_rollout"], rating["replaced"]) == (True, True, False)
    assert await people.votes() == {(0, "candidate"): (1, 1.0)}
    assert (await people.get("/feedback", signal="thumbs"))["items"] == [rating]


@on_both
async def test_the_last_vote_counts_and_the_history_stays(people: People) -> None:
    _, receipt = await people.served()
    await people.thumbs(receipt, 1)
    again = await people.thumbs(receipt, 0)
    assert again["replaced"] is True
    assert await people.votes() == {(0, "candidate"): (1, 0.0)}
    assert [r["value"] for r in (await people.get("/feedback"))["items"]] == [0.0]
    assert [r["value"] for r in (await people.get("/feedback", history="true"))["items"]] == [0.0, 1.0]


async def test_a_unit_has_one_vote_however_many_answers_it_rates(people: People) -> None:
    for value in (1, 1, 0):
        _, receipt = await people.served("ann")
        await people.thumbs(receipt, value)
    assert await people.votes() == {(0, "candidate"): (1, 0.0)}


@on_both
async def test_a_vote_in_a_later_phase_leaves_the_earlier_one(people: People) -> None:
    _, early = await people.served("ann", "baseline", phase=0)
    _, late = await people.served("ann", "candidate", phase=1)
    await people.thumbs(early, 1)
    await people.thumbs(late, 0)
    assert await people.votes() == {(1, "candidate"): (1, 0.0)}


async def test_a_receipt_is_for_one_rater(people: People) -> None:
    _, receipt = await people.served()
    await people.thumbs(receipt, 1, rater="bob")
    problem = await people.rate({"receipt": receipt, "signal": "thumbs", "value": 0, "rater": "eve"}, 409)
    assert (problem["type"], problem["errors"][0]["pointer"]) == ("urn:promptward:receipt-used", "/receipt")
    assert (await people.thumbs(receipt, 0, rater="bob"))["replaced"] is True


async def test_ten_thousand_votes_of_one_key_on_one_answer_are_one_vote(people: People) -> None:
    _, receipt = await people.served()
    await people.thumbs(receipt, 1)
    for _ in range(3):
        votes = [{"receipt": receipt, "signal": "thumbs", "value": 1} for _ in range(300)]
        await people.rate(votes)
    assert await people.votes() == {(0, "candidate"): (1, 1.0)}


@pytest.mark.parametrize(
    ("signal", "value", "status"),
    [
        ("thumbs", 2, 422),
        ("thumbs", -1, 422),
        ("thumbs", 0.5, 422),
        ("stars", 0, 422),
        ("stars", 6, 422),
        ("stars", 2.5, 422),
        ("stars", True, 422),
        ("score", 1.01, 422),
        ("score", -0.01, 422),
        ("minutes", 1e10, 422),
        ("minutes", 10**400, 400),
        ("thumbs", "up", 400),
        ("thumbs", None, 400),
    ],
)
async def test_a_value_out_of_range_is_refused(people: People, signal: str, value: Any, status: int) -> None:
    _, receipt = await people.served()
    problem = await people.rate({"receipt": receipt, "signal": signal, "value": value}, status)
    assert problem["errors"][0]["pointer"] == "/value"
    assert (await people.get("/feedback"))["items"] == []


@pytest.mark.parametrize("signal", ["Thumbs", ":responses", "", "a b", "x" * 41])
async def test_a_signal_has_a_plain_name(people: People, signal: str) -> None:
    _, receipt = await people.served()
    problem = await people.rate({"receipt": receipt, "signal": signal, "value": 1}, 400)
    assert problem["errors"][0]["pointer"] == "/signal"


async def test_receipts_that_are_not_ours_are_refused(people: People) -> None:
    inference, receipt = await people.served()
    now = utc_now()
    own = people.feedback
    cases = {
        "rcpt_nonsense": (422, "invalid-content"),
        "": (422, "invalid-content"),
        "rcpt_" + "A" * 2_000: (422, "invalid-content"),
        receipt[:-4] + "AAAA": (403, "receipt-forged"),
        Signer(b"another secret").receipt(DEFAULT_PROJECT, inference, now + timedelta(days=1)): (403, "receipt-forged"),
        own.receipt("another", inference, now): (403, "receipt-foreign"),
        own.receipt(DEFAULT_PROJECT, inference, now - timedelta(days=31)): (410, "receipt-expired"),
        own.receipt(DEFAULT_PROJECT, "inf_unknown", now): (404, "not-found"),
    }
    for bad, (status, slug) in cases.items():
        problem = await people.rate({"receipt": bad, "signal": "thumbs", "value": 1}, status)
        assert (problem["type"], problem["errors"][0]["pointer"]) == (f"urn:promptward:{slug}", "/receipt")
    assert (await people.get("/feedback"))["items"] == []


async def test_a_rating_for_another_unit_is_refused(people: People) -> None:
    _, receipt = await people.served("ann")
    problem = await people.rate({"receipt": receipt, "signal": "thumbs", "value": 1, "unit": "bob"}, 422)
    assert problem["errors"][0]["pointer"] == "/unit"
    await people.thumbs(receipt, 1, unit="ann")


@on_both
async def test_of_an_array_all_is_kept_or_nothing(people: People) -> None:
    _, one = await people.served("ann")
    _, two = await people.served("bob")
    good = {"receipt": one, "signal": "thumbs", "value": 1}
    problem = await people.rate([good, {"receipt": two, "signal": "stars", "value": 9}], 422)
    assert problem["errors"][0]["pointer"] == "/1/value"
    assert (await people.get("/feedback"))["items"] == []
    assert await people.votes() == {}
    kept = await people.rate([good, {"receipt": two, "signal": "stars", "value": 5}])
    assert [item["signal"] for item in kept["items"]] == ["thumbs", "stars"]
    assert await people.votes("stars") == {(0, "candidate"): (1, 1.0)}


async def test_text_that_no_database_takes_is_refused(people: People) -> None:
    _, receipt = await people.served()
    for name, value in (("comment", "a\0b"), ("correction", "\0"), ("tags", ["\0"])):
        body = {"receipt": receipt, "signal": "thumbs", "value": 1, name: value}
        assert (await people.rate(body, 422))["errors"][0]["pointer"] == f"/{name}"
    await people.rate({"inference_id": "\0", "signal": "thumbs", "value": 1}, 422)


@pytest.mark.parametrize("count", [0, 1_001])
async def test_an_array_has_one_to_a_thousand_ratings(people: People, count: int) -> None:
    await people.rate([{"receipt": "x", "signal": "thumbs", "value": 1}] * count, 400)


@on_both
async def test_a_wrong_rating_spoils_no_other_that_comes_at_the_same_time(people: People) -> None:
    receipts = [(await people.served(f"unit {n}"))[1] for n in range(30)]
    bodies = [
        {"receipt": receipt, "signal": "stars", "value": 9 if n % 3 == 0 else 5} for n, receipt in enumerate(receipts)
    ]
    answers = await asyncio.gather(*(people.client.post("/api/v1/feedback", json=body) for body in bodies))
    assert [answer.status_code for answer in answers] == [422 if n % 3 == 0 else 201 for n in range(30)]
    assert await people.votes("stars") == {(0, "candidate"): (20, 20.0)}


async def test_a_browser_s_key_rates_by_receipt_and_nothing_else(people: People) -> None:
    inference, receipt = await people.served()
    await people.prompt()
    async with people.key("feedback") as browser:
        by_receipt = {"receipt": receipt, "signal": "thumbs", "value": 1}
        await people.rate(by_receipt, 201, browser)
        by_id = {"inference_id": inference, "signal": "thumbs", "value": 0}
        assert (await people.rate(by_id, 403, browser))["errors"][0]["pointer"] == "/inference_id"
        own = {"id": "m1", "prompt": "ask", "signal": "thumbs", "value": 0}
        assert (await people.rate([by_receipt, own], 403, browser))["errors"][0]["pointer"] == "/1/id"
        assert (await browser.get("/api/v1/feedback")).status_code == 403
    async with people.key("server") as server:
        await people.rate(by_id, 201, server)
        await people.rate(own, 201, server)


@on_both
async def test_an_own_message_id_logs_the_answer_which_is_reported_and_counts_in_no_rollout(people: People) -> None:
    await people.prompt()
    body = {"id": "message-1", "prompt": "ask@1", "signal": "thumbs", "value": 1, "rater": "ann"}
    rating = await people.rate(body)
    assert (rating["prompt"], rating["version"], rating["in_rollout"]) == ("ask", 1, False)
    await people.rate({**body, "value": 0})
    assert await people.votes() == {}
    assert (await people.get("/inferences/message-1"))["version"] == 1
    [row] = (await people.get("/feedback/summary", prompt="ask"))["items"]
    assert (row["key"], row["n"], row["mean"]) == ("ask@1", 1, 0.0)


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"id": "m1"}, 422, "/prompt"),
        ({"id": "m1", "prompt": "unknown"}, 422, "/prompt"),
        ({"inference_id": "inf_unknown"}, 404, "/inference_id"),
        ({}, 422, "/receipt"),
        ({"id": "m1", "inference_id": "m1"}, 422, "/receipt"),
        ({"id": "m1", "promt": "ask"}, 400, "/promt"),
    ],
)
async def test_an_answer_is_named_once_and_must_be_there(
    people: People, body: dict[str, Any], status: int, pointer: str
) -> None:
    problem = await people.rate({"signal": "thumbs", "value": 1, **body}, status)
    assert problem["errors"][0]["pointer"] == pointer


@on_both
async def test_people_are_stored_as_keyed_hashes_alone(people: People) -> None:
    await people.prompt()
    _, receipt = await people.served("unit-of-ann@example.org")
    await people.thumbs(receipt, 1, rater="ann@example.org")
    await people.rate({"id": "m", "prompt": "ask", "signal": "thumbs", "value": 1, "rater": "ann@example.org"})
    async with people.app.litestar.state.sessions() as session:
        for table in ("inference", "rating", "vote", "tally", "exposure", "rating_quota"):
            rows = (await session.execute(text(f"SELECT * FROM {table}"))).all()
            assert "example.org" not in repr(rows), table


@on_both
async def test_one_person_can_be_forgotten(people: People) -> None:
    _, hers = await people.served("ann")
    _, his = await people.served("bob")
    await people.thumbs(hers, 0)
    await people.thumbs(his, 1)
    async with people.key("engineer") as engineer:
        assert (await engineer.delete("/api/v1/feedback/raters/ann")).status_code == 403
    answer = await people.client.delete("/api/v1/feedback/raters/ann")
    assert answer.json() == {"ratings": 1, "inferences": 1}
    assert await people.votes() == {(0, "candidate"): (1, 1.0)}
    assert [r["value"] for r in (await people.get("/feedback", history="true"))["items"]] == [1.0]
    again = await people.client.delete("/api/v1/feedback/raters/ann")
    assert again.json() == {"ratings": 0, "inferences": 0}


@on_both
async def test_what_one_rater_floods_is_kept_and_set_aside(people: People) -> None:
    people.feedback.caps = Caps(per_rater=5)
    receipts = [(await people.served("ann"))[1] for _ in range(7)]
    ratings = [await people.thumbs(receipt, 1 if n < 5 else 0) for n, receipt in enumerate(receipts)]
    assert [rating["counted"] for rating in ratings] == [True] * 5 + [False] * 2
    assert "not counted" in ratings[-1]["reason"]
    assert await people.votes() == {(0, "candidate"): (1, 1.0)}


@on_both
async def test_a_key_that_floods_is_told_to_come_back(people: People) -> None:
    people.feedback.caps = Caps(per_key=3)
    for n in range(3):
        await people.thumbs((await people.served(f"unit {n}"))[1], 1)
    answer = await people.client.post(
        "/api/v1/feedback", json={"receipt": (await people.served("late"))[1], "signal": "thumbs", "value": 1}
    )
    assert (answer.status_code, answer.json()["type"]) == (429, "urn:promptward:rate-limited")
    assert int(answer.headers["retry-after"]) > 0
    assert await people.votes() == {(0, "candidate"): (3, 3.0)}


@on_both
async def test_answers_errors_latencies_and_units_are_counted(people: People) -> None:
    await people.served("ann", latency_ms=100)
    await people.served("ann", latency_ms=200)
    await people.served("bob", "baseline", status="errored", latency_ms=None)
    assert await people.votes(":responses") == {(0, "candidate"): (2, 2.0), (0, "baseline"): (1, 1.0)}
    assert await people.votes(":errors") == {(0, "baseline"): (1, 1.0)}
    assert await people.votes(":units") == {(0, "candidate"): (1, 1.0), (0, "baseline"): (1, 1.0)}
    assert (await people.votes(":latency"))[0, "candidate"][0] == 2


async def test_answers_served_elsewhere_are_logged_and_rated_by_receipt(people: People) -> None:
    await people.prompt()
    body = {"prompt": "ask@1", "unit": "ann", "output": "42", "variables": {"question": "?"}, "latency_ms": 5}
    made = await people.client.post("/api/v1/inferences", json=body)
    assert made.status_code == 201
    await people.thumbs(made.json()["receipt"], 1, unit="ann")
    read = await people.get(f"/inferences/{made.json()['id']}")
    assert (read["output"], read["version"], read["arm"]) == ("42", 1, None)
    taken = await people.client.post("/api/v1/inferences", json={**body, "id": made.json()["id"]})
    assert (taken.status_code, taken.json()["errors"][0]["pointer"]) == (409, "/id")
    unknown = await people.client.post("/api/v1/inferences", json={"prompt": "unknown"})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/prompt")


@on_both
@pytest.mark.parametrize("bad", ["a\0b", "line\nbreak", "\x7f", "\x85", "x" * 121, "x" * 201])
async def test_an_id_has_no_control_characters_and_is_not_long(people: People, bad: str) -> None:
    await people.prompt()
    for name in ("id", "inference_id"):
        body = {name: bad, "prompt": "ask", "signal": "thumbs", "value": 1}
        assert (await people.rate(body, 422))["errors"][0]["pointer"] == f"/{name}"
        assert (await people.rate([body], 422))["errors"][0]["pointer"] == f"/0/{name}"
    logged = await people.client.post("/api/v1/inferences", json={"prompt": "ask", "id": bad})
    assert (logged.status_code, logged.json()["errors"][0]["pointer"]) == (422, "/id")
    await people.rate({"id": "x" * 120, "prompt": "ask", "signal": "thumbs", "value": 1})


@on_both
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"output": "a\0"}, "/output"),
        ({"error": "\0"}, "/error"),
        ({"environment": "\0"}, "/environment"),
        ({"endpoint": "\0"}, "/endpoint"),
        ({"tags": ["web", "\0"]}, "/tags/1"),
        ({"variables": {"a/b": [{"c": "\0"}]}}, "/variables/a~1b/0/c"),
        ({"usage": {"\0": 1}}, "/usage"),
        ({"messages": [{"role": "user", "content": "\0"}]}, "/messages/0/content"),
    ],
)
async def test_an_answer_that_no_database_takes_is_refused_where_it_is_wrong(
    people: People, body: dict[str, Any], pointer: str
) -> None:
    await people.prompt()
    answer = await people.client.post("/api/v1/inferences", json={"prompt": "ask", **body})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


@on_both
async def test_a_rating_that_names_another_prompt_than_answered_is_refused(people: People) -> None:
    await people.prompt()
    await people.prompt("other")
    content = {"messages": [{"role": "user", "content": "Again: {{ q }}"}], "variables": {"q": {"type": "string"}}}
    body = {"id": "m1", "prompt": "ask@1", "signal": "thumbs", "value": 1}
    await people.rate(body)
    await people.client.post("/api/v1/prompts/ask/versions", json={"content": content})
    for wrong in ("ask@2", "other", "other@1"):
        for name in ("id", "inference_id"):
            problem = await people.rate({"signal": "thumbs", "value": 0, name: "m1", "prompt": wrong}, 422)
            assert problem["errors"][0]["pointer"] == "/prompt"
            assert "ask@1" in problem["detail"]
            assert wrong in problem["detail"]
    _, receipt = await people.served()
    await people.rate({"receipt": receipt, "prompt": "ask@1", "signal": "thumbs", "value": 1}, 422)
    await people.rate({"receipt": receipt, "prompt": "ask@9", "signal": "thumbs", "value": 1}, 422)
    await people.rate({"receipt": receipt, "prompt": "ask@2", "signal": "thumbs", "value": 1})
    for right in ("ask@1", "ask", "ask@latest"):  # a name, or a label, may have moved on since
        await people.rate({**body, "prompt": right})


@on_both
async def test_the_cap_of_one_rater_holds_for_answers_and_units_that_are_new(people: People) -> None:
    await people.prompt()
    people.feedback.caps = Caps(per_rater=2)
    by_unit = [{"id": f"m{n}", "prompt": "ask", "unit": "ann", "signal": "thumbs", "value": 1} for n in range(4)]
    counted = [(await people.rate(body))["counted"] for body in by_unit]
    assert counted == [True, True, False, False]
    for _ in range(2):
        await people.rate({"id": "alone", "prompt": "ask", "signal": "thumbs", "value": 1})
    assert (await people.rate({"id": "alone", "prompt": "ask", "signal": "thumbs", "value": 0}))["counted"] is False
    together = [
        {"id": "new", "prompt": "ask", "unit": "ann", "signal": "thumbs", "value": 1},
        {"id": "new", "signal": "thumbs", "value": 1},
    ]
    assert [r["counted"] for r in (await people.rate(together))["items"]] == [False, False]


@on_both
async def test_a_thousand_people_on_a_thousand_signals_are_a_few_queries(people: People) -> None:
    receipts = [(await people.served(f"unit {n}"))[1] for n in range(100)]
    body = [
        {"receipt": receipts[n % 100], "signal": f"signal-{n}", "value": 1, "rater": f"unit {n % 100}"}
        for n in range(1_000)
    ]
    queries: list[str] = []
    engine = people.app.litestar.state.engine.sync_engine
    listen = lambda _c, _cur, statement, *_: queries.append(statement)  # noqa: E731
    event.listen(engine, "before_cursor_execute", listen)
    await people.rate(body)
    event.remove(engine, "before_cursor_execute", listen)
    read = [query for query in queries if query.startswith("SELECT") and "rating_quota" in query]
    assert len(read) == 1
    assert len(queries) < 25


@on_both
async def test_an_answer_that_was_given_is_kept_whatever_the_model_said(people: People) -> None:
    inference, _ = await people.served(output="a\0b", variables={"q\0": ["\0"]})
    kept = await people.get(f"/inferences/{inference}")
    assert (kept["output"], kept["variables"]) == ("a\ufffdb", {"q\ufffd": ["\ufffd"]})
