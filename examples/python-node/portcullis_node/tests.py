"""`python -m unittest portcullis_node.tests`: what is kept, for how long, and while the server is away."""

import json
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from unittest import mock

from cryptography.hazmat.primitives.asymmetric import rsa
from jwt import PyJWKClientError
from jwt.algorithms import RSAAlgorithm

from .settings import read_settings
from .tokens import NoToken, VpnTokens
from .verifier import KeysAway, KeySet

KEY = json.loads(RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048).public_key()))


class Server(HTTPServer):
    """Stands in for Portcullis: its keys and tokens, and what it was asked for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.kids, self.status, self.lifetime = ["one"], 200, 3600
        self.asked: dict[str, int] = {}
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()

    def answer(self, path: str) -> dict:
        self.asked[path] = self.asked.get(path, 0) + 1
        if path == "/jwks":
            keys = [{**KEY, "kid": kid, "alg": "RS256", "use": "sig"} for kid in self.kids]
            return {"keys": [{"kty": "unheard of", "kid": "strange"}, *keys]}
        token = f"{path}-{self.asked[path]}"
        return {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime}


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps(self.server.answer(self.path)).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_args) -> None:
        pass


class Kept(unittest.TestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.addCleanup(self.server.stop)
        self.ahead = 0.0
        for clock in ("time", "monotonic"):
            real = getattr(time, clock)
            patched = mock.patch.object(time, clock, lambda real=real: real() + self.ahead)
            patched.start()
            self.addCleanup(patched.stop)

    def test_keys(self) -> None:
        keys = KeySet(f"{self.server.url}/jwks")

        def expect(what: str, kid: str, outcome: str, asked: int) -> None:
            try:
                keys.get_signing_key(kid)
                found = "known"
            except (KeysAway, PyJWKClientError):
                found = "away" if keys.is_away else "refused"
            self.assertEqual((found, self.server.asked["/jwks"]), (outcome, asked), what)

        self.server.status = 503
        expect("before there are any", "one", "away", 1)
        self.server.status = 200
        expect("the first", "one", "known", 2)
        expect("again", "one", "known", 2)
        expect("an unknown one at once", "two", "refused", 2)
        self.server.kids = ["two"]
        self.ahead += 31
        expect("a new one", "two", "known", 3)
        expect("one that was taken back", "one", "refused", 3)
        self.ahead += 301
        self.server.status = 503
        expect("one that is known, while the server is away", "two", "known", 4)
        expect("an unknown one, while the server is away", "three", "away", 5)
        expect("another one at once", "four", "away", 5)
        self.server.status, self.server.kids = 200, ["three"]
        self.ahead += 301
        expect("one that was taken back, once the server is there", "two", "refused", 6)

    def test_tokens(self) -> None:
        tokens = VpnTokens(
            read_settings(
                {
                    "PORTBRO_CLIENT_ID": "node",
                    "PORTBRO_CLIENT_SECRET": "secret",
                    "PARENT_ISSUER": self.server.url,
                }
            )
        )

        def expect(what: str, outcome: str) -> None:
            try:
                found = tokens.get().token
            except NoToken as error:
                found = "away" if error.is_temporary else "refused"
            self.assertEqual(found, outcome, what)

        expect("the first", "/vpn/auth-1")
        self.ahead += 58 * 60
        expect("more than a minute before its end", "/vpn/auth-1")
        self.ahead += 70
        self.server.status = 503
        expect("shortly before its end, while the server is away", "/vpn/auth-1")
        self.ahead += 60
        expect("after its end", "away")
        asked = self.server.asked["/token"]
        expect("at once again", "away")
        self.assertEqual(self.server.asked["/token"], asked, "a failure keeps the others from asking")
        self.ahead += 2
        self.server.status = 307
        expect("where the server sends elsewhere", "refused")
        self.assertNotIn("/elsewhere", self.server.asked, "a secret was sent elsewhere")
        self.ahead += 2
        self.server.status, self.server.lifetime = 200, 10
        expect("once the server is there", "/vpn/auth-2")
        self.ahead += 7
        expect("in the first four fifths of a short life", "/vpn/auth-2")
        self.ahead += 2
        expect("in the last fifth", "/vpn/auth-3")
        tokens.clear()
        expect("after it was cleared", "/vpn/auth-4")
