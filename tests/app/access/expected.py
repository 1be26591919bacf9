"""Who may do what, written down a second time: not taken from `app/access/roles.py`, so that a slip there is noticed."""

ALL = ("reader", "feedback", "server", "ci", "proposer", "engineer", "approver", "admin")
READERS = ("reader", "ci", "proposer", "engineer", "approver", "admin")
RUNNERS = ("ci", "proposer", "engineer", "admin")
PROPOSERS = ("proposer", "engineer", "admin")
ENGINEERS = ("engineer", "admin")
OPERATORS = ("engineer", "approver", "admin")
SERVERS = ("server", "engineer", "admin")
ADMINS = ("admin",)

PUBLIC = {"live", "ready"}
"""These need no key."""

KINDS = (
    "prompts",
    "rag_configs",
    "tool_configs",
    "datasets",
    "suites",
    "rubrics",
    "gate_policies",
    "endpoints",
)

OF_EVERY_KIND = {
    "list": READERS,
    "get": READERS,
    "list_versions": READERS,
    "get_version": READERS,
    "create_version": PROPOSERS,
    "delete_version": ENGINEERS,
    "archive": ENGINEERS,
    "restore": ENGINEERS,
    "list_labels": READERS,
    "get_label": READERS,
    "put_label": ENGINEERS,
    "delete_label": ENGINEERS,
    "label_history": READERS,
    "dependencies": READERS,
    "dependents": READERS,
    "diff": READERS,
}

OTHERS = {
    "list_keys": ADMINS,
    "create_key": ADMINS,
    "revoke_key": ADMINS,
    "list_projects": ADMINS,
    "create_project": ADMINS,
    "get_project": ADMINS,
    "update_project": ADMINS,
    "archive_project": ADMINS,
    "schema": READERS,
    "calibrate": RUNNERS,
    "list_calibrations": READERS,
    "get_calibration": READERS,
    "create_label_queue": RUNNERS,
    "list_label_queue": READERS,
    "label_answer": RUNNERS,
    "list_scorers": READERS,
    "get_scorer": READERS,
    "datasets_list_items": READERS,
    "datasets_export": READERS,
    "datasets_report": READERS,
    "datasets_change_items": PROPOSERS,
    "datasets_items_from_inference": PROPOSERS,
    "datasets_erase": ADMINS,
    "import_project": READERS,
    "export_project": READERS,
    "list_formats": READERS,
    "list_catalogue": READERS,
    "get_catalogue": READERS,
    "put_catalogue": ENGINEERS,
    "retire_prompt": ENGINEERS,
    "revive_prompt": ENGINEERS,
    "sync": READERS,
    "generate": RUNNERS,
    "prompts_render": READERS,
    "create_run": RUNNERS,
    "plan_run": RUNNERS,
    "extend_run": RUNNERS,
    "clone_run": RUNNERS,
    "list_runs": READERS,
    "metrics": READERS,
    "list_workers": ENGINEERS,
    "list_run_cases": READERS,
    "sum_up_run": READERS,
    "get_run": READERS,
    "watch_run": READERS,
    "list_results": READERS,
    "compare_run": READERS,
    "export_run": READERS,
    "cancel_run": RUNNERS,
    "resume_run": RUNNERS,
    "rescore_run": RUNNERS,
    "evaluate_gate": RUNNERS,
    "backtest_gate": RUNNERS,
    "list_verdicts": READERS,
    "get_verdict": READERS,
    "list_audit": READERS,
    "audit_checkpoint": READERS,
    "export_audit": READERS,
    "verify_audit": READERS,
    "list_schedules": READERS,
    "create_schedule": ENGINEERS,
    "get_schedule": READERS,
    "change_schedule": ENGINEERS,
    "delete_schedule": ENGINEERS,
    "run_schedule": ENGINEERS,
    "list_scheduled_runs": READERS,
    "leaderboard": READERS,
    "drift": READERS,
    "list_environments": READERS,
    "get_environment": READERS,
    "put_environment": ADMINS,
    "rate": ("feedback", *SERVERS),
    "list_feedback": READERS,
    "feedback_summary": READERS,
    "erase_rater": ADMINS,
    "log_inference": SERVERS,
    "get_inference": READERS,
    "create_release": PROPOSERS,
    "list_releases": READERS,
    "get_release": READERS,
    "evaluate_release": PROPOSERS,
    "approve_release": ("approver", "admin"),
    "reject_release": OPERATORS,
    "promote_release": OPERATORS,
    "pause_release": OPERATORS,
    "resume_release": OPERATORS,
    "rollback_release": OPERATORS,
    "get_live_prompt": ("server", *READERS),
    "chat_completions": SERVERS,
    "list_models": ("server", *READERS),
    "get_model": ("server", *READERS),
}

EXPECTED: dict[str, tuple[str, ...]] = {
    **{f"{kind}_{verb}": roles for kind in KINDS for verb, roles in OF_EVERY_KIND.items()},
    **{f"{kind}_scan": READERS for kind in KINDS if kind != "datasets"},
    **OTHERS,
}
"""Operation id → the roles that may."""

CREATES = {
    "put_environment",
    "erase_rater",
    "datasets_items_from_inference",
    *(f"{kind}_create_version" for kind in KINDS),
}
"""What a foreign name does not stop: each project has names of its own, so that another one's is simply not taken."""

GLOBAL = {"schema", "get_scorer", "list_formats"}
"""These read what no project owns."""

MANAGES_PROJECTS = {"list_projects", "create_project", "get_project", "update_project", "archive_project"}
"""Only for admins of `default`."""
