"""Verifies tokens of customers with PyJWT and with Authlib, as a gateway in Python would, for libraries.test.ts: reads a
JSON array of questions from the file that is named, and prints an array of answers."""

import json
import sys
from urllib.request import urlopen

import jwt
from authlib.jose import JsonWebKey, JsonWebToken
from authlib.jose.errors import JoseError


def by_pyjwt(asked: dict) -> dict:
    if asked.get("pem"):
        key = asked["pem"]
    else:
        key = jwt.PyJWKClient(asked["jwks"]).get_signing_key_from_jwt(asked["token"]).key
    return jwt.decode(
        asked["token"],
        key,
        algorithms=["ES256"],
        issuer=asked["issuer"],
        audience=asked["audience"],
        options={"require": ["iss", "aud", "sub", "iat", "exp", "jti"]},
    )


def by_authlib(asked: dict) -> dict:
    if asked.get("pem"):
        key = JsonWebKey.import_key(asked["pem"], {"kty": "EC"})
    else:
        with urlopen(asked["jwks"], timeout=5) as answer:
            key = JsonWebKey.import_key_set(json.load(answer))
    claims = JsonWebToken(["ES256"]).decode(
        asked["token"],
        key,
        claims_options={
            "iss": {"essential": True, "value": asked["issuer"]},
            "aud": {"essential": True, "value": asked["audience"]},
            "exp": {"essential": True},
        },
    )
    claims.validate()
    return dict(claims)


def answer_to(asked: dict) -> dict:
    verify = {"PyJWT": by_pyjwt, "Authlib": by_authlib}[asked["library"]]
    try:
        return {"claims": verify(asked)}
    except (jwt.PyJWTError, JoseError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print(json.dumps([answer_to(asked) for asked in json.load(file)]))
