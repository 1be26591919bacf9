"""Prompts of ours as GitHub's `.prompt.yml`, each with the items and scorers of its suite."""

import json
import re
from typing import Any

from app.formats.foreign import plain_variables
from app.formats.schemas import Exported, Project
from app.formats.writing import Losses
from app.kit.documents import dump

_EXPECTED = "{{expected}}"


def write_prompt_yml(project: Project) -> Exported:
    """`<name>.prompt.yml` per prompt. Its suite is the one of its name, or the only one there is."""
    losses = Losses()
    files: dict[str, bytes] = {}
    for name, content in project.prompts.items():
        written = _file(name, content, project, losses)
        if written is not None:
            files[f"{name}.prompt.yml"] = dump(written).encode()
    return Exported(files, losses.found)


def _file(name: str, content: dict[str, Any], project: Project, losses: Losses) -> dict[str, Any] | None:
    where = f"prompts/{name}"
    messages = []
    for message in content["messages"]:
        text = plain_variables(message["content"]) if "content" in message else None
        if text is None:
            losses.add(
                where,
                "the prompt is left out: the format knows messages with variables, no placeholders, `if` or `for`",
            )
            return None
        messages.append({"role": message["role"], "content": text})
    losses.fields(where, content, {"messages", "variables", "description", "params", "response_format", "metadata"})
    losses.fields(where, content.get("metadata", {}), {"title"})
    for variable, schema in content.get("variables", {}).items():
        if schema != {"type": "string"}:
            losses.add(where, f"the schema of the variable {variable!r} is not kept")
    suite_name = name if name in project.suites else next(iter(project.suites), "") if len(project.suites) == 1 else ""
    suite = project.suites.get(suite_name, {})
    written: dict[str, Any] = {
        "name": content.get("metadata", {}).get("title"),
        "description": content.get("description"),
    }
    written |= {"model": _model(suite.get("endpoints", list(project.endpoints)), project, losses)}
    written |= {"modelParameters": {_camel(key): value for key, value in content.get("params", {}).items()}}
    written |= {"messages": messages, **_format(content.get("response_format", {}))}
    if suite:
        losses.fields(f"suites/{suite_name}", suite, {"dataset", "endpoints", "scorers"})
        items = project.items.get(suite["dataset"], [])
        written["testData"] = [_row(item, suite["dataset"], losses) for item in items]
        written["evaluators"] = _evaluators(suite["scorers"], f"suites/{suite_name}", losses)
    return {key: value for key, value in written.items() if value not in (None, "", [], {})}


def _model(endpoints: list[str], project: Project, losses: Losses) -> str | None:
    for other in endpoints[1:]:
        losses.add(f"endpoints/{other}", "a file names one model; the first endpoint of the suite is kept")
    content = project.endpoints.get(endpoints[0]) if endpoints else None
    if content is None or content["provider"] != "openai":
        if endpoints:
            losses.add(f"endpoints/{endpoints[0]}", "the endpoint is not kept: it is not given, or not OpenAI's")
        return None
    losses.fields(f"endpoints/{endpoints[0]}", content, {"provider", "model", "api_key"})
    return f"openai/{content['model']}"


def _format(form: dict[str, Any]) -> dict[str, Any]:
    if form.get("type", "text") == "text":
        return {}
    schema = {"jsonSchema": json.dumps(form["json_schema"], ensure_ascii=False)} if "json_schema" in form else {}
    return {"responseFormat": form["type"], **schema}


def _row(item: dict[str, Any], dataset: str, losses: Losses) -> dict[str, Any]:
    losses.fields(f"datasets/{dataset}", item, {"id", "inputs", "reference"})
    reference = item.get("reference")
    if "expected" in item["inputs"]:
        losses.add(f"datasets/{dataset}", "the input `expected` means the reference in this format")
    return {**item["inputs"], **({} if reference is None else {"expected": reference})}


def _evaluators(scorers: list[dict[str, Any]], where: str, losses: Losses) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for scorer in scorers:
        use, args = scorer["use"], scorer.get("args", {})
        rule = {"contains": "contains", "starts_with": "startsWith", "exact_match": "equals"}.get(use)
        values = args.get("values", _EXPECTED)
        if (
            rule is None
            or not isinstance(values, str)
            or ("{{" in values and values != _EXPECTED)
            or args.keys() - {"values"}
        ):
            losses.add(where, f"the scorer {scorer.get('name', use)!r} has no counterpart in this format")
            continue
        losses.fields(f"{where}#{scorer.get('name', use)}", scorer, {"use", "name", "args"})
        found.append({"name": scorer.get("name", use), "string": {rule: values}})
    return found


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)
