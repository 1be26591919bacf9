from copy import deepcopy
from typing import Any

import httpx2
from hypothesis import given
from hypothesis import strategies as st

from app.registry.diff import changes, unified
from app.registry.schemas import Change
from tests.app.registry.api import got, made, path, problem, prompt

leaves = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0]) | st.text("ab/~é\n", max_size=4)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=4),
    max_leaves=15,
)
contents = st.dictionaries(st.text("abc/~", max_size=2), values, max_size=4)


def applied(data: Any, patch: list[Change]) -> Any:
    """RFC 6902, for the three operations that a diff uses; checks what stood there before."""
    data = deepcopy(data)
    for change in patch:
        if change.path == "":
            assert change.before == data
            data = change.after
            continue
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in change.path.split("/")[1:]]
        place = data
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place[part]
        key: Any = int(last) if isinstance(place, list) else last
        if change.op in ("remove", "replace"):
            assert place[key] == change.before
        if change.op == "remove":
            del place[key]
        elif change.op == "replace":
            place[key] = change.after
        elif isinstance(place, list):
            assert key <= len(place)
            place.insert(key, change.after)
        else:
            assert key not in place
            place[key] = change.after
    return data


def same(left: Any, right: Any) -> bool:
    """Equal as JSON: True is not 1, but 1.0 is."""
    from app.kit.digests import canonical

    return canonical(left) == canonical(right)


@given(contents, contents)
def test_a_diff_applied_to_the_first_gives_the_second(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert same(applied(before, changes(before, after)), after)


@given(st.lists(values, max_size=8), st.lists(values, max_size=8))
def test_so_it_does_for_lists(before: list[Any], after: list[Any]) -> None:
    assert same(applied({"x": before}, changes({"x": before}, {"x": after}))["x"], after)


@given(contents)
def test_nothing_differs_from_itself(content: dict[str, Any]) -> None:
    assert changes(content, deepcopy(content)) == []
    assert unified(content, deepcopy(content), "a", "b") == ""


@given(contents, contents)
def test_what_differs_can_be_read(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Text shows a string like the JSON value of the same look alike; everything else that differs is seen."""
    if changes(before, after) and not unified(before, after, "a", "b"):
        assert all(isinstance(c.before, str) or isinstance(c.after, str) for c in changes(before, after))


def test_an_inserted_message_is_one_operation() -> None:
    messages = [{"role": "user", "content": text} for text in "abc"]
    new = {"role": "system", "content": "new"}
    assert changes({"messages": messages}, {"messages": [new, *messages]}) == [Change("/messages/0", "add", None, new)]


async def test_a_diff_is_structural_and_readable(client: httpx2.AsyncClient) -> None:
    await made(client, "prompts", "p", prompt("Be short.\nBe kind.\n", tags=["a"], params={"temperature": 0}))
    await made(client, "prompts", "p", prompt("Be short.\nBe precise.\n", params={"temperature": 1}, description="New"))
    diff = await got(client, path("prompts", "p", "diff"), **{"from": 1, "to": "2"})
    assert (diff["from"], diff["to"], diff["pins"]) == (1, 2, [])
    assert sorted((c["path"], c["op"], c["before"], c["after"]) for c in diff["changes"]) == [
        ("/description", "add", None, "New"),
        ("/messages/0/content", "replace", "Be short.\nBe kind.\n", "Be short.\nBe precise.\n"),
        ("/params/temperature", "replace", 0, 1),
        ("/tags", "remove", ["a"], None),
    ]
    lines = diff["unified"].splitlines()
    assert lines[:2] == ["--- p@1", "+++ p@2"]
    assert "-      Be kind." in lines
    assert "+      Be precise." in lines
    assert "       Be short." in lines
    assert await got(client, path("prompts", "p", "diff")) == diff, "by default: what the latest version changed"
    back = await got(client, path("prompts", "p", "diff"), **{"from": 2, "to": 1})
    assert {c["path"] for c in back["changes"]} == {c["path"] for c in diff["changes"]}


async def test_a_diff_with_what_is_not_there_is_a_404(sqlite_client: httpx2.AsyncClient) -> None:
    await made(sqlite_client, "prompts", "p", prompt())
    for params in ({"from": 1, "to": 2}, {"from": "beta", "to": 1}, {"from": "!", "to": 1}):
        assert problem(await sqlite_client.get(path("prompts", "p", "diff"), params=params))[:2] == (404, "not-found")
    assert problem(await sqlite_client.get(path("prompts", "q", "diff")))[:2] == (404, "not-found")
