import httpx2
import pytest

from app.kit.problems import field_error, pointer_of


@pytest.mark.parametrize(
    ("path", "pointer"),
    [("$", ""), ("$.a", "/a"), ("$.a[0].b", "/a/0/b"), ("$[...]", ""), ("$.rules[2].floor", "/rules/2/floor")],
)
def test_a_path_of_msgspec_becomes_a_json_pointer(path: str, pointer: str) -> None:
    assert pointer_of(path) == pointer


def test_an_unknown_field_is_part_of_the_pointer() -> None:
    found = field_error(ValueError("Object contains unknown field `colour` - at `$.content`"))
    assert (found.pointer, found.detail) == ("/content/colour", "Object contains unknown field `colour`")


@pytest.mark.parametrize(
    "body", [b"{", b"[1", b'{"role": "reader", "name": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", b"\xff\xfe", b""]
)
async def test_a_body_that_cannot_be_read_is_a_400(sqlite_client: httpx2.AsyncClient, body: bytes) -> None:
    answer = await sqlite_client.post("/api/v1/keys", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), answer.text
