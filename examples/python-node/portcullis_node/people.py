"""The local user of a person: made when the person first comes, brought in line with the claims each time."""

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from .models import Person
from .verifier import Caller

DEFAULT_STAFF_LEVEL = 50


class PersonRefused(Exception):
    """The node's own administration keeps the person out."""


def sync_user(caller: Caller):
    """The user; raises PersonRefused. Only what the claims say is written, and only where it changed."""
    user = _find(caller) or _create(caller)
    if not user.is_active:
        raise PersonRefused("Your account at this node is disabled.")
    is_staff = caller.level >= getattr(settings, "VPN_STAFF_LEVEL", DEFAULT_STAFF_LEVEL)
    if (user.email, user.is_staff) != (caller.email, is_staff):
        user.email, user.is_staff = caller.email, is_staff
        user.save(update_fields=["email", "is_staff"])
    return user


def _find(caller: Caller):
    person = (
        Person.objects.select_related("user").filter(issuer=caller.issuer, username=caller.username).first()
    )
    return person and person.user


def _create(caller: Caller):
    try:
        with transaction.atomic():
            user = get_user_model().objects.create_user(caller.username)  # without a password
            Person.objects.create(issuer=caller.issuer, username=caller.username, user=user)
            return user
    except IntegrityError as error:
        user = _find(caller)  # two first requests at once
        if user is None:
            raise PersonRefused("Another account of this node has your username.") from error
        return user
