"""Which VPN JWTs the node takes: those of its server by RS256, for VPN nodes, by the published keys."""

from dataclasses import dataclass
from typing import Any

import jwt

from .settings import NodeSettings

MAX_CHARACTERS = 16 * 1024
LEEWAY_SECONDS = 30
TYPES = ("at+jwt", "application/at+jwt")


class TokenRefused(Exception):
    """The token is not good; the message says why, and nothing of its content."""


class KeysAway(Exception):
    """Nobody can tell whether the token is good: the keys cannot be read."""


@dataclass(frozen=True)
class Caller:
    """Who a VPN JWT speaks for. `username` is never given to anybody else; `email` may be unproven."""

    issuer: str
    username: str
    email: str
    role: str
    level: int
    # True for a node that calls for itself: that is no person, and its level is 0.
    is_node: bool


class KeySet(jwt.PyJWKClient):
    """Reads the keys every five minutes and for an unknown one; while the server is away these go on."""

    def __init__(self, url: str):
        super().__init__(url, lifespan=300, timeout=3, cooldown_duration=30)
        self._known: dict[str, Any] | None = None
        self.is_away = False

    def fetch_data(self) -> dict[str, Any]:
        try:
            self._known, self.is_away = super().fetch_data(), False
        except (jwt.PyJWTError, OSError, ValueError) as error:
            self.is_away = True
            if self._known is None:
                raise KeysAway(f"{self.uri} gives no keys: {error}") from error
        return self._known


class Verifier:
    """For all threads of a process. Nothing is fetched before the first token."""

    def __init__(self, settings: NodeSettings):
        self._settings = settings
        self._keys = KeySet(settings.jwks_url)

    def verify(self, token: str) -> Caller:
        """Raises TokenRefused for a token that is not good, KeysAway where nobody can tell."""
        if len(token) > MAX_CHARACTERS:
            raise TokenRefused("This is no VPN JWT.")
        try:
            # The header is believed in nothing: it only picks one of the published keys.
            header = jwt.get_unverified_header(token)
            kind, kid = str(header.get("typ")).lower(), header.get("kid")
            if header.get("alg") != "RS256" or kind not in TYPES or not isinstance(kid, str):
                raise TokenRefused("This is no VPN JWT.")
            claims = jwt.decode(
                token,
                self._find_key(kid),
                algorithms=["RS256"],
                issuer=self._settings.issuer,
                audience=self._settings.audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["iss", "aud", "sub", "client_id", "jti", "iat", "exp", "role", "level"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenRefused("The token has expired.") from error
        except jwt.PyJWTError as error:
            raise TokenRefused("This is no VPN JWT of the issuer for this node.") from error
        return _caller_of(claims)

    def _find_key(self, kid: str) -> jwt.PyJWK:
        try:
            return self._keys.get_signing_key(kid)
        except jwt.PyJWKClientError as error:
            if self._keys.is_away:
                raise KeysAway("the key of the token is unknown, and the keys cannot be read") from error
            raise


def _caller_of(claims: dict[str, Any]) -> Caller:
    sub, client_id, role, level = (claims[name] for name in ("sub", "client_id", "role", "level"))
    if not isinstance(client_id, str) or not isinstance(role, str) or type(level) is not int or level < 0:
        raise TokenRefused("This is no VPN JWT: it names no role and level.")
    if "cnf" in claims:
        raise TokenRefused("The token is bound to a key and is no bearer token.")
    email = claims.get("email")
    # A username never equals a client id: the server sees to that.
    return Caller(claims["iss"], sub, email if isinstance(email, str) else "", role, level, sub == client_id)
