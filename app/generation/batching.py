"""Which bundles may be asked by an endpoint's Batch API, and at what price."""

import msgspec

from app.generation.schemas import Bundle


def unfit(bundle: Bundle) -> str | None:
    """Why a bundle cannot be asked by batch; None when it can."""
    if bundle.endpoint.batch is None:
        return f"the endpoint {bundle.spec.name!r} has no `batch`"
    if bundle.tools is not None and bundle.tools.results.kind != "none":
        return "its tools have results, which are sent in further calls"
    return None


def discounted(bundle: Bundle) -> Bundle:
    """The bundle at the price of a batch."""
    price, batch = bundle.endpoint.price, bundle.endpoint.batch
    if price is None or batch is None or bundle.spec.price is None:
        return bundle
    share = 1.0 - batch.discount

    def less(price: float | None) -> float | None:
        return None if price is None else price * share

    own = msgspec.structs.replace(
        price, input=price.input * share, output=price.output * share, cached_input=less(price.cached_input)
    )
    called = msgspec.structs.replace(
        bundle.spec.price, input=own.input, output=own.output, cached_input=own.cached_input
    )
    return msgspec.structs.replace(
        bundle,
        endpoint=msgspec.structs.replace(bundle.endpoint, price=own),
        spec=msgspec.structs.replace(bundle.spec, price=called),
    )
