"""Compiling JSON Schemas that users wrote: no remote references, no backtracking patterns, no exponential schemas."""

from typing import Any

import jsonschema_rs

# Evaluations that one instance may cost at most; about 10 ns each.
LIMIT = 1_000_000

# Keywords whose subschemas look at the same value, and those whose subschemas look at a part of it.
_SAME_ONE = ("additionalItems", "not", "if", "then", "else")
_SAME_MANY = ("allOf", "anyOf", "oneOf")
_SAME_BY_KEY = ("dependentSchemas", "dependencies")
_PART_ONE = (
    "additionalProperties",
    "unevaluatedProperties",
    "unevaluatedItems",
    "items",
    "contains",
    "propertyNames",
)
_PART_MANY = ("items", "prefixItems")
_PART_BY_KEY = ("properties", "patternProperties")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class SchemaError(ValueError):
    """The schema is refused. `pointer` is the JSON pointer of the faulty part within it."""

    def __init__(self, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.pointer = pointer


def compile_schema(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    """A validator for the schema. Raises SchemaError with the place and the reason; opens no file and no socket."""
    try:
        validator = jsonschema_rs.validator_for(
            schema, offline=True, pattern_options=jsonschema_rs.RegexOptions(), ignore_unknown_formats=True
        )
        cost = _Cost(schema).of(schema)
    except jsonschema_rs.ValidationError as exc:
        raise SchemaError(_reason(exc), "".join(f"/{_escape(str(part))}" for part in exc.instance_path)) from exc
    except (ValueError, RecursionError) as exc:  # a lone surrogate, a number JSON has not, endless nesting
        raise exc if isinstance(exc, SchemaError) else SchemaError(f"the schema cannot be read: {exc}") from exc
    if cost > LIMIT:
        raise SchemaError(
            "the schema is exponential: its references multiply; repeat fewer of them in allOf and the like"
        )
    return validator


def _reason(exc: jsonschema_rs.ValidationError) -> str:
    if "Retrieval is disabled" in exc.message or "not present in a registry" in exc.message:
        return f"remote references are refused; put the schema under $defs ({exc.message.partition(' is not')[0]})"
    if 'is not a "regex"' in exc.message:
        return f"{exc.message}; patterns are linear-time: no look-around, no back-references"
    return exc.message


class _Cost:
    """Upper bound of the evaluations along one path into an instance; recursion counts once per reference.

    Validators evaluate a shared subschema once per reference to it, so twenty `allOf` of two references each to the
    next cost a million evaluations.
    """

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._known: dict[int, int] = {}
        self._open: set[int] = set()

    def of(self, schema: Any) -> int:
        if not isinstance(schema, dict) or id(schema) in self._open:
            return 1
        if id(schema) not in self._known:
            self._open.add(id(schema))
            same, parts = self._children(schema)
            deepest = max((self.of(each) for each in parts), default=0)
            self._known[id(schema)] = min(LIMIT + 1, 1 + sum(self.of(each) for each in same) + deepest)
            self._open.discard(id(schema))
        return self._known[id(schema)]

    def _children(self, schema: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        same = [schema[key] for key in _SAME_ONE if key in schema]
        same += [each for key in _SAME_MANY for each in schema.get(key, ())]
        same += [each for key in _SAME_BY_KEY for each in schema.get(key, {}).values()]
        same += [self._target(schema[key]) for key in _REFERENCES if isinstance(schema.get(key), str)]
        parts = [schema[key] for key in _PART_ONE if key in schema]
        parts += [each for key in _PART_MANY if isinstance(schema.get(key), list) for each in schema[key]]
        parts += [each for key in _PART_BY_KEY for each in schema.get(key, {}).values()]
        return same, parts

    def _target(self, reference: str) -> Any:
        if not reference.startswith("#"):
            if reference.startswith(("https://json-schema.org/", "http://json-schema.org/")):
                return True  # the validator's own meta-schemas
            raise SchemaError(f"reference {reference!r}: refer to a part of this schema, such as #/$defs/name")
        if not reference.startswith("#/") and reference != "#":
            return self._anchored(self._root, reference[1:])
        target: Any = self._root
        for part in reference.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            target = target[int(key)] if isinstance(target, list) else target.get(key, True)
        return target

    def _anchored(self, schema: Any, anchor: str) -> Any:
        if isinstance(schema, dict):
            if anchor in (schema.get("$anchor"), schema.get("$dynamicAnchor")):
                return schema
            schema = list(schema.values())
        if isinstance(schema, list):
            for each in schema:
                if (found := self._anchored(each, anchor)) is not True:
                    return found
        return True


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")
