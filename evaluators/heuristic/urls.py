"""Finding the addresses that a reader, a browser or a renderer of Markdown would follow."""

import functools
import html
import itertools
import re
import unicodedata
import urllib.parse
from collections.abc import Iterator
from typing import Any, NamedTuple

import re2

from evaluators.folding import visible

# What a browser drops from an address, and what it takes for a slash.
_DROPPED = r"[\t\r\n]"
_AROUND = "".join(map(chr, (*range(0x21), *range(0x7F, 0xA1))))
_SCHEME = r"(?is)([a-z][a-z0-9+.\-]*):(.*)"
_LONGEST_HOST = 253
_LONGEST_TRIMMED = 2000
_KEPT = frozenset("ßς")
_BRACKETS = {")": "(", "]": "[", "}": "{"}
_TRAILING = ".,;:!?'\"”’»…*_~`"

# Addresses in running text end at white space, at quotes and at brackets; destinations of Markdown and HTML are taken whole.
_WITH_SCHEME = r"""(?i)(?:(?:\b|_)[a-z][a-z0-9+.\-]{1,20}:[/\\]{2}|\b(?:javascript|vbscript|data|mailto|tel|file|blob):)[^\s<>"'`|]+"""
# Letters that hosts without a scheme have: Latin, Greek, Cyrillic, full-width ones; a letter of a script without spaces
# may stand beside a host. Nothing here goes back over more than it has read once.
_L = r"0-9a-z\u00c0-\u052f\uff10-\uff5a"
_WITHOUT_SCHEME = (
    rf"(?i)(?<![{_L}@.\-%=])(?<![{_L}.)\]]_)(?<![{_L}_)\]]__)(?:(?<![/\\])|(?<=[\s(\[\"'`=,;][/\\]{{2}})|(?<=^[/\\]{{2}}))"
    rf"((?:[{_L}][{_L}\-]*+[.。．｡])+(?:xn--[a-z0-9\-]+|[a-z\u00c0-\u052f\uff21-\uff5a]{{2,24}}(?![{_L}\-]|_+[{_L}]))"
    rf"\.?(?::[0-9]{{1,5}})?)(?![@{_L}])([/?#\\][^\s<>\"'`|]*+)?"
)
_MARKDOWN = r"\]\(\s{0,8}(?:<([^<>\n]+)>|([^\s()<>]+(?:\([^\s()<>]*\)[^\s()<>]*)?))"
_DEFINITION = r"(?m)^ {0,3}\[[^\]\n]{1,200}\]:\s{0,8}<?([^\s<>]+)"
_ESCAPED = r"\\([!-/:-@\[-`{-~])"
_ATTRIBUTE = r"""(?i)\b(?:href|src|srcset|action|formaction|poster|background|cite|data|ping|xlink:href)\s{0,8}=\s{0,8}(?:"([^"]+)"|'([^']+)'|([^\s"'>]+))"""
_CSS = r"""(?i)\burl\(\s{0,8}["']?([^"')\s]+)"""


