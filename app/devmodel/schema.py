"""A valid instance for a JSON Schema: what structured output asks of a model.

The filler covers what structured-output schemas use (objects, arrays, enums, bounds, formats, combinations, local
references) and checks its own work: what does not validate is refused, never returned.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import msgspec

from app.devmodel.errors import RequestError
from app.devmodel.scalars import Schema, UnfillableError, number, string

Suggest = Callable[[str, Schema], Any]

_MOST_NODES = 5_000
_DEEPEST = 24
# Below this depth optional parts are left out and the simplest alternative is tried first, so that recursive types end.
_SIMPLE_BELOW = 4


def nothing(_name: str, _schema: Schema) -> Any:
    """A suggestion for no field at all."""
    return None


def instance(schema: Schema | bool, suggest: Suggest = nothing) -> Any:
    """An instance that is valid under `schema`. `suggest(name, subschema)` may propose a value for a field, or None.

    Raises RequestError (400) when the schema is not one, or when no instance was found.
    """
    validator = _validator(msgspec.json.encode(schema))
    try:
        value = _Filler(schema if isinstance(schema, dict) else {}, suggest).fill(schema, "", 0, 0)
    except UnfillableError as error:
        raise _refused(str(error)) from error
    if problem := next(iter(validator.iter_errors(value)), None):
        raise _refused(str(problem.message))
    return value


def valid(schema: Schema, value: Any) -> bool:
    """Whether a value is valid under a schema. Raises RequestError (400) when the schema is not one."""
    return bool(_validator(msgspec.json.encode(schema)).is_valid(value))


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> Any:
    import jsonschema_rs

    try:
        return jsonschema_rs.validator_for(msgspec.json.decode(schema), validate_formats=True, offline=True)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        why = str(error).partition("\n")[0]
        raise RequestError(f"not a usable JSON Schema: {why}", param="response_format") from error


def _refused(why: str) -> RequestError:
    return RequestError(f"the development model cannot fill this schema: {why}", param="response_format")


class _Filler:
    """Walks one schema. `variant` makes the elements of a `uniqueItems` array differ."""

    def __init__(self, root: Schema, suggest: Suggest) -> None:
        self._root = root
        self._suggest = suggest
        self._nodes = 0

    def fill(self, schema: Schema | bool, name: str, depth: int, variant: int) -> Any:
        self._nodes += 1
        if self._nodes > _MOST_NODES or depth > _DEEPEST:
            raise UnfillableError("it nests without end")
        if schema is False:
            raise UnfillableError(f"nothing is allowed at {name or 'the top'!r}")
        if schema is True:
            return None
        if "$ref" in schema:
            return self.fill(
                self._merged([self._resolve(schema["$ref"]), _without(schema, "$ref")]), name, depth + 1, variant
            )
        if "const" in schema:
            return schema["const"]
        if "allOf" in schema:
            return self.fill(self._merged([*schema["allOf"], _without(schema, "allOf")]), name, depth + 1, variant)
        proposed = self._suggest(name, schema) if variant == 0 else None
        if "enum" in schema:
            options = [one for one in schema["enum"] if _is_type(one, schema.get("type"))]
            if not options:
                raise UnfillableError(f"the enum at {name!r} has no value of its type")
            # 0 is no False here, although Python takes them for equal.
            named = [one for one in options if type(one) is type(proposed) and one == proposed]
            return (named or options)[0 if named else variant % len(options)]
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._one_of(schema, key, name, depth, variant)
        return self._typed(schema, name, depth, variant, proposed)

    def _typed(self, schema: Schema, name: str, depth: int, variant: int, proposed: Any) -> Any:
        for kind in _kinds(schema, simplest=depth >= _SIMPLE_BELOW):
            if kind == "object":
                return self._object(schema, depth)
            if kind == "array":
                return self._array(schema, name, depth)
            if kind == "string":
                return string(schema, proposed if isinstance(proposed, str) else name or "text", name, variant)
            if kind in ("integer", "number"):
                return number(schema, proposed, whole=kind == "integer", variant=variant)
            if kind == "boolean":
                return proposed if isinstance(proposed, bool) else variant % 2 == 1
            if kind == "null":
                return None
        raise UnfillableError(f"the type {schema.get('type')!r} at {name!r} is not known")

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        properties: dict[str, Schema | bool] = schema.get("properties", {})
        required = list(schema.get("required", ()))
        extra: Schema | bool = schema.get("additionalProperties", True)
        filled: dict[str, Any] = {}
        for name in dict.fromkeys([*properties, *required]):
            if name in required:
                filled[name] = self.fill(properties.get(name, extra), name, depth + 1, 0)
            elif depth < _SIMPLE_BELOW and len(filled) < schema.get("maxProperties", len(properties)):
                try:
                    filled[name] = self.fill(properties[name], name, depth + 1, 0)
                except UnfillableError:
                    continue  # an optional property that cannot be filled is left out
        for missing in range(schema.get("minProperties", 0) - len(filled)):
            filled[f"field_{missing + 1}"] = self.fill(extra, f"field_{missing + 1}", depth + 1, 0)
        return filled

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        first: list[Any] = schema.get("prefixItems", [])
        least = schema.get("minItems", 0)
        wanted = max(least, len(first), 1 if depth < _SIMPLE_BELOW else 0)
        wanted = min(wanted, schema.get("maxItems", wanted))
        items = schema.get("items", True)
        filled: list[Any] = []
        try:
            for place in range(wanted):
                part = first[place] if place < len(first) else items
                filled.append(self.fill(part, name, depth + 1, place if schema.get("uniqueItems") else 0))
        except UnfillableError:
            if len(filled) < least:
                raise
        return filled

    def _one_of(self, schema: Schema, key: str, name: str, depth: int, variant: int) -> Any:
        import jsonschema_rs

        rest = _without(schema, key)
        branches = [self._merged([branch, rest]) for branch in schema[key] if branch is not False]
        if depth >= _SIMPLE_BELOW:
            branches.sort(key=lambda one: _weight(one, self._root))
        why = f"no alternative at {name!r} can be filled"
        for branch in branches:
            try:
                value = self.fill(branch, name, depth + 1, variant)
            except UnfillableError as error:
                why = str(error)
                continue
            if key == "anyOf" or jsonschema_rs.is_valid({**_definitions(self._root), **schema}, value):
                return value
        raise UnfillableError(why)

    def _resolve(self, reference: str) -> Schema | bool:
        if not reference.startswith("#"):
            raise UnfillableError(f"only references inside the schema are followed, not {reference!r}")
        found: Any = self._root
        for part in reference[1:].split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(part)] if isinstance(found, list) else found[part]
            except (KeyError, IndexError, ValueError, TypeError) as error:
                raise UnfillableError(f"{reference!r} leads nowhere") from error
        return found if isinstance(found, bool) else dict(found)

    def _merged(self, parts: list[Any]) -> Schema | bool:
        """One schema that demands what all parts demand, as far as structured output's keywords go."""
        merged: Schema = {}
        for part in parts:
            if part is False:
                return False
            if part is True:
                continue
            while "$ref" in part:
                resolved = self._resolve(part["$ref"])
                if resolved is False:
                    return False
                part = {**(resolved if isinstance(resolved, dict) else {}), **_without(part, "$ref")}
                self._nodes += 1
                if self._nodes > _MOST_NODES:
                    raise UnfillableError("it refers to itself")
            for key, value in part.items():
                merged[key] = _joined(key, merged[key], value) if key in merged else value
        return merged


