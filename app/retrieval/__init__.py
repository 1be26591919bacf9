"""Executing a RAG config: cut a corpus into chunks, index them once, retrieve."""
