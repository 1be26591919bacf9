"""An exported chain is checked without the database, and nothing that is done to it stays unseen."""

import json
import random

import httpx2
import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.access.schemas import KeyCreate
from app.access.service import KeyService
from app.audit.chain import START
from app.kit.asgi import KeepEncodedSlash
from app.main import check_audit_export
from app.settings import Settings
from tests.app.audit import tampering
from tests.conftest import client_of, on_both

settings_of_the_property = hypothesis.settings(max_examples=200, deadline=None, database=None)


async def fill(client: httpx2.AsyncClient) -> None:
    """Changes of several kinds, with and without reasons and details."""
    for n in range(12):
        body = {"content": {"messages": [{"role": "user", "content": f"hello {n}"}]}, "message": f"reason {n} – ü \n"}
        made = await client.post(f"/api/v1/prompts/ask{n % 3}/versions", json=body)
        assert made.status_code == 201, made.text
    for n in (1, 2, 3):
        put = await client.put("/api/v1/prompts/ask0/labels/tried", json={"version": n, "reason": "try"})
        assert put.status_code == 200, put.text
    await client.delete("/api/v1/prompts/ask0/labels/tried")
    key = (await client.post("/api/v1/keys", json={"role": "ci", "name": "pipeline"})).json()
    await client.delete(f"/api/v1/keys/{key['id']}")
    await client.put("/api/v1/environments/staging", json={"approvals": 1})


async def exported(client: httpx2.AsyncClient, **params: int) -> list[bytes]:
    answer = await client.get("/api/v1/audit/export", params=params)
    assert answer.status_code == 200, answer.text
    return answer.content.splitlines(keepends=True)


def end_of(lines: list[bytes]) -> str:
    end = json.loads(lines[-1])["checkpoint"]
    return f"{end['no']}:{end['hash']}"


@pytest.fixture
async def lines(client: httpx2.AsyncClient) -> list[bytes]:
    await fill(client)
    return await exported(client)


@on_both
async def test_an_export_is_the_list_oldest_first_and_ends_with_a_checkpoint(
    client: httpx2.AsyncClient, settings: Settings, lines: list[bytes]
) -> None:
    listed = (await client.get("/api/v1/audit", params={"limit": 500})).json()["items"]
    entries = [json.loads(line) for line in lines[:-1]]
    assert [{**entry, "project": "default"} for entry in reversed(listed)] == entries
    assert len(entries) == 19
    found = check_audit_export(lines, settings=settings)
    assert (found.ok, found.entries, found.head) == (True, 19, listed[0]["hash"])
    answered = (await client.get("/api/v1/audit/checkpoint")).json()
    end = json.loads(lines[-1])["checkpoint"]
    assert {**answered, "at": end["at"], "mac": end["mac"]} == end
    assert (await client.get("/api/v1/audit/verify", params={"head": end_of(lines)})).json()["ok"] is True


async def test_the_hash_of_a_line_is_what_the_description_says(lines: list[bytes]) -> None:
    for line in lines[:-1]:
        assert tampering.encoded(tampering.hashed(json.loads(line))) == line


async def test_an_empty_chain_is_exported_as_its_checkpoint(client: httpx2.AsyncClient, settings: Settings) -> None:
    lines = await exported(client)
    assert end_of(lines) == f"0:{START}"
    assert check_audit_export(lines, [f"0:{START}"], settings).ok


async def test_an_export_goes_on_where_the_one_before_it_ended(client: httpx2.AsyncClient, lines: list[bytes]) -> None:
    head = end_of(lines)
    assert (await client.get("/api/v1/audit/export", params={"since_no": 0})).status_code == 400
    assert [json.loads(line)["no"] for line in (await exported(client, since_no=18))[:-1]] == [18, 19]
    nothing = await exported(client, since_no=20)
    assert check_audit_export(nothing, [head]).ok
    await fill(client)
    rest = await exported(client, since_no=20)
    assert check_audit_export(rest, [head]).ok
    assert check_audit_export(rest, [head, end_of(rest)]).ok
    alone = check_audit_export(rest)
    assert (alone.ok, alone.first_bad) == (False, 1)
    assert "give the checkpoint that it continues, 19:<hash>" in str(alone.why)
    other = check_audit_export(rest, [f"19:sha256:{'ab' * 32}"])
    assert (other.ok, other.first_bad) == (False, 20)
    assert not check_audit_export(rest, [head, f"3:sha256:{'ab' * 32}"]).ok


