"""What a node does with it: tells people who they are here, and gets its own VPN JWT."""

import os
import time

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST

from portcullis_node.middleware import problem, vpn_required
from portcullis_node.settings import read_settings
from portcullis_node.tokens import NoToken, VpnTokens

tokens = VpnTokens(read_settings(os.environ))


@vpn_required()
def whoami(request: HttpRequest) -> HttpResponse:
    user, caller = request.user, request.vpn
    return JsonResponse(
        {
            "username": user.username,
            "email": user.email,
            "role": caller.role,
            "level": caller.level,
            "is_staff": user.is_staff,
        }
    )


@vpn_required(level=50)
def staff(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"staff": request.user.username})


@vpn_required(level=30)
@require_POST
def vpn_auth(request: HttpRequest, force_refresh: bool) -> HttpResponse:
    """The node's own VPN JWT, for who may operate the node."""
    try:
        held = tokens.get(force_refresh)
    except NoToken as error:
        return problem(503 if error.is_temporary else 502, str(error))
    body = {
        "access_token": held.token,
        "token_type": "Bearer",
        "expires_in": int(held.expires_at - time.time()),
    }
    return JsonResponse(body, headers={"Cache-Control": "no-store"})


urlpatterns = [
    path("whoami/", whoami),
    path("staff/", staff),
    path("auth/vpn/auth/", vpn_auth, {"force_refresh": False}),
    path("auth/vpn/refresh/", vpn_auth, {"force_refresh": True}),
]
