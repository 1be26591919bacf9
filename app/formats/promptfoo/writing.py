"""Prompts, suites, items and endpoints of ours as promptfoo's configs."""

import json
import re
from typing import Any

from app.formats.foreign import in_tags, literal
from app.formats.schemas import Exported, Project
from app.formats.writing import Losses
from app.kit.documents import dump

_TOJSON = re.compile(r"(\|\s*)tojson\b")
_NAMED = re.compile(r"\{\{\s*(\w+)\s*\}\}", re.ASCII)
_KEPT_ITEM = frozenset({"id", "inputs", "reference", "tags", "metadata"})


def write_promptfoo(project: Project) -> Exported:
    """One folder per suite with a `promptfooconfig.yaml`; without suites one config with the prompts alone."""
    losses = Losses()
    prompts = _prompts(project, losses)
    files: dict[str, bytes] = {}
    for name, suite in (project.suites or {"": {}}).items():
        folder = f"{name}/" if name else ""
        config = _config(name, suite, project, losses)
        listed = [{"id": f"file://prompts/{prompt}.json", "label": prompt} for prompt in prompts]
        files[f"{folder}promptfooconfig.yaml"] = dump({"prompts": listed, **config}).encode()
        for prompt, messages in prompts.items():
            text = json.dumps(messages, ensure_ascii=False, indent=2)
            files[f"{folder}prompts/{prompt}.json"] = f"{text}\n".encode()
    return Exported(files, losses.found)


def _prompts(project: Project, losses: Losses) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for name, content in project.prompts.items():
        where = f"prompts/{name}"
        if any("placeholder" in message for message in content["messages"]):
            losses.add(where, "the prompt is left out: promptfoo has no placeholders for messages")
            continue
        losses.fields(where, content, {"messages", "variables"})
        found[name] = [
            {"role": m["role"], "content": in_tags(_TOJSON, r"\1dump", m["content"])} for m in content["messages"]
        ]
        for variable, schema in content.get("variables", {}).items():
            if schema.get("default", "") != "":
                losses.add(
                    where, f"the default of the variable {variable!r} is not kept; promptfoo shows nothing instead"
                )
    return found


def _config(name: str, suite: dict[str, Any], project: Project, losses: Losses) -> dict[str, Any]:
    where = f"suites/{name}"
    losses.fields(where, suite, {"description", "dataset", "endpoints", "repeats", "scorers"})
    config: dict[str, Any] = {}
    if suite.get("description"):
        config["description"] = suite["description"]
    endpoints = suite.get("endpoints", list(project.endpoints))
    providers = [p for each in endpoints if (p := _provider(each, project.endpoints.get(each), losses)) is not None]
    if providers:
        config["providers"] = providers
    if suite.get("repeats", 1) != 1:
        config["evaluateOptions"] = {"repeat": suite["repeats"]}
    scorers = suite.get("scorers", [])
    everywhere = [each for each in scorers if not each.get("when") and not _refers(each)]
    shared = [a for each in everywhere if (a := assertion(each, None, where, losses)) is not None]
    if shared:
        config["defaultTest"] = {"assert": shared}
    items = project.items.get(suite.get("dataset", ""), [])
    if items:
        own = [each for each in scorers if each not in everywhere]
        tags = {tag for each in scorers for tag in each.get("when", [])}
        config["tests"] = [_test(item, own, tags, where, losses) for item in items]
    return config


def _test(
    item: dict[str, Any], scorers: list[dict[str, Any]], own_tags: set[str], where: str, losses: Losses
) -> dict[str, Any]:
    dataset = where.replace("suites/", "datasets/", 1)
    losses.fields(dataset, item, _KEPT_ITEM)
    metadata = dict(item.get("metadata", {}))
    test: dict[str, Any] = {}
    if isinstance(metadata.get("description"), str):
        test["description"] = metadata.pop("description")
    test["vars"] = {name: _variable(value, item["inputs"], dataset, losses) for name, value in item["inputs"].items()}
    if any(isinstance(value, list) for value in item["inputs"].values()):
        test["options"] = {"disableVarExpansion": True}
    if tags := [tag for tag in item.get("tags", []) if tag not in own_tags]:
        metadata["tags"] = tags
    if metadata:
        test["metadata"] = metadata
    wanted = [each for each in scorers if not each.get("when") or set(each["when"]) & set(item.get("tags", []))]
    asserts = [a for each in wanted if (a := assertion(each, item.get("reference"), where, losses)) is not None]
    if asserts:
        test["assert"] = asserts
    return test


