"""Whether there is JSON somewhere in the output."""

import contextlib
import functools
import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import jsonschema_rs

from evaluators import jsondata
from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.jsonschemas import SchemaError, compile_schema
from evaluators.text import clip, without_surrogates

# Characters that may be read, over all brackets that might open a value; a fifth of a second.
_MOST_WORK = 10_000_000
_MOST_VALUES = 1000
_STRETCH = 1 << 12
_OPENING = re.compile(r"\{(?=\s{0,99}[\"}])|\[(?=\s{0,99}[\[\]{\"\-0-9tfn])")


class ContainsJSON(Scorer, frozen=True):
    """1 when the output holds a JSON object or array, and with `schema` one that fits it, else 0.

    Values are looked for from left to right, each as long as it goes; what is within a value is not looked at again, and
    single numbers and texts do not count. JSON is as RFC 8259 has it, without NaN. The schema is as in json_schema. An
    empty output is 0; an output with more than 1,000 values, none of which fits, or with too many brackets that open
    nothing, is an error. Range {0, 1}, higher is better. Source: promptfoo's `contains-json`; json-schema.org.
    """

    name = "contains_json"
    binary = True
    example = {"schema": {"type": "object", "required": ["name"]}}

    schema: dict[str, Any] | None = None

    def check(self) -> None:
        super().check()
        if self.schema == {}:
            raise ScorerConfigError("every JSON value fits an empty schema; leave it out", "/args/schema")
        self._validator  # noqa: B018 - compiling is the check

    @functools.cached_property
    def _validator(self) -> jsonschema_rs.Validator | None:
        if self.schema is None:
            return None
        try:
            return compile_schema(self.schema)
        except SchemaError as exc:
            raise ScorerConfigError(f"{exc}", f"/args/schema{exc.pointer}") from exc

    def measure(self, sample: Sample) -> Score:
        count = 0
        try:
            for start, value in _values(without_surrogates(sample.output)):
                count += 1
                if self._validator is None or self._validator.is_valid(value):
                    fits = "" if self._validator is None else " that fits the schema"
                    return self.scored(1.0, f"there is JSON at character {start}{fits}", evidence={"start": start})
                if count == _MOST_VALUES:
                    return Score.error(
                        f"{self.name} looks at {_MOST_VALUES:,} values, and none of them fits the schema"
                    )
        except _TooMuchError:
            return Score.error(f"{self.name} would take too long: too many brackets open no JSON")
        if count:
            return self.scored(0.0, f"none of {count} JSON values fits the schema")
        return self.scored(0.0, f"there is no JSON object or array in the output; found {clip(sample.output)}")


class _TooMuchError(Exception):
    pass


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _values(text: str) -> Iterator[tuple[int, Any]]:
    decoder = json.JSONDecoder(parse_constant=_refuse, parse_float=str, parse_int=str)
    work = at = base = 0
    first = _OPENING.search(text)
    if first is not None and text.rstrip()[-1] in "]}":
        # Mostly the value goes to the end, and then it is read in one go.
        with contextlib.suppress(jsondata.NotJSONError):
            yield first.start(), jsondata.parse(text[first.start() :])
            return
    while (match := _OPENING.search(text, at)) is not None:
        at = match.start()
        if at > _STRETCH:  # a failure counts the lines before it: that must not grow with the text
            text, base, at = text[at:], base + at, 0
        try:
            _, end = decoder.raw_decode(text, at)
            yield base + at, jsondata.parse(text[at:end])
            at = end
        except json.JSONDecodeError as exc:
            work += exc.pos - at + 100
            at += 1
        except (ValueError, RecursionError):  # NaN, a number that no double holds, a thousand levels
            work += 10_000
            at += 1
        if work > _MOST_WORK:
            raise _TooMuchError
