"""Counting tokens with OpenAI's vocabularies where they are to be had, else an estimate that says it is one.

The vocabularies are not part of tiktoken; it downloads them. A service that counts must not hang on a network that is not
there, and a count must not change in the middle of a run, so nothing is downloaded: a vocabulary is used when it lies in
tiktoken's cache (`TIKTOKEN_CACHE_DIR`, or its default folder, which `tiktoken.get_encoding("o200k_base")` fills once).
"""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators.tokens import TokenCount, estimate

if TYPE_CHECKING:
    import tiktoken

DEFAULT_ENCODING = "o200k_base"
_FILES = {
    "o200k_base": "o200k_base",
    "o200k_harmony": "o200k_base",
    "cl100k_base": "cl100k_base",
    "p50k_base": "p50k_base",
    "p50k_edit": "p50k_base",
    "r50k_base": "r50k_base",
}
ENCODINGS = tuple(_FILES)
_ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
_MAX_CHARS = 1024 * 1024
"""Longer texts are estimated: tiktoken's regular expression can overflow its stack on one endless word."""


class UnknownEncodingError(ValueError):
    """No encoding has this name; the message lists those that exist."""


class Tokens:
    """The counter of this process: `evaluators.tokens.set_counter(tokens.count)` hands it to the scorers.

    `environ` must be the process's own, as tiktoken reads its variables itself. The first count with a vocabulary takes some
    tenths of a second to load it: call it off the event loop.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        folder = environ.get("TIKTOKEN_CACHE_DIR", environ.get("DATA_GYM_CACHE_DIR"))
        self._folder = (
            Path(tempfile.gettempdir()) / "data-gym-cache" if folder is None else Path(folder) if folder else None
        )
        self._loaded: dict[str, tiktoken.Encoding] = {}

    def count(self, text: str, model: str | None = None) -> TokenCount:
        """Tokens of `text` for `model`: exact only for OpenAI's models (or no model: the most common encoding)."""
        from tiktoken.model import encoding_name_for_model

        try:
            name = encoding_name_for_model(model) if model is not None else DEFAULT_ENCODING
        except KeyError:
            counted = self.count_in(text, DEFAULT_ENCODING)
            return TokenCount(
                counted.tokens, False, f"{counted.source}, not the model's own" if counted.exact else counted.source
            )
        return self.count_in(text, name)

    def count_in(self, text: str, encoding: str) -> TokenCount:
        """Tokens of `text` in an encoding of tiktoken's. Raises `UnknownEncodingError`."""
        if encoding not in _FILES:
            raise UnknownEncodingError(f"there is no encoding {encoding!r}; encodings are {', '.join(ENCODINGS)}")
        loaded = self._encoding(encoding) if len(text) <= _MAX_CHARS else None
        if loaded is None:
            return estimate(text)
        return TokenCount(len(loaded.encode_ordinary(text)), True, encoding)

    def _encoding(self, name: str) -> "tiktoken.Encoding | None":
        loaded = self._loaded.get(name)
        if loaded is None and self._folder is not None:
            key = hashlib.sha1(_ADDRESS.format(_FILES[name]).encode(), usedforsecurity=False).hexdigest()
            if (self._folder / key).is_file():
                import tiktoken

                loaded = self._loaded[name] = tiktoken.get_encoding(name)
        return loaded
