"""A prompt that is made of others."""

import time
from typing import Any

import httpx2
import pytest

from tests.app.registry.api import ENDPOINT, got, made, path, post, problem, prompt

TONE = prompt("Be kind to {{ who }}.", variables={"who": {"type": "string", "default": "everybody"}})


def letter(text: str = "{{ tone }}\n\n{{ body }}", **more: Any) -> dict[str, Any]:
    return prompt(text, variables={"body": {"type": "string"}}, fragments={"tone": "shared/tone"}, **more)


async def render(client: httpx2.AsyncClient, name: str, **variables: Any) -> httpx2.Response:
    return await client.post(path("prompts", name, "versions", "latest", "render"), json={"variables": variables})


async def test_a_fragment_stands_in_its_place_with_its_variables(client: httpx2.AsyncClient) -> None:
    await made(client, "prompts", "shared/tone", TONE)
    version = await made(client, "prompts", "letter", letter())
    assert list(version["pins"]) == ["/fragments/tone"]
    text = (await render(client, "letter", body="Hello.")).json()["messages"][0]["content"]
    assert text == "Be kind to everybody.\n\nHello."
    text = (await render(client, "letter", body="Hello.", who="Ann")).json()["messages"][0]["content"]
    assert text == "Be kind to Ann.\n\nHello."


async def test_a_fragment_is_what_it_was_when_the_version_was_made(sqlite_client: httpx2.AsyncClient) -> None:
    await made(sqlite_client, "prompts", "shared/tone", TONE)
    first = await made(sqlite_client, "prompts", "letter", letter())
    await made(sqlite_client, "prompts", "shared/tone", prompt("Be brief."))
    assert (await render(sqlite_client, "letter", body="x")).json()["messages"][0]["content"].startswith("Be kind")
    second = await made(sqlite_client, "prompts", "letter", letter())
    assert (first["version"], second["version"]) == (1, 2), "the same text stands for other content now"
    assert (await render(sqlite_client, "letter", body="x")).json()["messages"][0]["content"].startswith("Be brief")


async def test_fragments_have_fragments_up_to_five_deep(sqlite_client: httpx2.AsyncClient) -> None:
    await made(sqlite_client, "prompts", "p0", prompt("deep"))
    for depth in range(1, 6):
        text = f"{depth}>{{{{ below }}}}"
        await made(sqlite_client, "prompts", f"p{depth}", prompt(text, fragments={"below": f"p{depth - 1}"}))
    assert (await render(sqlite_client, "p5")).json()["messages"][0]["content"] == "5>4>3>2>1>deep"
    too_deep = await post(sqlite_client, "prompts", "p6", prompt("{{ below }}", fragments={"below": "p5"}))
    assert problem(too_deep) == (422, "invalid-content", ["/content/fragments"])


async def test_a_fragment_may_be_an_earlier_version_of_the_prompt_itself(sqlite_client: httpx2.AsyncClient) -> None:
    await made(sqlite_client, "prompts", "p", prompt("one"))
    await made(sqlite_client, "prompts", "p", prompt("{{ before }} two", fragments={"before": "p"}))
    assert (await render(sqlite_client, "p")).json()["messages"][0]["content"] == "one two"


async def test_what_cannot_be_composed_is_refused_with_its_place(sqlite_client: httpx2.AsyncClient) -> None:
    await made(sqlite_client, "prompts", "shared/tone", TONE)
    await made(sqlite_client, "prompts", "chat", {"messages": [{"placeholder": "history"}]})
    big = "x" * 200_000
    await made(sqlite_client, "prompts", "big", prompt(big))
    bad = {
        "/content/fragments/tone": prompt("{{ tone }}", fragments={"tone": "nowhere"}),
        "/content/fragments/chat": prompt("{{ chat }}", fragments={"chat": "chat"}),
        "/content/fragments/who": prompt("{{ who }}", variables={"who": {}}, fragments={"who": "shared/tone"}),
        "/content/messages/0/content": letter("{{ tone|upper }} {{ body }}"),
        "/content/messages/1/content": {
            "messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "{{ big }}{{ big }}"}],
            "fragments": {"big": "big"},
        },
    }
    for pointer, content in bad.items():
        assert problem(await post(sqlite_client, "prompts", "bad", content)) == (422, "invalid-content", [pointer])
    assert (await sqlite_client.get(path("prompts", "bad"))).status_code == 404


