"""The list of scorers on the wire."""

import httpx2


async def listed(client: httpx2.AsyncClient, **query: str) -> dict[str, dict[str, object]]:
    answer = await client.get("/api/v1/scorers", params=query)
    assert answer.status_code == 200, answer.text
    return {scorer["name"]: scorer for scorer in answer.json()["items"]}


async def test_scorers_are_found_by_kind_by_what_they_read_and_by_words(sqlite_client: httpx2.AsyncClient) -> None:
    every = await listed(sqlite_client)
    judges = await listed(sqlite_client, kind="judge")
    assert "rubric" in judges
    assert not judges.keys() & (await listed(sqlite_client, kind="code")).keys()
    assert judges.keys() | (await listed(sqlite_client, kind="code")).keys() == every.keys()
    priced = await listed(sqlite_client, needs="cost")
    assert "cost" in priced
    assert all("cost" in scorer["needs"] for scorer in priced.values())  # type: ignore[operator]
    assert "levenshtein" in await listed(sqlite_client, q="LEVENSHTEIN")
    assert await listed(sqlite_client, q="no scorer says this") == {}


async def test_a_scorer_says_its_family_and_whether_it_can_be_used(sqlite_client: httpx2.AsyncClient) -> None:
    scorer = (await listed(sqlite_client))["token_f1"]
    assert (scorer["family"], scorer["available"], scorer["extra"]) == ("reference", True, None)


async def test_a_need_that_no_scorer_can_have_is_refused_with_those_that_exist(
    sqlite_client: httpx2.AsyncClient,
) -> None:
    answer = await sqlite_client.get("/api/v1/scorers", params={"needs": "magic"})
    problem = answer.json()
    assert (answer.status_code, problem["errors"][0]["pointer"]) == (400, "/needs")
    assert "chunks" in problem["detail"]
