"""The node's own VPN JWT: got in two requests, and kept until shortly before it expires."""

import threading
import time
from dataclasses import dataclass
from urllib.parse import quote_plus

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from requests import RequestException

from .settings import NodeSettings

TIMEOUT_SECONDS = 5
REFRESH_BEFORE_SECONDS = 60
# Of a short life at most this part goes by unused.
MAX_UNUSED_PART = 0.2
# After a failure nobody asks again for this long: whoever waited for it is told the same.
PAUSE_SECONDS = 1


class NoToken(Exception):
    """No VPN JWT is to be had. The message holds no secret; `is_temporary`: later may be better."""

    def __init__(self, message: str, is_temporary: bool):
        super().__init__(message)
        self.is_temporary = is_temporary


@dataclass(frozen=True)
class Held:
    token: str
    expires_at: float
    renew_at: float


class VpnTokens:
    """For all threads of a process: one of them asks the server, the others wait for its answer."""

    def __init__(self, settings: NodeSettings):
        self._settings = settings
        self._lock = threading.Lock()
        self._held: Held | None = None
        self._failure: NoToken | None = None
        self._ask_again_at = 0.0

    def get(self, force_refresh: bool = False) -> Held:
        """A VPN JWT that is good now; raises NoToken. While the server is away, a good one goes on."""
        with self._lock:
            now = time.time()
            held = None if force_refresh or self._held is None or self._held.expires_at <= now else self._held
            if held is not None and now < held.renew_at:
                return held
            if now < self._ask_again_at and self._failure is not None:
                return _otherwise(held, self._failure)
            try:
                self._held = self._fetch()
            except NoToken as failure:
                self._failure, self._ask_again_at = failure, time.time() + PAUSE_SECONDS
                return _otherwise(held, failure)
            self._failure = None
            return self._held

    def clear(self) -> None:
        """Forgets the token: the next call gets a new one."""
        with self._lock:
            self._held = None

    def _fetch(self) -> Held:
        try:
            token, lives_for = fetch_vpn_jwt(self._settings)
        except OAuthError as error:
            raise NoToken(f"{self._settings.token_url} refuses the node: {error}", False) from error
        except RequestException as error:
            status = error.response.status_code if error.response is not None else None
            is_temporary = status is None or status == 429 or status >= 500
            raise NoToken(f"no VPN JWT from {self._settings.vpn_auth_url}: {error}", is_temporary) from error
        except (KeyError, TypeError, ValueError) as error:
            raise NoToken("what answers is no Portcullis server: check the addresses", False) from error
        now = time.time()
        unused = min(REFRESH_BEFORE_SECONDS, lives_for * MAX_UNUSED_PART)
        return Held(token, expires_at=now + lives_for, renew_at=now + lives_for - unused)


def fetch_vpn_jwt(settings: NodeSettings) -> tuple[str, float]:
    """Both requests; gives the VPN JWT and for how many seconds it lives."""
    # authlib sends id and secret as they are; they are form-encoded there (RFC 6749 2.3.1).
    client_id, client_secret = quote_plus(settings.client_id), quote_plus(settings.client_secret)
    with OAuth2Session(
        client_id,
        client_secret,
        token_endpoint_auth_method="client_secret_basic",
        scope=settings.scope,
        leeway=0,  # it is used at once, however short its life
    ) as session:
        session.max_redirects = 0  # what is sent holds secrets
        session.fetch_token(settings.token_url, grant_type="client_credentials", timeout=TIMEOUT_SECONDS)
        answer = session.post(settings.vpn_auth_url, json={}, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        body = answer.json()
        return str(body["access_token"]), float(body["expires_in"])


def _otherwise(held: Held | None, failure: NoToken) -> Held:
    if held is not None and failure.is_temporary:
        return held
    raise failure
