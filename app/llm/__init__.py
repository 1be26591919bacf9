"""Calls to model endpoints: clients, limits, retries, token counts and prices. The only importer of openai and tiktoken."""