async def test_a_thousand_tamperings_are_all_found(lines: list[bytes], settings: Settings) -> None:
    dice = random.Random(20270131)
    tried: dict[str, int] = {}
    for _ in range(1_000):
        sealed = dice.random() < 0.25
        tamper = dice.choice(tampering.SEALED if sealed else tampering.PLAIN)
        made = tamper(dice, lines)
        assert b"".join(made) != b"".join(lines), tamper.__name__
        found = check_audit_export(made, settings=settings if sealed else None)
        assert not found.ok, (tamper.__name__, made)
        assert found.why
        assert isinstance(found.first_bad, int)
        tried[tamper.__name__] = tried.get(tamper.__name__, 0) + 1
    assert min(tried.values()) >= 30
    assert len(tried) == len(tampering.PLAIN) + len(tampering.SEALED)
    assert check_audit_export(lines, settings=settings).ok


async def test_without_the_key_a_rewritten_chain_is_told_by_a_checkpoint_that_was_kept(lines: list[bytes]) -> None:
    dice = random.Random(7)
    for _ in range(50):
        made = tampering.rewritten(dice, lines)
        assert check_audit_export(made).ok  # what is in the file fits together
        assert not check_audit_export(made, [end_of(lines)]).ok


async def test_any_tampering_at_any_place_is_found(lines: list[bytes], settings: Settings) -> None:
    @given(st.sampled_from(tampering.PLAIN), st.randoms(use_true_random=False))
    @settings_of_the_property
    def found(tamper: tampering.Tampering, dice: random.Random) -> None:
        made = tamper(dice, lines)
        if b"".join(made) != b"".join(lines):
            assert not check_audit_export(made).ok

    @given(st.binary(min_size=1, max_size=40), st.integers(0, len(b"".join(lines))), st.integers(0, 400))
    @settings_of_the_property
    def replaced(piece: bytes, at: int, length: int) -> None:
        whole = b"".join(lines)
        made = whole[:at] + piece + whole[at + length :]
        if made != whole:
            assert not check_audit_export(made.splitlines(keepends=True), settings=settings).ok

    found()
    replaced()


@pytest.mark.parametrize("junk", [b"", b"\n", b"null\n", b"[" * 5_000, b"\xff\xfe", b'{"checkpoint":{}}\n', b"{}\n"])
async def test_what_is_no_export_is_broken_and_nothing_worse(junk: bytes) -> None:
    assert not check_audit_export(junk.splitlines(keepends=True)).ok


async def test_two_checkpoints_of_one_entry_cannot_both_be_right(lines: list[bytes]) -> None:
    assert not check_audit_export(lines, [end_of(lines), f"19:{START}"]).ok


@on_both
async def test_a_chain_that_was_rewritten_in_the_database_is_told_by_an_earlier_checkpoint(
    app: KeepEncodedSlash, client: httpx2.AsyncClient, settings: Settings, lines: list[bytes]
) -> None:
    """Whoever may write to the database can make every hash anew. What was exported before shows it."""
    previous = json.loads(lines[9])["previous"]
    async with app.litestar.state.sessions.begin() as session:
        for line in lines[9:-1]:
            entry = json.loads(line)
            entry = tampering.hashed({**entry, "actor": "somebody else", "previous": previous})
            values = {"no": entry["no"], "was": previous, "hash": entry["hash"]}
            update = "UPDATE audit_entry SET actor = 'somebody else', previous = :was, hash = :hash WHERE no = :no"
            await session.execute(text(update), values)
            previous = entry["hash"]
        await session.execute(text("UPDATE audit_head SET hash = :hash"), {"hash": previous})
    assert (await client.get("/api/v1/audit/verify")).json()["ok"] is True
    told = (await client.get("/api/v1/audit/verify", params={"head": end_of(lines)})).json()
    assert (told["ok"], told["first_bad"]) == (False, 19)
    again = await exported(client)
    assert check_audit_export(again, settings=settings).ok  # the service seals what it finds
    assert not check_audit_export(again, [end_of(lines)], settings).ok


async def test_a_chain_that_was_shortened_in_the_database_is_told_by_an_earlier_checkpoint(
    app: KeepEncodedSlash, client: httpx2.AsyncClient, lines: list[bytes]
) -> None:
    async with app.litestar.state.sessions.begin() as session:
        await session.execute(text("DELETE FROM audit_entry WHERE no > 15"))
        await session.execute(
            text("UPDATE audit_head SET no = 15, hash = (SELECT hash FROM audit_entry WHERE no = 15)")
        )
    assert (await client.get("/api/v1/audit/verify")).json()["ok"] is True
    told = (await client.get("/api/v1/audit/verify", params={"head": end_of(lines)})).json()
    assert (told["ok"], told["first_bad"]) == (False, 16)


