"""Finding a text again that was encoded, reversed or spelled out; everything takes linear time."""

import base64
import binascii
import codecs
import html
import re
import urllib.parse
from collections.abc import Callable, Iterator

from evaluators.folding import squeeze, visible

# A run may be broken by line ends, as encoders write it; its last line need not be full.
_BASE64 = r"(?:[A-Za-z0-9+/_\-]{8,}\s{0,2})+={0,2}"
_HEX = r"(?:(?:\\x|0x|%)?[0-9A-Fa-f]{2}[ ,:;\-]{0,2}){8,}"
_HEX_DIGITS = r"\\x|0x|[^0-9A-Fa-f]"
_WHITE = r"\s+"


def readings(text: str) -> Iterator[tuple[str, str]]:
    """The text, and what it says when it is decoded: pairs of a way (`plain`, `reversed`, `rot13`, …) and a text."""
    yield "plain", text
    yield "reversed", text[::-1]
    yield "rot13", codecs.encode(text, "rot13")
    if "%" in text:
        yield "percent-encoded", urllib.parse.unquote(text)
    if "&" in text:
        yield "HTML entities", html.unescape(text)
    if decoded := _decoded(_BASE64, _from_base64, text):
        yield "base64", decoded
    if decoded := _decoded(_HEX, _from_hex, text):
        yield "hex", decoded


def traces(value: str) -> list[tuple[str, str]]:
    """What the base64 of any text that holds `value` must contain: pairs of a way and a part, one per alignment.

    Parts shorter than eight characters are left out; the text under search must be without white space.
    """
    found: list[tuple[str, str]] = []
    for form in dict.fromkeys((value, value.upper(), value.lower())):
        data = form.encode("utf-8", "surrogatepass")
        for shift in range(3):
            encoded = base64.b64encode(b"\0" * shift + data)
            # The first and last characters also hold bits of what stands beside the value.
            part = encoded[(0, 2, 3)[shift] : (shift + len(data)) * 8 // 6].decode()
            if len(part) >= 8:
                found += [("base64", part), ("base64", part.replace("+", "-").replace("/", "_"))]
    return list(dict.fromkeys(found))


def where_found(value: str, text: str) -> str | None:
    """In which disguise `value` stands in the text (`plain`, `spaced out`, `base64`, …), or None."""
    return Haystack(text).find(value)


class Haystack:
    """A text in which several values are looked for."""

    def __init__(self, text: str) -> None:
        self._plain = visible(text).casefold()
        self._readings = [(way, squeeze(read)) for way, read in readings(text)]
        self._without_spaces = re.sub(_WHITE, "", visible(text))

    def find(self, value: str) -> str | None:
        """As `where_found`. A value without letters and digits is found only as it stands."""
        needle = squeeze(value)
        if value.casefold() in self._plain:
            return "plain"
        if not needle:
            return None
        for way, read in self._readings:
            if needle in read:
                return "spaced out or otherwise written" if way == "plain" else way
        return next((way for way, part in traces(value) if part in self._without_spaces), None)


def _decoded(pattern: str, decode: Callable[[str], bytes], text: str) -> str:
    parts: list[str] = []
    for match in re.finditer(pattern, text):
        run = match[0].strip()
        # White space may break lines of one encoding, or part it from words beside it.
        for each in dict.fromkeys((run, *run.split())):
            parts.append(decode(each).decode("utf-8", "ignore"))
    return "\n".join(parts).strip()


def _from_base64(run: str) -> bytes:
    run = re.sub(_WHITE, "", run).rstrip("=").replace("-", "+").replace("_", "/")
    run = run[: len(run) - (len(run) % 4 == 1)]
    try:
        return base64.b64decode(run + "=" * (-len(run) % 4))
    except (ValueError, binascii.Error):
        return b""


def _from_hex(run: str) -> bytes:
    digits = re.sub(_HEX_DIGITS, "", run)
    return bytes.fromhex(digits[: len(digits) // 2 * 2])