def _variable(value: Any, inputs: dict[str, Any], where: str, losses: Losses) -> Any:
    """A variable as promptfoo gives it back: it takes off one last line break, and fills in the case's other variables."""
    if not isinstance(value, str):
        return value
    if any(name in inputs for name in _NAMED.findall(value)):
        losses.add(where, "an input that names another in braces is filled in by promptfoo")
    return f"{value}\n" if value.endswith("\n") else value


def _shown(value: Any) -> Any:
    """What an assertion expects, so that promptfoo shows it as it is: it fills in templates."""
    if isinstance(value, str):
        return literal(value)
    if isinstance(value, list):
        return [_shown(each) for each in value]
    return value


def _refers(scorer: dict[str, Any]) -> bool:
    use = scorer["use"]
    return use == "exact_match" or (use in ("contains", "starts_with") and "values" not in scorer.get("args", {}))


def assertion(scorer: dict[str, Any], reference: Any, where: str, losses: Losses) -> dict[str, Any] | None:
    """The assertion that a scorer is for a case with this reference; None, with a loss, where promptfoo has none."""
    use, args = scorer["use"], dict(scorer.get("args", {}))
    if _refers(scorer) and reference is None:
        return None
    made = _kind(use, args, reference)
    if made is None or args:
        shown = scorer.get("name", use)
        losses.add(
            where, f"the scorer {shown!r} has no counterpart in promptfoo with this reference or these arguments"
        )
        return None
    if "name" in scorer:
        made["metric"] = scorer["name"]
    if scorer.get("weight", 1) != 1:
        made["weight"] = scorer["weight"]
    return made


def _kind(use: str, args: dict[str, Any], reference: Any) -> dict[str, Any] | None:
    """Takes out of `args` what it could express."""
    if use == "exact_match" and not isinstance(reference, list):
        value = reference if isinstance(reference, dict) else _text(reference)
        return {"type": "equals", "value": _shown(value)}
    if use in ("contains", "starts_with"):
        values = args.pop("values", reference)
        mode, prefix = args.pop("mode", None), "i" if args.pop("ignore_case", False) else ""
        if use == "starts_with":
            single = not isinstance(values, list | dict) and not prefix and mode is None
            return {"type": "starts-with", "value": _shown(_text(values))} if single else None
        if isinstance(values, list):
            texts = [_shown(_text(each)) for each in values]
            return {"type": f"{prefix}contains-{mode or 'any'}", "value": texts}
        return {"type": f"{prefix}contains", "value": _shown(_text(values))} if mode is None else None
    if use == "regex":
        return {"type": "regex", "value": _shown(args.pop("pattern"))}
    if use == "is_json":
        return {"type": "is-json"}
    if use == "json_schema":
        return {"type": "is-json", "value": args.pop("schema")}
    if use in ("cost", "latency") and "threshold" in args:
        return {"type": use, "threshold": args.pop("threshold")}
    if use == "length" and args.get("unit") == "words" and {"min", "max"} & args.keys():
        args.pop("unit")
        return {"type": "word-count", "value": {key: args.pop(key) for key in ("min", "max") if key in args}}
    return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _provider(name: str, content: dict[str, Any] | None, losses: Losses) -> dict[str, Any] | None:
    where = f"endpoints/{name}"
    if content is None or content["provider"] not in ("openai", "compatible"):
        losses.add(where, "this endpoint is not given, or promptfoo has no counterpart for it")
        return None
    losses.fields(where, content, {"provider", "model", "base_url", "api_key", "params"})
    config: dict[str, Any] = dict(content.get("params", {}))
    address = content.get("base_url")
    if address is not None:
        config["apiBaseUrl"] = address if isinstance(address, str) else f"{{{{env.{address['env']}}}}}"
    if content.get("api_key"):
        config["apiKeyEnvar"] = content["api_key"]["env"]
    return {"id": f"openai:chat:{content['model']}", "label": name, **({"config": config} if config else {})}
