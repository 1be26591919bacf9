"""BFCL's rules for one call: is it one of the calls that the case accepts?

`accepted` maps each argument to the list of its right values; "" in that list means that it may be left out.
Source: `ast_checker` of the Berkeley Function-Calling Leaderboard, github.com/ShishirPatil/gorilla, Python rules.
"""

import re
from typing import Any

from evaluators.text import clip
from evaluators.tools.calls import Function

# BFCL's own type names, and JSON Schema's. A type that is not here is not checked.
_TYPES: dict[str, type] = {
    "string": str,
    "any": str,
    "integer": int,
    "float": float,
    "number": float,
    "boolean": bool,
    "array": list,
    "tuple": list,
    "dict": dict,
    "object": dict,
}
_IGNORED = re.compile(r"[ ,./\-_*^]")


def difference(arguments: dict[str, Any], accepted: dict[str, list[Any]], function: Function | None) -> str | None:
    """Why the arguments are not accepted, or None. Without a function nothing is known of types.

    The first word is the kind: missing, unexpected, type, value.
    """
    for name in function.required if function else ():
        if name not in arguments:
            return f"missing argument {name!r}, which the tool requires"
    for name, value in arguments.items():
        if name not in accepted or (function and name not in function.parameters):
            return f"unexpected argument {name!r}"
        if function:
            reason = _argument(value, accepted[name], function.parameters[name])
        else:  # no type tells them apart, and Python's True equals 1
            reason = _argument(_marked(value), _marked(accepted[name]), None)
        if reason:
            return f"{reason} of argument {name!r}: found {clip(repr(value))}, accepted {clip(repr(accepted[name]))}"
    for name, values in accepted.items():
        if name not in arguments and "" not in values:
            return f"missing argument {name!r}"
    return None


def _marked(value: Any) -> Any:
    """The value with its booleans as what equals no number."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, list):
        return [_marked(each) for each in value]
    if isinstance(value, dict):
        return {key: _marked(each) for key, each in value.items()}
    return value


def plain(text: str) -> str:
    """The text to compare by: lower case, one kind of quotes, without blanks and `,./-_*^`."""
    return _IGNORED.sub("", text).lower().replace("'", '"')


def as_accepted(value: Any) -> list[Any]:
    """A single right value in the form of `accepted`: objects hold a list of right values for each key."""
    if isinstance(value, dict):
        return [_each_key(value)]
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        return [[_each_key(each) for each in value]]
    return [value]


def _each_key(value: dict[str, Any]) -> dict[str, list[Any]]:
    return {key: [each] for key, each in value.items()}


def _argument(value: Any, accepted: list[Any], schema: Any) -> str | None:
    """What is wrong with one argument: `type`, `value` or nothing."""
    declared = schema.get("type") if isinstance(schema, dict) else None
    expected = _TYPES.get(declared) if isinstance(declared, str) else None
    if declared == "tuple" and type(value) is tuple:
        value = list(value)
    if expected is None:
        expected = float if type(value) is int and any(type(each) is float for each in accepted) else type(value)
    if expected is float and type(value) is int:
        value = float(value)
    element = None
    if expected is list:
        items = schema.get("items") if isinstance(schema, dict) else None
        element = _TYPES.get(str(items.get("type"))) if isinstance(items, dict) else None
        if element is float:  # JSON has one kind of numbers: what is kept as 12 was 12.0 where floats are declared
            accepted = [[_float(part) for part in each] if isinstance(each, list) else each for each in accepted]
    wrong, is_variable = _type(value, accepted, expected, element)
    if wrong:
        return "type"
    if is_variable:
        return None if value in accepted else "value"
    if expected is dict:
        return _object(value, accepted)
    if expected is list and (
        element is dict or (element is None and value and all(isinstance(v, dict) for v in value))
    ):
        return _objects(value, accepted)
    if expected is str:
        return None if plain(value) in [plain(each) for each in accepted if isinstance(each, str)] else "value"
    if expected is list:
        return None if _plain_list(value) in [_plain_list(each) for each in accepted] else "value"
    return None if value in accepted else "value"


def _float(value: Any) -> Any:
    return float(value) if type(value) is int else value


def _type(value: Any, accepted: list[Any], expected: type, element: type | None) -> tuple[bool, bool]:
    """Whether the type is wrong, and whether the value stands for a variable.

    Where the accepted values are of another type than the schema's, they are names of variables, and the value may be of
    their type. Elements are checked one level deep, and integers are no floats there.
    """
    others = [type(each) for each in accepted if each != ""]
    if type(value) is expected:
        parts: list[Any] = value if isinstance(value, list) else []
        if element is None or any(
            not isinstance(each, list) or not any(_type(part, each, element, None)[0] for part in parts)
            for each in accepted
        ):
            return False, bool(others) and others[0] is not expected
        return True, False
    return not others or type(value) is not others[0], True


def _plain_list(values: Any) -> Any:
    if isinstance(values, str) and not values:
        return []  # as BFCL has it: where an array may be left out, it may be empty
    return [plain(each) if isinstance(each, str) else each for each in values] if isinstance(values, list) else values


def _object(value: dict[str, Any], accepted: list[Any]) -> str | None:
    found = any(isinstance(each, dict) and _same_object(value, each) for each in accepted)
    return None if found else "value"


def _same_object(value: dict[str, Any], accepted: dict[str, Any]) -> bool:
    for key, each in value.items():
        if key not in accepted:
            return False
        rights = accepted[key] if isinstance(accepted[key], list) else [accepted[key]]
        if (plain(each) if isinstance(each, str) else each) not in [
            plain(right) if isinstance(right, str) else right for right in rights
        ]:
            return False
    return all(
        key in value or "" in (rights if isinstance(rights, list) else [rights]) for key, rights in accepted.items()
    )


def _objects(value: list[Any], accepted: list[Any]) -> str | None:
    """A list of objects equals an accepted one of the same length, in order."""
    for each in accepted:
        rights = [] if isinstance(each, str) and not each else each
        if not isinstance(rights, list) or len(rights) != len(value):
            continue
        if all(
            isinstance(part, dict) and _object(part, [right]) is None for part, right in zip(value, rights, strict=True)
        ):
            return None
    return "value"
