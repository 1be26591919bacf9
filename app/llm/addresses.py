"""Which addresses an endpoint may have: whoever may register one must not reach the operator's own network with it."""

import ipaddress
from collections.abc import Iterable

from app.llm.errors import EndpointError

_METADATA = {
    ipaddress.ip_address(address)
    for address in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254", "fd20:ce::254")
}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressError(EndpointError, OSError):
    """The address is not one that endpoints may have. An `OSError`, as a socket that cannot be opened is."""

    def __init__(self, detail: str) -> None:
        EndpointError.__init__(self, "not_configured", detail)

    def __str__(self) -> str:
        return self.detail


class AddressRule:
    """Public addresses are allowed; private ones by the operator's list of hosts, addresses and networks.

    Cloud metadata services are refused whatever the list says. `allow_loopback` is for a service of its own machine.
    """

    def __init__(self, allow_hosts: Iterable[str] = (), *, allow_loopback: bool = False) -> None:
        self._hosts = {host.strip().strip("[]").lower() for host in allow_hosts}
        self._networks = [network for host in self._hosts if (network := _network(host)) is not None]
        self._loopback = allow_loopback

    def check(self, host: str, address: str) -> None:
        """Raises `AddressError` unless `host` (as written in base_url) may be reached at `address` (an IP address)."""
        ip = _plain(ipaddress.ip_address(address.partition("%")[0]))
        if ip in _METADATA:
            raise AddressError(f"host {host!r} is at {ip}, a cloud metadata address, which is never called")
        if (
            (ip.is_global and not ip.is_multicast)
            or host.lower() in self._hosts
            or any(ip in n for n in self._networks)
        ):
            return
        if ip.is_loopback and (self._loopback or "localhost" in self._hosts):
            return
        raise AddressError(
            f"host {host!r} is at the private address {ip}, which is not allowed; "
            f"the operator can allow it: PROMPTWARD_ALLOW_HOSTS={host}"
        )


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _plain(ip: _Address) -> _Address:
    """The IPv4 address that an IPv6 address carries, if it does: the packets end there."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None) or ip
    return ip
