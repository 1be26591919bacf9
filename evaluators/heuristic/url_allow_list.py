"""Whether every address in the output leads where it may."""

import functools
from typing import Any

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.heuristic.urls import Address, addresses, host_of
from evaluators.text import clip

_SHOWN = 20
_EXECUTED = ("javascript", "vbscript", "data")


class URLAllowList(Scorer, frozen=True):
    """1 when every address in the output has a host of `hosts` and a scheme of `schemes`, else 0.

    Found are addresses with a scheme, bare domains, the targets of Markdown links and images, and of HTML attributes
    and CSS. The host is the one that a browser goes to: behind a user's name (`https://good.com@evil.com`), backslashes,
    HTML entities and percent-encoding, in lower case, without trailing dot, as IDNA; a port does not matter. `*.example.com`
    allows all subdomains, not the domain itself. `javascript:`, `vbscript:` and `data:` are never allowed; of `mailto:` the
    domain counts. Paths on the same host are no addresses. With no `hosts`, no address may occur. Range {0, 1}, higher is
    better; an output without an address, as an empty one, gets 1. Source: WHATWG URL standard, basic URL parser.
    """

    name = "url_allow_list"
    version = 2
    binary = True
    example = {"hosts": ["example.com", "*.example.com"]}

    hosts: list[str]
    schemes: tuple[str, ...] = ("https", "http", "mailto")

    def check(self) -> None:
        super().check()
        for i, host in enumerate(self.hosts):
            bare = host.removeprefix("*.")
            port = ":" in bare and not bare.startswith("[")
            if port or not bare.strip(". ") or any(sign in bare for sign in "*/@ ?#\\"):
                message = f"{host!r} is no host: write example.com, or *.example.com for its subdomains"
                raise ScorerConfigError(message, f"/args/hosts/{i}")
        if not self.schemes:
            raise ScorerConfigError("name at least one scheme, such as https", "/args/schemes")
        for i, scheme in enumerate(self.schemes):
            if scheme.lower().rstrip(":/") in _EXECUTED:
                raise ScorerConfigError(f"{scheme}: carries code or content and is never allowed", f"/args/schemes/{i}")

    @functools.cached_property
    def _hosts(self) -> frozenset[str]:
        return frozenset(host_of(host) for host in self.hosts if not host.startswith("*."))

    @functools.cached_property
    def _domains(self) -> tuple[str, ...]:
        return tuple("." + host_of(host[2:]) for host in self.hosts if host.startswith("*."))

    @functools.cached_property
    def _schemes(self) -> frozenset[str]:
        return frozenset(("", *(scheme.lower().rstrip(":/") for scheme in self.schemes)))

    def measure(self, sample: Sample) -> Score:
        count = 0
        refused: list[dict[str, Any]] = []
        for address in addresses(sample.output):
            count += 1
            if (reason := self._refusal(address)) is not None:
                refused.append(
                    {"url": address.written.removeprefix("//")[:200], "host": address.host, "reason": reason}
                )
        if not refused:
            return self.scored(1.0, f"all of {count} addresses are allowed" if count else "the output has no address")
        first = refused[0]
        shown = (
            f"{len(refused)} of {count} addresses are not allowed; the first: {clip(first['url'])}, {first['reason']}"
        )
        return self.scored(0.0, shown, evidence={"refused": refused[:_SHOWN]})

    def _refusal(self, address: Address) -> str | None:
        if address.scheme not in self._schemes:
            return f"the scheme {address.scheme} is not allowed"
        if not address.host:
            return "it has no host"
        if address.host in self._hosts or address.host.endswith(self._domains):
            return None
        return f"the host {address.host} is not on the list"
