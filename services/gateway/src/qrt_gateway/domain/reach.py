"""Which addresses webhooks may be sent to: everybody's, and the networks that the operator names. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_GLOBAL_V6 = ip_network("2000::/3")
"""All that was given out for the internet; loopback, private, link-local and the rest lie outside."""
_NAT64 = ip_network("64:ff9b::/96")
_REFUSED: tuple[Network, ...] = (
    ip_network("168.63.129.16/32"),  # a cloud's service for its own machines
    ip_network("192.0.0.0/24"),
    ip_network("192.88.99.0/24"),  # relays to 6to4
    ip_network("2001::/23"),  # Teredo and other tunnels
    ip_network("2001:db8::/32"),
    ip_network("2002::/16"),  # 6to4: an IPv4 address, whichever
    ip_network("3fff::/20"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What the operator allows."""

    networks: tuple[Network, ...] = ()
    """Networks that may be reached although not everybody can, by http too."""
    http: bool = False
    """Whether addresses outside them may be reached by http."""

    def allows(self, address: str, *, secure: bool) -> bool:
        """Tell whether an address, written as numbers, may be connected to."""
        try:
            found = plain(ip_address(address))
        except ValueError:
            return False
        if any(found.version == network.version and found in network for network in self.networks):
            return True
        return (secure or self.http) and is_everybodys(found)


def plain(address: Address) -> Address:
    """Return an IPv4 address that is written as one of IPv6 as what it is."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def is_everybodys(address: Address) -> bool:
    """Tell whether an address leads to the same place from everywhere on the internet."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return is_everybodys(IPv4Address(int(address) & 0xFFFF_FFFF))
        if address.scope_id is not None or address not in _GLOBAL_V6:
            return False
    refused = any(address.version == each.version and address in each for each in _REFUSED)
    return address.is_global and not address.is_multicast and not refused


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return networks written as `10.1.0.0/16`. Raises: ValueError."""
    return tuple(ip_network(text) for text in texts)