async def test_files_that_include_each_other_are_refused_and_others_come_in_order(
    sqlite_client: httpx2.AsyncClient,
) -> None:
    def file(name: str, text: str, fragment: str | None = None) -> dict[str, str]:
        more = f"fragments: {{part: {fragment}}}\n" if fragment else ""
        return {"path": f"prompts/{name}.prompt.yaml", "text": f"messages: [{{role: user, content: '{text}'}}]\n{more}"}

    async def sync(*files: dict[str, str], mode: str = "apply") -> httpx2.Response:
        return await sqlite_client.post("/api/v1/sync", json={"mode": mode, "files": list(files)})

    circle = await sync(file("a", "{{ part }}", "b"), file("b", "{{ part }}", "a"))
    assert "refer to each other" in circle.json()["detail"]
    itself = await sync(file("a", "{{ part }}", "a"))
    assert "refer to each other" in itself.json()["detail"]
    files = [file("a", "{{ part }}!", "b"), file("b", "{{ part }}?", "c"), file("c", "well")]
    for mode in ("plan", "draft", "apply"):  # a plan composes what is stored nowhere yet
        done = await sync(*files, mode=mode)
        assert [item["name"] for item in done.json()["items"]] == ["c", "b", "a"]
    assert (await render(sqlite_client, "a")).json()["messages"][0]["content"] == "well?!"
    changed = (await sync(*files[:2], file("c", "oh"))).json()["items"]
    assert [(i["name"], i["action"], i["reason"]) for i in changed] == [
        ("c", "update", "messages changed"),
        ("b", "update", "prompt c changed"),
        ("a", "update", "prompt b changed"),
    ]


async def test_an_alias_leads_to_its_prompt_and_is_nobody_else_s(client: httpx2.AsyncClient) -> None:
    await made(client, "prompts", "greet", prompt("hi", aliases=["pmpt_123"]), labels=["beta"])
    assert (await got(client, path("prompts", "pmpt_123")))["name"] == "greet"
    assert (await got(client, path("prompts", "pmpt_123", "versions", "beta")))["name"] == "greet"
    assert (await render(client, "pmpt_123")).status_code == 200
    taken = await post(client, "prompts", "other", prompt("x", aliases=["pmpt_123"]))
    assert problem(taken) == (409, "conflict", ["/content/aliases/0"])
    assert problem(await post(client, "prompts", "pmpt_123", prompt("x")))[0] == 409
    assert problem(await post(client, "prompts", "other", prompt("x", aliases=["greet"])))[0] == 409
    await made(client, "prompts", "greet", prompt("hi"))
    await made(client, "prompts", "other", prompt("x", aliases=["pmpt_123"]))
    assert (await got(client, path("prompts", "pmpt_123")))["name"] == "other"


async def test_a_fragment_decides_answers_and_its_description_does_not(sqlite_client: httpx2.AsyncClient) -> None:
    """An answer that is known is not paid for again because a fragment's description changed."""
    await made(sqlite_client, "endpoints", "m", {**ENDPOINT, "provider": "replay"})
    digests = []
    for tone in (prompt("Be kind."), prompt("Be kind.", description="how we talk"), prompt("Be brief.")):
        await made(sqlite_client, "prompts", "shared/tone", tone)
        await made(sqlite_client, "prompts", "letter", letter())
        digests.append(await _deciding(sqlite_client))
    assert (digests[1], digests[0] != digests[2]) == ("known", True)
    assert digests[2] != "known"


async def _deciding(client: httpx2.AsyncClient) -> str:
    items = [{"id": "1", "inputs": {"body": "x"}, "recorded": {"gpt-test": {"text": "y"}}}]
    await made(client, "datasets", "d", {"items": items})
    await made(client, "suites", "s", {"dataset": "d", "endpoints": ["m"], "scorers": [{"use": "length"}]})
    asked = {"suite": "s", "candidates": [{"prompt": "letter"}]}
    run = (await client.post("/api/v1/runs", params={"wait": 20}, json=asked)).json()
    return "known" if run["cells"]["cached"] else str(run["id"])


