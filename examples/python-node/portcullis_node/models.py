"""Which local user is which person of the server."""

from django.conf import settings
from django.db import models


class Person(models.Model):
    """Kept apart from the user: a local account of the same name is somebody else."""

    issuer = models.CharField(max_length=255)
    username = models.CharField(max_length=150)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["issuer", "username"], name="one_user_a_person")]