@pytest.mark.parametrize("column", ["at", "details", "actor", "no"])
async def test_an_entry_that_cannot_be_read_is_named_in_an_export_and_in_the_list(
    app: KeepEncodedSlash, client: httpx2.AsyncClient, lines: list[bytes], column: str
) -> None:
    value = "x'ff00'" if column == "actor" else "'garbage'"
    async with app.litestar.state.sessions.begin() as session:
        await session.execute(text(f"UPDATE audit_entry SET {column} = {value} WHERE no = 2"))
    found = check_audit_export(await exported(client))
    assert (found.ok, found.first_bad) == (False, 2)
    listed = await client.get("/api/v1/audit", params={"limit": 500})
    assert listed.status_code == 200, listed.text
    assert listed.json()["unreadable"] == ["garbage" if column == "no" else 2]
    assert len(listed.json()["items"]) == 18
    assert (await client.get("/api/v1/audit/verify")).json()["first_bad"] == 2


@on_both
@pytest.mark.parametrize("at", ["0044-03-15 00:00:00 BC", "294000-01-01 00:00:00+00", "infinity", "-infinity"])
async def test_a_time_that_no_clock_shows_is_named_and_hides_no_other_entry(
    app: KeepEncodedSlash, client: httpx2.AsyncClient, lines: list[bytes], at: str
) -> None:
    async with app.litestar.state.sessions.begin() as session:
        await session.execute(text(f"UPDATE audit_entry SET at = '{at}' WHERE no = 5"))
    assert check_audit_export(await exported(client)).first_bad == 5
    listed = await client.get("/api/v1/audit", params={"limit": 500})
    assert listed.status_code == 200, listed.text
    assert {e["no"] for e in listed.json()["items"]} >= set(range(1, 20)) - {5}
    assert (await client.get("/api/v1/audit/verify")).json()["first_bad"] == 5


async def test_a_project_sees_and_seals_its_own_chain_alone(
    app: KeepEncodedSlash, client: httpx2.AsyncClient, settings: Settings, lines: list[bytes]
) -> None:
    async with app.litestar.state.sessions.begin() as session:
        made = await KeyService(session, "elsewhere").create(KeyCreate("admin", "theirs"))
    async with client_of(app, made.key) as theirs:
        listed = (await theirs.get("/api/v1/audit")).json()["items"]
        assert [(e["no"], e["action"]) for e in listed] == [(1, "key.created")]
        own = await exported(theirs)
        assert [json.loads(line)["project"] for line in own[:-1]] == ["elsewhere"]
        assert json.loads(own[-1])["checkpoint"]["project"] == "elsewhere"
        assert (await theirs.get("/api/v1/audit/verify")).json()["entries"] == 1
        told = (await theirs.get("/api/v1/audit/verify", params={"head": end_of(lines)})).json()
        assert told["ok"] is False
    assert await exported(client) != own
    assert len(await exported(client)) == len(lines)
    assert not check_audit_export([*own[:-1], lines[-1]]).ok
    assert not check_audit_export([own[0], *lines[1:]]).ok
    end = json.loads(lines[-1])["checkpoint"]
    assert not check_audit_export([*lines[:-1], tampering.encoded({"checkpoint": {**end, "project": "elsewhere"}})]).ok
    foreign = tampering.hashed({**json.loads(lines[-3]), "project": "elsewhere"})
    last = tampering.hashed({**json.loads(lines[-2]), "previous": foreign["hash"]})
    closed = {"checkpoint": {**end, "hash": last["hash"]}}
    mixed = check_audit_export([*lines[:-3], *[tampering.encoded(line) for line in (foreign, last, closed)]])
    assert (mixed.ok, mixed.first_bad) == (False, 18)
    moved = [tampering.encoded({**json.loads(line), "project": "elsewhere"}) for line in lines[:-1]]
    assert not check_audit_export([*moved, own[-1]]).ok


async def test_who_may_not_read_the_audit_may_not_export_it(app: KeepEncodedSlash, client: httpx2.AsyncClient) -> None:
    key = (await client.post("/api/v1/keys", json={"role": "feedback", "name": "web"})).json()["key"]
    async with client_of(app, key) as browser:
        assert (await browser.get("/api/v1/audit/export")).status_code == 403
        assert (await browser.get("/api/v1/audit/checkpoint")).status_code == 403
