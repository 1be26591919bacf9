"""What comes in and goes out, in the shapes of OpenAI's API. Fields that we do not know are ignored, as servers do."""

import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from app.devmodel.errors import RequestError
from app.devmodel.reading import Message
from app.devmodel.tools import Tool

FINGERPRINT = "devmodel-not-a-language-model"
NOT_A_MODEL = "Not a language model: answers by word overlap, for offline use of Promptward."
CHAT_MODELS = {
    "dev-large": "Extracts the best sentences of the context by IDF-weighted overlap of word stems with the question.",
    "dev-small": "Extracts sentences by counting equal words: worse than dev-large on purpose.",
    "dev-echo": "Answers with the question itself.",
}
EMBEDDING_MODELS = {"dev-embed": "Hashed bag of word stems, of unit length."}
_ROLES = frozenset(("system", "developer", "user", "assistant", "tool"))
_MISSING = re.compile(r"missing required field `(\w+)`(?: - at `\$(.*)`)?")

T = TypeVar("T")
Count = Annotated[int, msgspec.Meta(ge=1)]


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool = False


class NamedSchema(msgspec.Struct, frozen=True):
    schema: Any
    name: str = ""


class ResponseFormat(msgspec.Struct, frozen=True):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None


class ChatRequest(msgspec.Struct, frozen=True):
    """The fields of a chat completion request that decide something here."""

    model: str
    messages: list[Message]
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    stop: str | list[str] | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=128)] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    seed: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None


class EmbeddingRequest(msgspec.Struct, frozen=True):
    model: str
    input: str | list[str | int | list[int]]
    dimensions: Annotated[int, msgspec.Meta(ge=1, le=8192)] | None = None
    encoding_format: Literal["float", "base64"] = "float"

    def texts(self) -> list[str]:
        """What to embed; token numbers are taken for words."""
        given = self.input
        if isinstance(given, str):
            return [given]
        if all(isinstance(one, int) for one in given):
            return [" ".join(map(str, given))]
        return [" ".join(map(str, one)) if isinstance(one, list) else str(one) for one in given]


_chat = msgspec.json.Decoder(ChatRequest)
_embedding = msgspec.json.Decoder(EmbeddingRequest)
encode = msgspec.json.Encoder().encode


def chat_request(body: bytes) -> ChatRequest:
    """Decode and check a chat request. Raises RequestError (400) that names the field."""
    request = _decoded(_chat, body)
    if not request.messages:
        raise RequestError("messages is empty: at least one is needed", param="messages", code="empty_array")
    for place, message in enumerate(request.messages):
        if message.role not in _ROLES:
            raise RequestError(
                f"messages[{place}].role: {message.role!r} is not one of {sorted(_ROLES)}", param="messages"
            )
    wanted = request.response_format
    if wanted and wanted.type == "json_schema" and wanted.json_schema is None:
        raise RequestError("response_format.json_schema is missing", param="response_format")
    return request


def embedding_request(body: bytes) -> EmbeddingRequest:
    """Decode and check an embedding request. Raises RequestError (400) that names the field."""
    request = _decoded(_embedding, body)
    if not request.input or (isinstance(request.input, list) and any(one in ("", []) for one in request.input)):
        raise RequestError("input cannot be empty", param="input")
    return request


def _decoded(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        if missing := _MISSING.search(str(error)):
            path = f"{(missing[2] or '').lstrip('.')}.{missing[1]}".lstrip(".")
            raise RequestError(
                f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter"
            ) from error
        raise RequestError(str(error), param=_path(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"We could not parse the JSON body of your request: {error}") from error


def _path(message: str) -> str | None:
    found = re.search(r"at `\$\.?([^`]*)`", message)
    return found[1] or None if found else None


def tokens(text: str) -> int:
    """Tokens by our rule: four characters each, rounded up."""
    return -(-len(text) // 4)


def prompt_tokens(request: ChatRequest) -> int:
    """Tokens of all messages, three more for each, and those of the tools' definitions."""
    count = sum(tokens(one.text()) + 3 for one in request.messages)
    count += sum(tokens(str(call)) for one in request.messages for call in one.tool_calls or ())
    return count + (tokens(encode(request.tools).decode()) if request.tools else 0)


def usage(prompt: int, completion: int) -> dict[str, Any]:
    """The usage object."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def about() -> dict[str, Any]:
    """What `GET /` tells."""
    return {
        "name": "promptward devmodel",
        "what": NOT_A_MODEL,
        "is_a_language_model": False,
        "models": CHAT_MODELS | EMBEDDING_MODELS,
        "routes": ["POST /v1/chat/completions", "POST /v1/embeddings", "GET /v1/models", "GET /stats", "DELETE /stats"],
    }


def models(created: int) -> list[dict[str, Any]]:
    """The list of models, each with a description that says what it is not."""
    return [
        {
            "id": name,
            "object": "model",
            "created": created,
            "owned_by": "promptward-devmodel",
            "description": f"{NOT_A_MODEL} {told}",
        }
        for name, told in (CHAT_MODELS | EMBEDDING_MODELS).items()
    ]