async def test_a_few_bytes_that_stand_for_gigabytes_are_refused_at_once(sqlite_client: httpx2.AsyncClient) -> None:
    await made(sqlite_client, "prompts", "big", prompt("x" * 200_000))
    message = {"role": "user", "content": "{{ big }}"}
    many = {"messages": [message] * 5_000, "fragments": {"big": "big"}}
    began = time.process_time()
    refused = await post(sqlite_client, "prompts", "many", many)
    assert problem(refused) == (422, "invalid-content", ["/content/messages/20/content"])
    long = prompt("{{ big }}" * 900, fragments={"big": "big"})
    assert problem(await post(sqlite_client, "prompts", "long", long))[2] == ["/content/messages/0/content"]
    assert time.process_time() - began < 3


async def test_fragments_that_share_fragments_are_each_read_once(sqlite_client: httpx2.AsyncClient) -> None:
    names = [f"f{number}" for number in range(30)]
    await made(sqlite_client, "prompts", "p0", prompt("deep"))
    began = time.process_time()
    for depth in range(1, 6):
        fragments = dict.fromkeys(names, f"p{depth - 1}")
        await made(sqlite_client, "prompts", f"p{depth}", prompt("{{ f0 }}{{ f29 }}", fragments=fragments))
    rendered = await render(sqlite_client, "p5")
    assert rendered.json()["messages"][0]["content"] == "deep" * 32
    assert time.process_time() - began < 5, "30 to the power of 5 are 24 million"
    too_many = {f"f{number}": "p0" for number in range(51)}
    assert problem(await post(sqlite_client, "prompts", "p", prompt("x", fragments=too_many)))[0] == 422


async def test_fragments_that_declare_a_variable_differently_need_a_word_of_their_prompt(
    sqlite_client: httpx2.AsyncClient,
) -> None:
    await made(sqlite_client, "prompts", "a", prompt("{{ n }}", variables={"n": {"type": "string", "default": "x"}}))
    await made(sqlite_client, "prompts", "b", prompt("{{ n }}", variables={"n": {"type": "integer"}}))
    both = {"a": "a", "b": "b"}
    clash = await post(sqlite_client, "prompts", "ab", prompt("{{ a }}{{ b }}", fragments=both))
    assert problem(clash) == (422, "invalid-content", ["/content/fragments/b"])
    settled = prompt("{{ a }}{{ b }}", fragments=both, variables={"n": {"type": "integer"}})
    await made(sqlite_client, "prompts", "ab", settled)
    assert (await render(sqlite_client, "ab", n=7)).json()["messages"][0]["content"] == "77"
    await made(sqlite_client, "prompts", "aa", prompt("{{ a }}{{ c }}{{ a }}", fragments={"a": "a", "c": "a"}))
    assert (await render(sqlite_client, "aa", n="y")).json()["messages"][0]["content"] == "yyy"


@pytest.mark.parametrize(
    "text",
    [
        "{{- tone }}",
        "{{ tone -}}",
        "{% for who in names %}{{ tone }}{% endfor %}",
        "{% for tone in names %}{{ tone }}{% endfor %}",
        "{{ brace }}{ names }}",
        "{{ brace }}{% if names %}{% endif %}",
    ],
)
async def test_what_would_make_another_text_of_a_fragment_is_refused(
    sqlite_client: httpx2.AsyncClient, text: str
) -> None:
    await made(sqlite_client, "prompts", "tone", prompt("{{ who }}!", variables={"who": {"type": "string"}}))
    await made(sqlite_client, "prompts", "brace", prompt("{"))
    fragments = {"tone": "tone", "brace": "brace"}
    content = prompt(text, variables={"names": {"type": "array"}}, fragments=fragments)
    assert problem(await post(sqlite_client, "prompts", "p", content))[2] == ["/content/messages/0/content"]
    fine = prompt("{% for name in names %}{{ tone }}{% endfor %}", variables={"names": {"type": "array"}})
    await made(sqlite_client, "prompts", "p", fine | {"fragments": fragments})
    assert (await render(sqlite_client, "p", names=[1, 2], who="A")).json()["messages"][0]["content"] == "A!A!"
