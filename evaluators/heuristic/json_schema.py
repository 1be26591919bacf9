"""Whether the output fits a JSON Schema."""

import functools
import itertools
from typing import Any

import jsonschema_rs

from evaluators import jsondata
from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.jsonschemas import SchemaError, compile_schema
from evaluators.text import clip

_SHOWN = 5


class JSONSchema(Scorer, frozen=True):
    """1 when the output is JSON that fits `schema`, else 0; an output that is not JSON is unparsable (0).

    The schema's draft is the one that `$schema` names, else 2020-12. References must stay within the schema, patterns
    are linear-time. Range {0, 1}, higher is better. Source: json-schema.org, by jsonschema-rs.
    """

    name = "json_schema"
    binary = True
    example = {"schema": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}}

    schema: dict[str, Any]

    def check(self) -> None:
        super().check()
        if not self.schema:
            message = "every JSON value fits an empty schema; use is_json"
            raise ScorerConfigError(message, "/args/schema")
        self._validator  # noqa: B018 - compiling is the check

    @functools.cached_property
    def _validator(self) -> jsonschema_rs.Validator:
        try:
            return compile_schema(self.schema)
        except SchemaError as exc:
            raise ScorerConfigError(f"{exc}", f"/args/schema{exc.pointer}") from exc

    def measure(self, sample: Sample) -> Score:
        try:
            value = jsondata.parse(sample.output)
        except jsondata.NotJSONError as exc:
            return Score.unparsable(f"{exc}; found {clip(sample.output)}")
        if self._validator.is_valid(value):
            return self.scored(1.0, "the output fits the schema")
        errors = [
            {"pointer": "".join(f"/{part}" for part in each.instance_path), "message": each.message[:300]}
            for each in itertools.islice(self._validator.iter_errors(value), _SHOWN)
        ]
        first = f"at {errors[0]['pointer'] or 'the top'}: {errors[0]['message']}"
        return self.scored(0.0, f"the output does not fit the schema, {first}", evidence={"errors": errors})
