"""Reading and comparing JSON as RFC 8259 has it: no NaN, no trailing commas, true is not 1."""

from typing import Any

import msgspec


class NotJSONError(ValueError):
    """The text is not JSON; the message says where it goes wrong."""


def parse(text: str) -> Any:
    """The value that the text holds. Raises NotJSONError, also for numbers and depths that no library can hold."""
    if not text or text.isspace():
        raise NotJSONError("the output is empty")
    try:
        return msgspec.json.decode(text)
    except UnicodeEncodeError as exc:
        raise NotJSONError("the output holds a lone surrogate") from exc
    except RecursionError as exc:
        raise NotJSONError("the output is nested too deeply") from exc
    except msgspec.MsgspecError as exc:
        message = str(exc).removeprefix("JSON is malformed: ")
        raise NotJSONError(f"the output is not JSON: {message[:1].lower()}{message[1:]}") from exc


def equal(left: Any, right: Any) -> bool:
    """JSON equality: key order does not matter, 1 equals 1.0, true equals nothing but true."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)
