import httpx2
import pytest

from app.access import keys
from app.access.service import ensure_admin_key
from app.kit.asgi import KeepEncodedSlash
from tests.conftest import client_of


async def test_a_new_key_opens_what_its_role_may_do_and_nothing_else(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient
) -> None:
    made = (await client.post("/api/v1/keys", json={"role": "reader", "name": "dashboards"})).json()
    as_reader = {"Authorization": f"Bearer {made['key']}"}
    refused = await anonymous.get("/api/v1/keys", headers=as_reader)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:promptward:forbidden")
    listed = (await client.get("/api/v1/keys")).json()["items"]
    assert [(k["id"], k["role"], k["name"]) for k in listed] == [(made["id"], "reader", "dashboards")]
    assert made["key"] not in (await client.get("/api/v1/keys")).text


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer x", "Basic abc", "Bearer pw_a_" + "x" * 40, "Bearer ' OR 1=1 --"]
)
async def test_whatever_is_not_a_valid_key_is_401_and_says_how_to_send_one(
    anonymous: httpx2.AsyncClient, header: str | None
) -> None:
    answer = await anonymous.get("/api/v1/keys", headers={} if header is None else {"Authorization": header})
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:promptward:unauthorized")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_revoked_key_stops_working(client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient) -> None:
    made = (await client.post("/api/v1/keys", json={"role": "admin", "name": "old"})).json()
    assert (await client.delete(f"/api/v1/keys/{made['id']}")).status_code == 204
    assert (await anonymous.get("/api/v1/keys", headers={"Authorization": f"Bearer {made['key']}"})).status_code == 401


async def test_a_wrong_secret_behind_a_real_id_is_refused(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient
) -> None:
    made = (await client.post("/api/v1/keys", json={"role": "admin", "name": "k"})).json()
    wrong = str(keys.Key(made["id"], keys.make().secret))
    assert (await anonymous.get("/api/v1/keys", headers={"Authorization": f"Bearer {wrong}"})).status_code == 401


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"role": "king", "name": "x"}, 422, "/role"),
        ({"role": "reader"}, 400, "/name"),
        ({"role": "reader", "name": ""}, 400, "/name"),
        ({"role": "reader", "name": "x", "colour": "red"}, 400, "/colour"),
        ({"role": "reader", "name": "x", "expires_at": "2001-01-01T00:00:00Z"}, 422, "/expires_at"),
    ],
)
async def test_a_bad_field_is_named(
    client: httpx2.AsyncClient, body: dict[str, str], status: int, pointer: str
) -> None:
    answer = await client.post("/api/v1/keys", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (status, pointer)
    assert (await client.get("/api/v1/keys")).json()["items"] == []


async def test_a_key_shown_once_is_not_kept_for_a_repeated_request(client: httpx2.AsyncClient) -> None:
    first, second = [
        await client.post("/api/v1/keys", json={"role": "reader", "name": "x"}, headers={"Idempotency-Key": "one"})
        for _ in range(2)
    ]
    assert first.json()["key"] != second.json()["key"]


async def test_keys_are_paged_by_cursor(client: httpx2.AsyncClient) -> None:
    made = {
        (await client.post("/api/v1/keys", json={"role": "reader", "name": f"k{i}"})).json()["id"] for i in range(5)
    }
    seen: list[str] = []
    cursor = None
    while True:
        page = (await client.get("/api/v1/keys", params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(made)
    assert (await client.get("/api/v1/keys", params={"limit": 0})).status_code == 400
    assert (await client.get("/api/v1/keys", params={"cursor": "nonsense"})).json()["errors"][0]["pointer"] == "/cursor"


def test_the_last_characters_of_a_key_are_its_checksum() -> None:
    key = keys.make()
    assert key.secret.endswith(keys.checksum(key.id + key.secret[: -keys.CHECKSUM_LENGTH]))
    assert keys.parse(str(key)) == key


async def test_an_admin_key_that_takes_effect_again_is_written_down(app: KeepEncodedSlash) -> None:
    """Whoever may set the environment can undo a revocation; it must not pass unseen."""
    state = app.litestar.state
    given, other = keys.Key("ops", keys.make().secret), keys.Key("ops", keys.make().secret)

    async def start(key: keys.Key) -> None:
        assert await ensure_admin_key(state.sessions, str(key)) is None

    await start(given)
    await start(given)
    async with client_of(app) as client:
        assert (await client.delete("/api/v1/keys/ops")).status_code == 204
        await start(given)
        await start(given)
        await start(other)
        made = list(reversed((await client.get("/api/v1/audit")).json()["items"]))
    assert [(e["action"], e["subject"]) for e in made] == [
        ("key.created", "key ops"),
        ("key.revoked", "key ops"),
        ("key.restored", "key ops"),
        ("key.restored", "key ops"),
    ]
    assert [(e["actor"], e["before"], e["details"].get("secret_changed")) for e in made[2:]] == [
        ("start", "revoked", False),
        ("start", "active", True),
    ]
    assert other.secret not in repr(made)
