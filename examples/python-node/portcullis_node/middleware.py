"""The bearer of a request → `request.vpn` (who calls) and `request.user` (the node's own user of them)."""

import functools
import os
import re

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from .people import PersonRefused, sync_user
from .settings import read_settings
from .verifier import KeysAway, TokenRefused, Verifier

BEARER = re.compile(r"Bearer +([\w.~+/-]+=*)", re.IGNORECASE | re.ASCII)


class VpnMiddleware:
    """After AuthenticationMiddleware. Without a bearer a request goes on as it was; a bad one ends here."""

    def __init__(self, get_response):
        self._get_response = get_response
        self._verifier = Verifier(read_settings(os.environ))

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.vpn = None
        authorization = request.headers.get("Authorization", "")
        if not re.match(r"Bearer\b", authorization, re.IGNORECASE):
            return self._get_response(request)
        try:
            bearer = BEARER.fullmatch(authorization)
            if bearer is None:
                raise TokenRefused("This is no VPN JWT.")
            caller = self._verifier.verify(bearer[1])
            if not caller.is_node:
                request.user = sync_user(caller)
            request.vpn = caller
        except TokenRefused as error:
            return problem(401, str(error), {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        except PersonRefused as error:
            return problem(403, str(error))
        except KeysAway:
            return problem(503, "Tokens cannot be checked at the moment.", {"Retry-After": "5"})
        return self._get_response(request)


def vpn_required(level: int = 0):
    """Lets in people of that level, by VPN JWT alone: no cookie counts, so there is nothing to forge."""

    def decorate(view):
        @csrf_exempt
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args, **kwargs) -> HttpResponse:
            if request.vpn is None:
                text = "Send a VPN JWT as: Authorization: Bearer TOKEN."
                return problem(401, text, {"WWW-Authenticate": "Bearer"})
            if request.vpn.is_node:
                return problem(403, "This is for people: a node's own token is none.")
            if request.vpn.level < level:
                return problem(403, f"This needs the level {level}; yours is {request.vpn.level}.")
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> HttpResponse:
    """A Problem (RFC 9457)."""
    body = {"type": "about:blank", "status": status, "detail": detail}
    return JsonResponse(body, status=status, headers=headers, content_type="application/problem+json")
