"""A node's settings from its environment, under the names that nodes have. Every fault is told at once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

REQUIRED = ("PORTBRO_CLIENT_ID", "PORTBRO_CLIENT_SECRET", "PARENT_ISSUER")
# Where an address lies at a Portcullis server.
PATHS = {"PORTBRO_TOKEN_URL": "/token", "PORTBRO_VPN_AUTH_URL": "/vpn/auth", "PARENT_JWKS_URL": "/jwks"}
LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")


@dataclass(frozen=True)
class NodeSettings:
    client_id: str
    client_secret: str = field(repr=False)
    token_url: str
    vpn_auth_url: str
    scope: str
    issuer: str
    audience: str
    jwks_url: str


def read_settings(env: Mapping[str, str]) -> NodeSettings:
    """Raises a ValueError that names each fault in a line. A line such as `NAME=` sets nothing."""
    faults = [f"{name} is not set: the node needs it." for name in REQUIRED if not env.get(name)]
    if faults:
        raise ValueError("\n".join(faults))
    issuer = env["PARENT_ISSUER"]
    addresses = {name: urljoin(issuer, env.get(name) or path) for name, path in PATHS.items()}
    faults = [
        f"{name} is no address that can be trusted: use https, or http on loopback."
        for name, address in {"PARENT_ISSUER": issuer, **addresses}.items()
        if not _is_secure(address)
    ]
    if faults:
        raise ValueError("\n".join(faults))
    return NodeSettings(
        client_id=env["PORTBRO_CLIENT_ID"],
        client_secret=env["PORTBRO_CLIENT_SECRET"],
        token_url=addresses["PORTBRO_TOKEN_URL"],
        vpn_auth_url=addresses["PORTBRO_VPN_AUTH_URL"],
        scope=env.get("PORTBRO_SCOPE") or "read",
        issuer=issuer,
        audience=env.get("PARENT_AUDIENCE") or "vpn-node",
        jwks_url=addresses["PARENT_JWKS_URL"],
    )


def _is_secure(address: str) -> bool:
    """What comes in the clear can be anybody's; loopback is this machine."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    return bool(host) and (
        parts.scheme == "https" or (parts.scheme == "http" and LOOPBACK.fullmatch(host) is not None)
    )
