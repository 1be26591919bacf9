"""Prompts, suites, items and endpoints of ours as promptfoo's configs."""

import json
import re
from typing import Any

from app.formats.foreign import in_tags
from app.formats.promptfoo.asserting import assertion, refers
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
    everywhere = [each for each in scorers if not each.get("when") and not refers(each)]
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
    asserts = [a for each in wanted if (a := assertion(each, item, where, losses)) is not None]
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