def _vocabulary(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Endings of bare names that are hosts more often than anything else, besides the countries' two letters.
_ENDINGS = _vocabulary("""
com org net edu gov mil int info biz io ai app dev cloud online site shop store xyz club top live tech blog
news link click page web wiki pro name mobi asia tel jobs travel agency digital email finance bank media
network systems solutions services space website world zone today host icu fun lol vip work life one global
support academy health example test invalid localhost onion internal local
""")
_COUNTRIES = _vocabulary("""
ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd cf
cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gd ge gf gg
gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn
kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na
nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh
si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve
vg vi vn vu wf ws ye yt za zm zw
""")
# Countries whose letters are rather a file's ending; such a name counts with a path or `www.` only.
_FILES = _vocabulary("""
ai ad am as bz cc cs do gz hs hr id is in js la mc md me ml mm mo ms mv pl pm pn ps py rb re rs sc sh so st sv
tf tr ts tv vb vi vu ws
""")
_NEVER = _vocabulary("""
cfg conf cs css csv dll doc docx exe gif hs htm html ini jar jpeg jpg js json jsx lock log pdf php png rb svg
tar toml ts tsx txt vb vue xml yaml yml
""")
_ABBREVIATIONS = _vocabulary("""
e.g i.e a.m p.m u.s u.k e.u z.b d.h u.a o.ä n.chr v.chr
""")


class Address(NamedTuple):
    """`host` is empty for an address without one, such as `javascript:…`; `written` is how it stands in the text."""

    written: str
    scheme: str
    host: str


def host_of(name: str) -> str:
    """A host name as browsers compare it: lower case, ASCII (IDNA), without the trailing dot."""
    name = unicodedata.normalize("NFKC", visible(urllib.parse.unquote(name[:4000]))).lower()
    name = name.replace("。", ".").rstrip(".")
    if name.isascii() or len(name) > _LONGEST_HOST:
        return name
    try:
        # Browsers keep these letters, which Python's older IDNA writes as `ss` and another sigma: other hosts.
        labels = (
            each if _KEPT.isdisjoint(each) else "xn--" + each.encode("punycode").decode() for each in name.split(".")
        )
        return ".".join(labels).encode("idna").decode()
    except UnicodeError:
        return name


def addresses(text: str) -> Iterator[Address]:
    """Every address of the text, in no order, each once per form it is found in: linear time."""
    seen: set[str] = set()
    for written in _candidates(text.encode("utf-8", "replace")):
        if written not in seen:
            seen.add(written)
            if (address := read(written)) is not None:
                yield address


def read(written: str) -> Address | None:
    """What a browser makes of a destination; None for one on the same host (a path, a fragment)."""
    url = re.sub(_DROPPED, "", html.unescape(written)).strip(_AROUND)
    match = re.match(_SCHEME, url)
    if match is None or (match[2][:5].rstrip("/\\?#").isdigit() and "." in match[1]):  # `host.example:8080`
        if url[:2].replace("\\", "/") == "//":
            return Address(written, "", _authority(url))
        return None
    scheme, rest = match[1].lower(), match[2]
    if scheme == "mailto":
        return Address(written, scheme, host_of(rest.partition("?")[0].rpartition("@")[2]))
    if scheme in ("http", "https", "ftp", "ws", "wss") or rest[:2].replace("\\", "/") == "//":
        return Address(written, scheme, _authority(rest))
    return Address(written, scheme, "")


def _authority(rest: str) -> str:
    """The host behind `//`: browsers take any number of slashes and backslashes, and all before the last @ for a user.

    Where a backslash stands before an @, programs disagree on the host; then it is all of this, which is on no list.
    """
    strict = re.split(r"[/?#]", rest.lstrip("/\\"), maxsplit=1)[0]
    if "\\" in strict and "@" in strict:
        return strict.lower()
    authority = re.split(r"[/\\?#]", rest.lstrip("/\\"), maxsplit=1)[0]
    name = authority.rpartition("@")[2]
    if name.startswith("["):
        return name.partition("]")[0].lower() + "]"
    return host_of(name.partition(":")[0])


def _candidates(data: bytes) -> Iterator[str]:
    text = data.decode()
    for destination in itertools.chain(_groups(_MARKDOWN, text), _groups(_DEFINITION, text)):
        yield destination
        if "\\" in destination:  # Markdown drops it, HTML does not: both are ways to go
            yield re.sub(_ESCAPED, r"\1", destination)
    if "=" in text:
        for value in _groups(_ATTRIBUTE, text):
            # A srcset is several addresses, each with a size behind it.
            yield from (part.strip().split(" ")[0] for part in re.sub(_DROPPED, "", value).split(", ") if part.strip())
    yield from _groups(_CSS, text)
    for match in _with_scheme().finditer(data):
        yield _end(match[0].decode().lstrip("_"))  # _ begins emphasis in Markdown, and no scheme
    for match in re.finditer(_WITHOUT_SCHEME, text):
        name, path = match[1], match[2] or ""
        if _is_host(name, path):
            yield "//" + _end(name + path)


def _groups(pattern: str, text: str) -> Iterator[str]:
    for match in re.finditer(pattern, text):
        yield next(filter(None, match.groups()))


@functools.cache
def _with_scheme() -> Any:
    """Over bytes: re2 would count the characters before each match anew."""
    return re2.compile(_WITH_SCHEME.encode())


def _end(url: str) -> str:
    """The address without the punctuation of the sentence around it, and without a bracket that it does not open."""
    url = url.partition("](")[0]
    while (url := url.rstrip(_TRAILING)) and len(url) <= _LONGEST_TRIMMED:
        opening = _BRACKETS.get(url[-1])
        if opening is None or url.count(url[-1]) <= url.count(opening):
            break
        url = url[:-1]
    return url


def _is_host(name: str, path: str) -> bool:
    name = host_of(name.partition(":")[0])
    if name in _ABBREVIATIONS:
        return False
    ending = name.rpartition(".")[2]
    if ending in _NEVER:
        return False
    if path or name.startswith("www.") or ending in _ENDINGS or ending.startswith("xn--"):
        return True
    return ending in _COUNTRIES and ending not in _FILES and len(name.split(".")[-2]) > 1
