"""The client of Promptward, a service that versions, evaluates and releases prompts.

from promptward import Client

with Client() as client:                      # PROMPTWARD_URL, PROMPTWARD_API_KEY
    prompt = client.prompts.get("docs/answer", label="production")
"""

from promptward.client import AsyncClient, Client
from promptward.errors import ConnectionFailedError, FieldProblem, PromptwardError

__all__ = ["AsyncClient", "Client", "ConnectionFailedError", "FieldProblem", "PromptwardError"]
