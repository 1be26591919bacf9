"""A request for every operation that takes a body, for the API's reference. Together they are one project: each can be sent in
the order in which they stand here, to the path that is given with it."""

from typing import Any, NamedTuple

JSON = "application/json"


class Example(NamedTuple):
    """`path` is where it can be sent, as far as that is known beforehand; `media_type` that of `body`."""

    path: str
    body: Any
    media_type: str = JSON


ANSWER = {
    "description": "Answers a question about the product from its documentation.",
    "messages": [
        {"role": "system", "content": "Answer from the context only.\n\n{{ context }}"},
        {"role": "user", "content": "{{ question }}"},
    ],
    "variables": {"question": {"type": "string"}, "context": {"type": "string", "default": ""}},
    "params": {"temperature": 0},
    "owner": "docs team",
    "tags": ["docs"],
}
ITEM = {
    "id": "q1",
    "inputs": {"question": "Which port does the service use?"},
    "reference": "8000",
    "tags": ["critical"],
    "recorded": {"gpt-5-mini": {"text": "It uses port 8000."}},
}
LABEL = {"version": 1, "reason": "reviewed by Ann"}
ACT = {"revision": 3, "reason": "the ratings fell"}

EXAMPLES: dict[str, Example] = {
    "create_project": Example("/projects", {"id": "shop", "name": "Web shop"}),
    "update_project": Example("/projects/shop", {"name": "Web shop, Europe"}),
    "create_key": Example("/keys", {"role": "engineer", "name": "Ann", "clearance": "confidential"}),
    "endpoints_create_version": Example(
        "/endpoints/recorded/versions",
        {"content": {"provider": "replay", "model": "gpt-5-mini"}, "message": "answers that were made elsewhere"},
    ),
    "tool_configs_create_version": Example(
        "/tool-configs/weather/versions",
        {
            "content": {
                "tools": [
                    {
                        "type": "function",
                        "function": {
                            "name": "weather",
                            "description": "The weather of a city today.",
                            "parameters": {
                                "type": "object",
                                "properties": {"city": {"type": "string"}},
                                "required": ["city"],
                            },
                        },
                    }
                ]
            }
        },
    ),
    "datasets_create_version": Example(
        "/datasets/questions/versions",
        {
            "content": {"items": [ITEM], "description": "What people asked.", "fields": {"metadata.user": "personal"}},
            "message": "first questions",
        },
    ),
    "datasets_change_items": Example(
        "/datasets/questions/items",
        {
            "put": [{"id": "q2", "inputs": {"question": "Is it free?"}, "reference": "Yes.", "split": "test"}],
            "message": "asked on Monday",
        },
    ),
    "rag_configs_create_version": Example(
        "/rag-configs/docs/versions",
        {"content": {"corpus": "questions", "retriever": {"kind": "bm25", "top_k": 3}, "query": "{{ question }}"}},
    ),
    "prompts_create_version": Example(
        "/prompts/docs%2Fanswer/versions", {"content": ANSWER, "message": "first version", "labels": ["staging"]}
    ),
    "rubrics_create_version": Example(
        "/rubrics/helpful/versions",
        {
            "content": {
                "instructions": "Does the answer help?\n\nQuestion: {{ inputs.question }}\nAnswer: {{ answer }}",
                "labels": {"yes": 1, "no": 0},
                "endpoint": "recorded",
            }
        },
    ),
    "gate_policies_create_version": Example(
        "/gate-policies/careful/versions",
        {
            "content": {
                "rules": [
                    {"metric": "right", "no_regression": {"margin": 0.1}},
                    {"metric": "right", "floor": 0.6},
                ],
                "rollout_rules": [{"feedback": {"signal": "thumbs", "no_worse_by": 0.05}}],
            }
        },
    ),
    "suites_create_version": Example(
        "/suites/docs/versions",
        {
            "content": {
                "dataset": "questions",
                "endpoints": ["recorded"],
                "scorers": [{"use": "contains", "name": "right"}],
                "policy": "careful",
            }
        },
    ),
    "endpoints_put_label": Example("/endpoints/recorded/labels/reviewed", LABEL),
    "tool_configs_put_label": Example("/tool-configs/weather/labels/reviewed", LABEL),
    "datasets_put_label": Example("/datasets/questions/labels/reviewed", LABEL),
    "rag_configs_put_label": Example("/rag-configs/docs/labels/reviewed", LABEL),
    "prompts_put_label": Example("/prompts/docs%2Fanswer/labels/reviewed", LABEL),
    "rubrics_put_label": Example("/rubrics/helpful/labels/reviewed", LABEL),
    "gate_policies_put_label": Example("/gate-policies/careful/labels/reviewed", LABEL),
    "suites_put_label": Example("/suites/docs/labels/reviewed", LABEL),
    "prompts_render": Example(
        "/prompts/docs%2Fanswer/versions/staging/render", {"variables": {"question": "Which port is it?"}}
    ),
    "sync": Example(
        "/sync",
        {
            "mode": "plan",
            "files": [
                {
                    "path": "prompts/docs/short.prompt.yaml",
                    "text": "messages:\n- role: user\n  content: 'In one word: {{ question }}'\n"
                    "variables:\n  question: {type: string}\n",
                }
            ],
            "commit": "4f2c9d1",
        },
    ),
    "import_project": Example(
        "/import",
        {
            "format": "openai",
            "mode": "plan",
            "files": [{"path": "prompt.json", "text": '{"id": "pmpt_68a1", "instructions": "Greet {{name}}."}'}],
        },
    ),
    "put_environment": Example(
        "/environments/production",
        {
            "prompts": {"docs/answer": {"suites": ["docs"], "policy": "careful"}},
            "approvals": 1,
            "rollout": {"steps": [0.1, 0.5]},
        },
    ),
    "create_run": Example(
        "/runs", {"suite": "docs", "candidates": [{"prompt": "docs/answer", "endpoint": "recorded"}], "max_cases": 1}
    ),
    "put_catalogue": Example(
        "/prompts/docs%2Fanswer/catalogue",
        {"owner": "docs team", "purpose": "Answers in the help centre.", "sunset_on": "2030-12-31"},
    ),
    "log_inference": Example(
        "/inferences",
        {
            "id": "message-7",
            "prompt": "docs/answer@1",
            "variables": {"question": "Is there a free plan?"},
            "output": "I do not know.",
            "unit": "customer-42",
        },
    ),
    "rate": Example(
        "/feedback",
        {
            "id": "message-7",
            "signal": "thumbs",
            "value": 0,
            "rater": "customer-42",
            "correction": "Yes, for small teams.",
        },
    ),
    "datasets_items_from_inference": Example(
        "/datasets/questions/items:from-inference", {"inferences": ["message-7"], "tags": ["from-production"]}
    ),
    "datasets_erase": Example("/datasets/questions/erase", {"ids": ["q2"], "reason": "the customer asked for it"}),
    "generate": Example(
        "/generate",
        {"prompt": "docs/answer", "endpoint": "a-live-endpoint", "variables": {"question": "Which port is it?"}},
    ),
    "evaluate_gate": Example(
        "/gates/evaluate",
        {"policy": "careful", "stage": "promote", "candidate": "run_<id>/c1", "baseline": "run_<id>/baseline"},
    ),
    "backtest_gate": Example(
        "/gates/backtest",
        {
            "metric": "right",
            "changes": [{"name": "rewording", "candidate": "run_<id>/c1:a", "baseline": "run_<id>/baseline:a"}],
        },
    ),
    "calibrate": Example(
        "/rubrics/helpful/calibrations",
        {
            "labels": [
                {"id": "q1", "human": "yes", "judge": "yes"},
                {"id": "q2", "human": "no", "judge": "yes"},
                {"id": "q3", "human": "no", "judge": "no"},
            ]
        },
    ),
    "create_label_queue": Example(
        "/rubrics/helpful/label-queue", {"run": "run_<id>", "n": 50, "by": "disagreement", "metric": "right"}
    ),
    "label_answer": Example("/rubrics/helpful/label-queue/lbq_<id>-0", {"human": "yes"}),
    "create_schedule": Example(
        "/schedules",
        {
            "name": "nightly",
            "cron": "0 3 * * *",
            "timezone": "Europe/Berlin",
            "suite": "docs",
            "candidates": [{"prompt": "docs/answer", "endpoint": "recorded"}],
            "fresh": True,
            "max_cases": 500,
        },
    ),
    "change_schedule": Example("/schedules/nightly", {"enabled": False}),
    "run_schedule": Example("/schedules/nightly/run", {}),
    "create_release": Example(
        "/releases",
        {"environment": "production", "prompt": "docs/answer@1", "endpoint": "recorded", "notes": "shorter answers"},
    ),
    "resume_run": Example("/runs/run_<id>/resume", {"budget_usd": 5}),
    "plan_run": Example(
        "/runs/plan",
        {
            "suite": "docs",
            "matrix": {"prompts": ["docs/answer"], "endpoints": ["recorded"], "params": [{}, {"temperature": 0}]},
        },
    ),
    "extend_run": Example("/runs/run_<id>/extend", {"max_cases": 2}),
    "clone_run": Example("/runs/run_<id>/clone", {"changes": {"max_cases": 2}}),
    "rescore_run": Example("/runs/run_<id>/rescore", {"suite": "docs"}),
    "evaluate_release": Example("/releases/rel_<id>/evaluate", {"reason": "the policy changed"}),
    "approve_release": Example("/releases/rel_<id>/approve", {"revision": 2, "reason": "read the flips"}),
    "reject_release": Example("/releases/rel_<id>/reject", ACT),
    "promote_release": Example("/releases/rel_<id>/promote", ACT),
    "pause_release": Example("/releases/rel_<id>/pause", ACT),
    "resume_release": Example("/releases/rel_<id>/resume", ACT),
    "rollback_release": Example("/releases/rel_<id>/rollback", ACT),
    "chat_completions": Example(
        "/v1/chat/completions",
        {
            "model": "docs/answer@production",
            "messages": [],
            "variables": {"question": "Which port is it?"},
            "unit": "customer-42",
        },
    ),
    "retire_prompt": Example("/prompts/docs%2Fanswer/retire", {"reason": "the help centre closed", "force": True}),
}
