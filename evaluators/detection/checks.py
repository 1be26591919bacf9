"""Whether a candidate is what its pattern takes it for.

A check gets the bytes with the start and the end of a candidate, and answers where the value ends, or 0 for none.
"""

import base64
import re
from collections.abc import Callable

import msgspec

from evaluators.detection import checksums

Check = Callable[[bytes, int, int], int]

_IMAGES = (b".png", b".jpg", b".jpeg", b".gif", b".svg", b".webp", b".css", b".js", b".ico")
_PLACEHOLDER = re.compile(
    rb"(?i)x{4}|your|example|placeholder|redacted|change.?me|insert|dummy|\*{3}|\.{3}|^[<%{]|^\$[{(A-Z_]|\{\{"
)
_URL_BEFORE = re.compile(rb"://[^\s/@]{0,100}$")
_VERSION_BEFORE = re.compile(rb"(?i)(?:version|release|build|v\.?)\s?$")
_AWS_ID = re.compile(rb"\bA[KS]IA[A-Z2-7]{16}\b")
_END_OF_KEY = re.compile(rb"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_BODY_OF_KEY = re.compile(rb"[A-Za-z0-9+/]{24}")


def accept(_data: bytes, _start: int, end: int) -> int:
    """The form alone is proof enough."""
    return end


def _digits(data: bytes, start: int, end: int) -> str:
    return "".join(c for c in data[start:end].decode("latin-1") if c in "0123456789")


def _alone(data: bytes, start: int, end: int) -> bool:
    """Whether a number is not a part of a longer one: of a decimal, an amount, a version or an identifier."""
    before, after = data[max(0, start - 2) : start], data[end : end + 2]
    if before[-1:].isalnum() or before[-1:] in (b"$", b"_", b"\\"):
        return False
    if (before[-1:] in (b".", b",") and before[:-1].isdigit()) or (before[-1:] == b"-" and before[:-1].isalnum()):
        return False
    return not after[:1].isalnum() and not (after[:1] in (b".", b",", b"-") and after[1:].isdigit())


def number(test: Callable[[str], bool]) -> Check:
    """The whole candidate, or the candidate without its last groups, when its digits pass the test."""

    def check(data: bytes, start: int, end: int) -> int:
        while end > start:
            if _alone(data, start, end) and test(_digits(data, start, end)):
                return end
            end = max(data.rfind(b" ", start, end), data.rfind(b"-", start, end))
        return 0

    return check


def email(data: bytes, start: int, end: int) -> int:
    value, after = data[start:end], data[end : end + 1]
    local, _, domain = value.rpartition(b"@")
    if len(local) > 64 or len(domain) > 253 or after in (b"(", b"@", b"_") or local == b"git" or b".." in value:
        return 0
    if domain.lower().endswith(_IMAGES) or _URL_BEFORE.search(data, max(0, start - 110), start):
        return 0
    return end


def international(data: bytes, start: int, end: int) -> int:
    if data[max(0, start - 1) : start].isalnum():
        return 0
    while len(digits := _digits(data, start, end)) >= 9:
        if len(digits) <= 15:
            return end if checksums.has_calling_code(digits) and _alone(data, start, end) else 0
        end = start + len(data[start:end].rstrip(b"0123456789").rstrip(b" -./()\xc2\xa0\xe2\x80\x91"))
    return 0


def north_american(data: bytes, start: int, end: int) -> int:
    only_spaces = data[start:end].replace(b" ", b"").isdigit()  # as numbers in a row of a table are
    return 0 if only_spaces or not _alone(data, start, end) else end


def with_trunk_zero(data: bytes, start: int, end: int) -> int:
    while len(digits := _digits(data, start, end)) > 12:
        end = start + len(data[start:end].rstrip(b"0123456789").rstrip(b" -./()\xc2\xa0\xe2\x80\x91"))
    parts = re.findall(rb"[0-9]+", data[start:end])
    gaps = re.split(rb"[0-9]+", data[start:end])[1:-1]
    lengths = [len(part) for part in parts]
    if len(digits) < 9 or len(parts) < 2 or not _alone(data, start, end):
        return 0
    if re.search(rb"[0-9][ ./]$", data[max(0, start - 2) : start]):  # the rest of a longer number
        return 0
    if lengths[:3] == [2, 2, 4] and gaps[0] == gaps[1] and int(parts[2]) < 2200:  # a date
        return 0
    if lengths == [5, 4] and gaps == [b"-"]:  # a US ZIP code
        return 0
    if set(lengths) == {2}:  # pairs: French numbers, not hours of opening
        return end if len(parts) == 5 and len(set(gaps)) == 1 else 0
    return end


def labelled(data: bytes, start: int, end: int) -> int:
    return end if 9 <= len(_digits(data, start, end)) <= 15 and not data[end : end + 1].isalnum() else 0


def iban(data: bytes, start: int, end: int) -> int:
    """As many characters as the country's numbers have; what follows in capitals is not a part of it."""
    length, seen = checksums.iban_length(data[start : start + 2].decode()), 0
    for at in range(start, end):
        seen += data[at : at + 1].isalnum()
        if seen == length:
            value = re.sub(rb"[ -]", b"", data[start : at + 1]).decode()
            return at + 1 if not data[at + 1 : at + 2].isalnum() and checksums.is_iban(value) else 0
    return 0


def nino(data: bytes, start: int, end: int) -> int:
    return end if checksums.is_nino(data[start : start + 2].decode()) else 0


def ipv4(data: bytes, start: int, end: int) -> int:
    joined = data[max(0, start - 1) : start] in (b".", b"-") or (
        data[end : end + 1] in (b".", b"-") and data[end + 1 : end + 2].isalnum()
    )
    if joined or _VERSION_BEFORE.search(data, max(0, start - 10), start):
        return 0
    return end if checksums.is_personal_ip(data[start:end].decode()) else 0


def ipv6(data: bytes, start: int, end: int) -> int:
    if data[max(0, start - 1) : start] in (b":", b".") or data[end : end + 1].isalnum():
        return 0
    value = data[start:end].rstrip(b":.")
    known = re.match(rb"(?i)[23][0-9a-f]{3}:|f[cd][0-9a-f]{2}:", value)  # global unicast, or unique local
    return start + len(value) if known and checksums.is_personal_ip(value.decode()) else 0


def varied(data: bytes, start: int, end: int) -> int:
    """Random characters: a digit, eight different ones, and nothing that documentation writes in a key's place."""
    value = data[start:end]
    random = len(set(value[-20:])) >= 8 and any(48 <= c <= 57 for c in value)
    return end if random and not _PLACEHOLDER.search(value) else 0


def assigned_key(data: bytes, start: int, end: int) -> int:
    value = data[start:end]
    code = data[end : end + 1] in (b"(", b"[")  # a call, not a value
    return varied(data, start, end) if len(value) >= 16 and b"/" not in value[:2] and not code else 0


def password(data: bytes, start: int, end: int) -> int:
    """A letter with a digit or a symbol: a word alone is a type, a placeholder or a sentence."""
    value = data[start:end]
    if data[end : end + 1] in (b"(", b"["):
        return 0
    letters = any(c > 127 or chr(c).isalpha() for c in value)
    others = any(c < 128 and not chr(c).isalpha() and chr(c) not in "-_.:/@" for c in value)
    return end if letters and others and len(set(value)) >= 4 and not _PLACEHOLDER.search(value) else 0


def aws_key(data: bytes, start: int, end: int) -> int:
    return 0 if data[start:end].endswith(b"EXAMPLE") else end


def aws_secret(data: bytes, start: int, end: int) -> int:
    value = data[start:end]
    if len(value) != 40 or re.fullmatch(rb"[0-9a-f]+|[0-9A-F]+", value):
        return 0
    beside = _AWS_ID.search(data, max(0, start - 200), min(len(data), end + 200))
    return varied(data, start, end) if beside else 0


def github(data: bytes, start: int, end: int) -> int:
    return end if checksums.is_github_token(data[start + 4 : end].decode()) else 0


def ours(data: bytes, start: int, end: int) -> int:
    _, identifier, secret = data[start:end].decode().split("_")
    return end if checksums.is_our_key(identifier, secret) else 0


def private_key(data: bytes, _start: int, end: int) -> int:
    """The block to its end line; a cut one to the end of the header. A header that no key follows is documentation."""
    if not _BODY_OF_KEY.search(data, end, end + 400):
        return 0
    closing = _END_OF_KEY.search(data, end, end + 16_384)
    return closing.end() if closing else end


def jwt(data: bytes, start: int, end: int) -> int:
    header = data[start:end].split(b".", 1)[0]
    if len(header) > 4096:
        return 0
    try:
        decoded = msgspec.json.decode(base64.urlsafe_b64decode(header + b"=" * (-len(header) % 4)))
    except (ValueError, msgspec.DecodeError):
        return 0
    return end if isinstance(decoded, dict) and "alg" in decoded else 0


def google(data: bytes, start: int, end: int) -> int:
    longer = re.match(rb"[A-Za-z0-9_\-]", data[end : end + 1])
    return 0 if longer else varied(data, start, end)