def _joined(key: str, one: Any, other: Any) -> Any:
    if key == "properties":
        return {**one, **{name: {"allOf": [one[name], sub]} if name in one else sub for name, sub in other.items()}}
    if key == "required":
        return list(dict.fromkeys([*one, *other]))
    if key in ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"):
        return max(one, other)
    if key in ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"):
        return min(one, other)
    if key == "enum":
        return [value for value in one if value in other]
    if key == "type":
        kinds = [one] if isinstance(one, str) else one
        others = [other] if isinstance(other, str) else other
        return [kind for kind in kinds if kind in others or (kind == "integer" and "number" in others)] or (
            ["integer"] if "integer" in others and "number" in kinds else []
        )
    return other


def _without(schema: Schema, key: str) -> Schema:
    return {name: value for name, value in schema.items() if name != key}


def _definitions(root: Schema) -> Schema:
    return {key: root[key] for key in ("$defs", "definitions") if key in root}


def _kinds(schema: Schema, *, simplest: bool) -> Iterator[str]:
    declared = schema.get("type")
    kinds = [declared] if isinstance(declared, str) else list(declared or ())
    if not kinds:
        kinds = [kind for kind, signs in _SIGNS.items() if signs & schema.keys()] or ["string"]
    order = ("null", "boolean", "integer", "number", "string", "array", "object")
    yield from sorted(
        kinds, key=lambda one: (one == "null") if not simplest else order.index(one) if one in order else 9
    )


_SIGNS = {
    "object": {"properties", "required", "additionalProperties", "minProperties"},
    "array": {"items", "prefixItems", "minItems", "uniqueItems"},
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}


def _weight(schema: Schema | bool, root: Schema) -> int:
    """How heavy an alternative is: null and scalars before arrays before objects and references."""
    if isinstance(schema, bool):
        return 0
    if "$ref" in schema or root is schema:
        return 4
    kind = next(_kinds(schema, simplest=True), "string")
    return {"null": 0, "array": 2, "object": 3}.get(kind, 1)


def _is_type(value: Any, declared: Any) -> bool:
    if declared is None:
        return True
    kinds = [declared] if isinstance(declared, str) else declared
    actual = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    kind = "null" if value is None else actual[type(value)]
    return kind in kinds or (kind == "integer" and "number" in kinds)
