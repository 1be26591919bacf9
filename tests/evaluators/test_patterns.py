"""Personal data and secrets are found by form and check digit; one digit off is nothing; no value is shown whole."""

import base64
import json
import time
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.access import keys
from app.kit.digests import canonical
from evaluators import patterns
from evaluators.detection.table import DETECTORS
from evaluators.patterns import Finding, find, kinds, mentions

# Put together here, so that no scanner of this repository takes an example for a leak.
RANDOM = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0hL3nR6uX9bD2fJ5kM8qP1tV4wY7zA0eG3iC6oS9xU2lB5rI8"
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def url64(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()


def github(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        digits = BASE62[rest] + digits
    return "ghp_" + body + digits


def block(body: str) -> str:
    name = "RSA PRIVATE" + " KEY-----"
    return f"-----BEGIN {name}\n{body}\n-----END {name}"


KEY = "pw_" + "a1B2c3D4e5F6_" + RANDOM[:34] + keys.checksum("a1B2c3D4e5F6" + RANDOM[:34])
AWS = "AKIA" + "QYLPMN5HHHFPZAM2"

# kind, what is found, what is almost the same and is not found
CASES = [
    ("email", "anna.berg+news@mail.example.org", "anna.berg+news@localhost"),
    ("email", "jürgen@müller.de", "jürgen@2x.png"),
    ("email", "o'neil@example.co.uk", "o'neil@@example"),
    ("phone", "+49 30 901820", "+999 30 901820"),  # no country has 999
    ("phone", "+442079460958", "+44207946"),
    ("phone", "(212) 555-0187", "(112) 555-0187"),
    ("phone", "1-800-555-0199", "1-800-555-019"),
    ("phone", "020 7946 0958", "020 7946"),
    ("phone", "030/1234-5678", "03.10.2023"),
    ("phone", "01 23 45 67 89", "09.00-12.00 13.30"),
    ("phone", "+49 (0)89 123456-78", "3.141592653"),
    ("credit_card", "4111 1111 1111 1111", "4111 1111 1111 1112"),
    ("credit_card", "5555555555554444", "5555555555554445"),
    ("credit_card", "3782-822463-10005", "3782-822463-10006"),
    ("credit_card", "6011000990139424", "9011000990139421"),  # a right check digit, but nobody's range
    ("iban", "DE89 3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130 01"),
    ("iban", "GB82WEST12345698765432", "GB82WEST12345698765433"),
    ("iban", "NO93 8601 1117 947", "NO93 8601 1117 94"),
    ("ssn", "536-90-4399", "666-90-4399"),
    ("ssn", "536 90 4399", "536-90-0000"),
    ("nino", "AB 12 34 56 C", "GB 12 34 56 C"),
    ("steuer_id", "86095742719", "86095742718"),
    ("steuer_id", "47 036 892 816", "47 036 892 817"),
    ("ip_address", "203.0.113.77", "256.0.113.77"),
    ("ip_address", "2001:db8:85a3::8a2e:370:7334", "2001:db8:85a3::8a2e::7334"),
    ("promptward_key", KEY, KEY[:-1] + ("a" if KEY[-1] != "a" else "b")),
    ("openai_key", "sk-proj-" + RANDOM[:40], "sk-proj-" + "x" * 40),
    ("openai_key", "sk-" + RANDOM[:20] + "T3BlbkFJ" + RANDOM[20:40], "sk-" + RANDOM[:19]),
    ("anthropic_key", "sk-ant-api03-" + RANDOM, "sk-ant-api03-short"),
    ("api_key", "sk-or-v1-" + RANDOM[:64], "sk-or-v1-" + "0" * 64),
    ("aws_key", AWS, "AKIA" + "IOSFODNN7EXAMPLE"),
    ("github_token", github(RANDOM[:30]), github(RANDOM[:30])[:-1] + "!"),
    ("github_token", github(RANDOM[:30]), "ghp_" + "B" + github(RANDOM[:30])[5:]),
    ("github_token", "github_pat_" + RANDOM[:22] + "_" + RANDOM[:59], "github_pat_" + RANDOM[:22] + "_" + RANDOM[:58]),
    ("gitlab_token", "glpat-" + RANDOM[:20], "glpat-" + RANDOM[:19]),
    ("huggingface_token", "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH", "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFg"),
    ("slack_token", "xoxb-" + "123456789012-" + RANDOM[:24], "xoxb-" + "short"),
    ("google_key", "AIza" + RANDOM[:35], "AIza" + RANDOM[:36]),
    ("stripe_key", "sk_live_" + RANDOM[:24], "sk_test_" + RANDOM[:24]),
    ("private_key", block("MIIEowIBAAKCAQEA" + RANDOM), block("…")),
    (
        "jwt",
        f"{url64({'alg': 'HS256'})}.{url64({'sub': '12'})}.{RANDOM[:43]}",
        f"{url64({'typ': 'x'})}.{RANDOM}.abcdefgh",
    ),
]
ASSIGNED = [
    ("password", 'password = "{}"', "Tr0ub4dor&3", "{{password}}"),
    ("password", "DB_PASSWORD={}", "hunter2hunter2", "${DB_PASSWORD1}"),
    ("password", '{{"passwd": "{}"}}', "s3cr3t!", "required"),
    ("password", "postgres://app:{}@db.internal:5432/x", "p4ssw0rd", "password"),
    ("password", "redis://:{}@localhost/0", "p4ssw0rd", "password"),
    ("api_key", "api_key: '{}'", RANDOM[:32], "your-api-key-1234567890"),
    ("api_key", "https://x.example/?token={}&a=1", RANDOM[:24], "next_page"),
    ("bearer_token", "Authorization: Bearer {}", RANDOM[:40], "token-of-the-user"),
]


@pytest.mark.parametrize(("kind", "value", "_"), CASES)
@pytest.mark.parametrize("around", ["{}", "Please use {}, or write.", "(é… “{}”)", "a\n{}\tb", "x: {}\r\n"])
def test_a_value_is_found_where_it_stands_with_its_kind(kind: str, value: str, _: str, around: str) -> None:
    text = around.format(value)
    (found,) = find(text)
    assert (found.kind, text[found.start : found.end], found.group) == (kind, value, kinds()[kind])
    assert mentions(canonical({"input": [text]}))


@pytest.mark.parametrize(("kind", "_", "near"), CASES)
def test_what_only_looks_like_it_is_not_found(kind: str, _: str, near: str) -> None:
    assert [f.kind for f in find(f"Please use {near} or write.")] == []


@pytest.mark.parametrize(("kind", "line", "value", "placeholder"), ASSIGNED)
def test_a_secret_is_known_by_its_name_and_a_placeholder_is_none(
    kind: str, line: str, value: str, placeholder: str
) -> None:
    text = line.format(value)
    (found,) = find(text)
    assert (found.kind, text[found.start : found.end]) == (kind, value)
    assert mentions(canonical(text))
    assert find(line.format(placeholder)) == []


def test_every_kind_has_a_case() -> None:
    assert {kind for kind, *_ in CASES + ASSIGNED} | {"aws_secret"} == set(kinds())


def test_one_digit_changed_is_never_a_card_an_iban_or_a_tax_number() -> None:
    for value in ("4111111111111111", "DE89370400440532013000", "86095742719"):
        for at in range(2, len(value)):
            for digit in "0123456789".replace(value[at], ""):
                changed = value[:at] + digit + value[at + 1 :]
                assert {f.kind for f in find(changed)} & {"credit_card", "iban"} == set()
                if value.startswith("86"):
                    assert find(changed) == []


def test_the_secret_beside_an_aws_key_is_found_and_not_one_alone() -> None:
    secret = "wJa1r" + RANDOM[:35]
    assert [f.kind for f in find(f"{AWS} {secret}")] == ["aws_key", "aws_secret"]
    assert find(f"commit {secret}") == []
    assert [f.kind for f in find(f"{AWS} {'0f' * 20}")] == ["aws_key"]  # a commit's digest


def test_a_number_that_belongs_to_something_else_is_not_found() -> None:
    for text in (
        "It costs $4111111111111111.",
        "0.4111111111111111 of it",
        "550e8400-e29b-41d4-a716-446655440000",
        "2024-01-05 12:30:45 and 01.02.2003 12:30",
        "ZIP 02139-4307",
        "version 10.20.30.40 of the library, 127.0.0.1 and 0.0.0.0",
        "250 300 4000 and 1,234,567,890",
        "std::dec << dead::beef; a[::2] at 12:30:45",
        "@decorator, x@2x.png, https://medium.com/@anna, git@github.com:a/b.git",
        "password: string, secret=true, pwd=get_password2(), token = tokens[0]",
    ):
        assert find(text) == [], text


def test_a_card_is_found_before_its_security_code_and_behind_another_number() -> None:
    for text in ("4111 1111 1111 1111 123", "1234 4111 1111 1111 1111"):
        (found,) = find(text)
        assert text[found.start : found.end] == "4111 1111 1111 1111"


def test_offsets_count_characters_also_behind_emoji_and_lone_surrogates() -> None:
    text = "👩‍🚀 \ud83d \ud83d\ude00 ü a@example.org ü b@example.org"
    assert [text[f.start : f.end] for f in find(text)] == ["a@example.org", "b@example.org"]


def test_the_limit_keeps_the_first_findings() -> None:
    text = " ".join(f"user{n}@example.org" for n in range(300))
    assert len(find(text)) == 100
    assert find(text, limit=3) == find(text)[:3]


PARTS = st.one_of(
    st.sampled_from([value for _, value, _ in CASES] + [near for *_, near in CASES]),
    st.sampled_from([line.format(value) for _, line, value, _ in ASSIGNED]),
    st.text(max_size=12),
    st.sampled_from(list(" \n\t\"'\\/.,:;-+@=()[]{}0123456789")),
)


def encodable(text: str) -> bool:
    return not any(0xD800 <= ord(c) < 0xE000 for c in text)


TEXTS = st.lists(PARTS, max_size=8).map("".join) | st.lists(PARTS, max_size=8).map(" ".join)


@given(text=TEXTS)
def test_findings_never_overlap_and_never_show_the_whole_value(text: str) -> None:
    found = find(text)
    assert found == find(text)
    assert all(a.end <= b.start for a, b in pairwise(found))
    for each in found:
        assert 0 <= each.start < each.end <= len(text)
        assert text[each.start : each.end] not in each.shown
        assert "…" in each.shown


def seen(text: str) -> bool:
    """Whether any pattern finds something, without the quick look that `find` takes first."""
    return any(next(patterns._hits(rank, text.encode()), None) for rank in range(len(DETECTORS)))


@settings(max_examples=300)
@given(text=TEXTS.filter(encodable), key=TEXTS.filter(encodable))
def test_an_item_that_mentions_nothing_holds_nothing(text: str, key: str) -> None:
    if seen(text):
        assert mentions(text.encode())
        assert mentions(canonical(text))
        assert mentions(canonical({key: [{"a": text}, 1]}))
        assert mentions(canonical({"a": 1.5, text: key}))
        assert mentions(json.dumps(text).encode())  # not canonical: everything outside ASCII is escaped


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for each in value.items() if isinstance(value, dict) else value:
            yield from strings(list(each) if isinstance(each, tuple) else each)


def found_in(path: Path) -> list[tuple[str, Finding]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [(text, each) for row in rows for text in strings(row) for each in find(text)]


@pytest.mark.parametrize("name", ["nq_open_qa", "gsm8k_solutions", "begin_wow_attribution"])
def test_recorded_questions_and_answers_without_such_data_give_no_finding(shared_data: Path, name: str) -> None:
    assert found_in(shared_data / f"{name}.jsonl") == []


def test_english_questions_do_not_even_have_to_be_looked_at(shared_data: Path) -> None:
    lines = (shared_data / "nq_open_qa.jsonl").read_text().splitlines()
    assert sum(mentions(canonical(json.loads(line))) for line in lines) == 0


def test_recorded_documents_give_the_contacts_that_they_publish(shared_data: Path) -> None:
    found = found_in(shared_data / "mtrag_rag_responses.jsonl")
    assert {each.kind for _, each in found} == {"email", "phone"}
    assert {text[each.start :][:1] for text, each in found if each.kind == "phone"} == {"("}  # offices in California
    assert len(found) >= 50


@pytest.mark.parametrize(
    "unit",
    [
        "1 ",
        "1111 ",
        "4111 1111 1111 1112 ",
        "DE89 3704 ",
        "1.1.1.",
        "a/",
        "eyJaaaaaaaaaa.",
        "+49 ",
        "a@b.c.",
        "sk-ant-",
    ],
)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    seconds = []
    for size in (40_000, 160_000):
        text = unit * (size // len(unit)) + " x@example.org"
        started = time.process_time()
        find(text)
        seconds.append(time.process_time() - started)
    assert seconds[1] < 10 * seconds[0] + 0.2  # quadratic would be 16 times
