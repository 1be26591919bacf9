"""The API's reference: an OpenAPI document with a request for every operation that takes one, and a page that works offline."""

from dataclasses import dataclass
from pathlib import Path

from litestar import Litestar, Router
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.openapi.spec import Components, OpenAPIMediaType, Operation, RequestBody, SecurityScheme
from litestar.routes import HTTPRoute
from litestar.static_files import create_static_files_router

from app.access.roles import PUBLIC
from app.examples import EXAMPLES

DOCS = "/docs"


@dataclass
class WithExample(Operation):
    """An operation whose body is shown by an example. Bodies that a handler reads by itself get one too."""

    def __post_init__(self) -> None:
        example = EXAMPLES.get(self.operation_id or "")
        if example is None:
            return
        body = self.request_body
        if isinstance(body, RequestBody):
            for content in body.content.values():
                content.example = example.body
        else:
            self.request_body = RequestBody(content={example.media_type: OpenAPIMediaType(example=example.body)})


def use_examples(app: Litestar) -> None:
    """Lets every operation of the document look for its example."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                handler.operation_class = WithExample


def config() -> OpenAPIConfig:
    static = f"{DOCS}/static"
    return OpenAPIConfig(
        title="Promptward",
        version="0.1.0",
        description="Prompts with their RAG and tool configuration: versioned, evaluated, judged.",
        openapi_router=Router(DOCS, route_handlers=[], opt={"permission": PUBLIC}),
        render_plugins=[
            SwaggerRenderPlugin(
                path="/",
                js_url=f"{static}/swagger-ui-bundle.js",
                css_url=f"{static}/swagger-ui.css",
                standalone_preset_js_url=f"{static}/swagger-ui-standalone-preset.js",
                favicon="<link rel='icon' href='data:,'>",
            )
        ],
        components=Components(
            security_schemes={"key": SecurityScheme(type="http", scheme="bearer", bearer_format="pw_<id>_<secret>")}
        ),
        security=[{"key": []}],
        use_handler_docstrings=True,
    )


def static_files() -> Router:
    folder = Path(__file__).parent / "web" / "static" / "swagger-ui"
    return create_static_files_router(f"{DOCS}/static", [folder], include_in_schema=False, opt={"permission": PUBLIC})
