"""What each kind of personal data and of secrets looks like: a RE2 pattern over UTF-8 bytes, a check, and a mask.

Only the pattern for e-mail knows Unicode; the others are compiled as Latin-1, where ignoring case folds nothing outside
ASCII. What a pattern needs here, `LOOSE` must see too, also after JSON has escaped it: tests hold the two together.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from evaluators.detection import checks, checksums
from evaluators.detection.checks import Check

Group = Literal["personal", "secret"]
Mask = Callable[[str], str]


class Detector(NamedTuple):
    """`pattern` may name the groups `value` and `bare` (what is reported; else all of the match).

    When the check refuses, the search goes on behind the group `first`, or behind the first word, so that a candidate
    cannot hide a value inside it; a pattern without a bound on its length is refused `whole`, or has a `first` without
    one, so that no text takes quadratic time. Groups cost: RE2 fills them with its slower engine.
    """

    kind: str
    group: Group
    pattern: bytes
    check: Check
    mask: Mask
    whole: bool = False
    unicode: bool = False


def _keep(front: int, back: int) -> Mask:
    return lambda value: value[:front] + "…" + (value[-back:] if back else "")


def _mask_email(value: str) -> str:
    local, _, domain = value.rpartition("@")
    return (local[0] if len(local) > 1 else "") + "…@" + domain


def _mask_ip(value: str) -> str:
    return value[: min(map(value.find, [c for c in ".:" if c in value])) + 1] + "…"


# Between two groups of a telephone number stands one separator, or one with a bracket; NBSP and U+2011 are separators.
_GAP = rb"(?: ?\(|\)[ \-./]?|[ \-./]|\xc2\xa0|\xe2\x80\x91)"
_CARD = rb"\b(?:[0-9]{12,19}|[0-9]{4}_[0-9]{4}_[0-9]{4}_[0-9]{4}(?:_[0-9]{3})?|[0-9]{4}_[0-9]{6}_[0-9]{4,5})\b"
_LETTERS = rb"\p{Latin}\p{Greek}\p{Cyrillic}"  # not \pL: in Chinese or Japanese no space stands before an address
_EMAIL = rb"[ABC0-9][ABC0-9\p{M}._%+'\-]*@(?:[ABC0-9](?:[ABC0-9\p{M}\-]*[ABC0-9\p{M}])?\.)+(?:[ABC\p{M}]{2,}|xn--[a-z0-9]+)".replace(
    b"ABC", _LETTERS
)
_PHONE_LABEL = rb"(?i:\b(?:tele)?(?:phone|fax|tel|telefon|mobile|mobil|handy|cell|whatsapp)(?: ?(?:no|nr|number))?)"
_PASSWORD_NAME = rb"(?:pass(?:word|wd|phrase|code)|pwd)"
_KEY_NAME = rb"(?:(?:api|access|auth|private|signing|encryption|account)[_\- ]?key|token|secret)"
_ASSIGNED = rb"""(?i:NAME)\\{0,3}["'`]?[ \t]{0,3}(?::=?|=>?)[ \t]{0,3}(?:\\{0,3}["'`](?P<value>[^"'`\s\\]{6,200})["'`\\]|(?P<bare>[^\s"'`,;&<>()\[\]{}\\\x80-\xff]{8,200}))"""
_URL_PASSWORD = rb"""\b[a-z][a-z0-9+.\-]{1,20}://[^\s/:@"'<>\\]{0,64}:(?P<value>[^\s/@"'<>\\]{3,128})@"""
_BEARER = rb"\b(?i:bearer)[ \t]{1,3}(?P<value>[A-Za-z0-9._~+/\-]{16,}={0,2})"
_PRIVATE_KEY = rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_JWT = rb"\b(?P<first>eyJ[A-Za-z0-9_\-]{8,})\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*"
_OPENAI = rb"\b(?:sk-(?:proj|svcacct|admin)-[A-Za-z0-9_\-]{20,200}|sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}\b)"
_SLACK = rb"\b(?:xox[abeoprs]-[0-9]{1,14}-[0-9A-Za-z\-]{16,200}|xapp-[0-9]-[0-9A-Z]{8,14}-[0-9A-Za-z\-]{16,200})"
_TRUNK = rb"(?:\(|\b)(?:0[1-9][0-9]{0,3}|00[1-9][0-9]{1,3})(?:GAP[0-9]{2,8}){1,4}\b"
_AMERICAN = rb"(?:\b1[ .\-])?(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[ .\-])[2-9][0-9]{2}[ .\-][0-9]{4}\b"
_IBAN = rb"\b(?P<first>[A-Z]{2}[0-9]{2})(?:[ \-]?[A-Z0-9]){11,30}"
_NINO = rb"\b[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]\b"
_PHONES = (
    (rb"\+[1-9][0-9]{0,14}(?:GAP[0-9]{1,12}){0,8}".replace(b"GAP", _GAP), checks.international),
    (_AMERICAN, checks.north_american),
    (_TRUNK.replace(b"GAP", _GAP), checks.with_trunk_zero),
    (_PHONE_LABEL + rb"[.:]{0,2} {0,2}(?P<value>[0-9](?:GAP?[0-9]){8,14})".replace(b"GAP", _GAP), checks.labelled),
)


def _personal(kind: str, pattern: bytes, check: Check, mask: Mask) -> Detector:
    return Detector(kind, "personal", pattern, check, mask)


def _secret(kind: str, pattern: bytes, check: Check, front: int, whole: bool = False) -> Detector:
    return Detector(kind, "secret", pattern, check, _keep(front, 0), whole)


# The order decides between two kinds that find the same text.
DETECTORS = (
    Detector("email", "personal", _EMAIL, checks.email, _mask_email, whole=True, unicode=True),
    _personal(
        "credit_card", _CARD.replace(b"_", rb"(?:[ \-]|\xc2\xa0)"), checks.number(checksums.is_card), _keep(0, 4)
    ),
    _personal("iban", _IBAN, checks.iban, _keep(2, 4)),
    _personal("ssn", rb"\b[0-9]{3}(?:-[0-9]{2}-| [0-9]{2} )[0-9]{4}\b", checks.number(checksums.is_ssn), _keep(0, 4)),
    _personal("nino", _NINO, checks.nino, _keep(0, 1)),
    _personal(
        "steuer_id",
        rb"\b(?:[0-9]{11}|[0-9]{2} [0-9]{3} [0-9]{3} [0-9]{3})\b",
        checks.number(checksums.is_steuer_id),
        _keep(0, 3),
    ),
    _personal("ip_address", rb"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b", checks.ipv4, _mask_ip),
    _personal("ip_address", rb"\b[0-9A-Fa-f]{4}:[0-9A-Fa-f:.]{2,41}", checks.ipv6, _mask_ip),
    *(_personal("phone", pattern, check, _keep(0, 2)) for pattern, check in _PHONES),
    _secret("promptward_key", rb"\bpw_[A-Za-z0-9]{12}_[A-Za-z0-9]{40}\b", checks.ours, 15),
    _secret("anthropic_key", rb"\bsk-ant-[A-Za-z0-9_\-]{24,200}", checks.varied, 7),
    _secret("openai_key", _OPENAI, checks.varied, 3),
    _secret("aws_key", rb"\bA[KS]IA[A-Z2-7]{16}\b", checks.aws_key, 4),
    _secret("aws_secret", rb"[A-Za-z0-9/+]{40,}", checks.aws_secret, 0, whole=True),
    _secret("github_token", rb"\bgh[oprsu]_[A-Za-z0-9]{36}\b", checks.github, 4),
    _secret("github_token", rb"\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b", checks.varied, 11),
    _secret("gitlab_token", rb"\bglpat-[A-Za-z0-9_\-]{20,64}", checks.varied, 6),
    _secret("huggingface_token", rb"\bhf_[A-Za-z]{34}\b", checks.accept, 3),
    _secret("slack_token", _SLACK, checks.varied, 4),
    _secret("google_key", rb"\bAIza[A-Za-z0-9_\-]{35}", checks.google, 4),
    _secret("stripe_key", rb"\b[rs]k_live_[A-Za-z0-9]{16,128}\b", checks.varied, 8),
    _secret("private_key", _PRIVATE_KEY, checks.private_key, 10, whole=True),
    _secret("jwt", _JWT, checks.jwt, 3),
    _secret("api_key", rb"\bsk-(?:or-v1-)?[A-Za-z0-9]{32,64}\b", checks.varied, 3),
    _secret("bearer_token", _BEARER, checks.varied, 0, whole=True),
    _secret("password", _ASSIGNED.replace(b"NAME", _PASSWORD_NAME), checks.password, 0),
    _secret("password", _URL_PASSWORD, checks.password, 0),
    _secret("api_key", _ASSIGNED.replace(b"NAME", _KEY_NAME), checks.assigned_key, 0),
)

# What every text with a finding holds, as it stands and as a JSON string: line breaks and tabs are two characters there,
# a quotation mark and a backslash have one more before them, and `\u` with a printable character is never canonical.
LOOSE = rb"|".join(
    (
        rb"[0-9A-Za-z_%+'.\-\x80-\xff]@[0-9A-Za-z\x80-\xff][0-9A-Za-z.\-\x80-\xff]*\.[A-Za-z\x80-\xff]",
        rb"[0-9](?:GAP?[0-9]){8}".replace(b"GAP", _GAP),
        rb"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
        rb"(?:[23][0-9A-Fa-f]{3}|[Ff][CDcd][0-9A-Fa-f]{2}):[0-9A-Fa-f:.]{2}",
        rb"[A-Z]{2}[0-9]{2}(?:[ \-]?[A-Z0-9]){11}",
        rb"[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]",
        rb"sk-[A-Za-z0-9_\-]{20}|A[KS]IA[A-Z2-7]{16}|AIza[A-Za-z0-9_\-]{35}|[rs]k_live_|pw_[A-Za-z0-9]{12}_",
        rb"gh[oprsu]_[A-Za-z0-9]{36}|github_pat_|glpat-|hf_[A-Za-z]{34}|xox[abeoprs]-|xapp-|PRIVATE KEY|eyJ[A-Za-z0-9_\-]{8}",
        rb"""(?i:bearer)[ \\t\t]{1,6}[A-Za-z0-9._~+/\-]{16}|(?i:NAMES)[\\"'`t \t]{0,16}[:=]|://[^/@" ]+@""",
        rb"\\u(?:00[^01]|0[^0]|[^0])|\\/",
    )
).replace(b"NAMES", _PASSWORD_NAME + b"|" + _KEY_NAME)
