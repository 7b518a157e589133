"""`python -m portcullis_node` tries the settings: it gets the node's VPN JWT and shows what that says."""

import json
import os
import sys

import jwt

from .settings import read_settings
from .tokens import NoToken, VpnTokens


def main() -> int:
    try:
        held = VpnTokens(read_settings(os.environ)).get()
    except (NoToken, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    # Only shown: whoever takes a token verifies it.
    print(json.dumps(jwt.decode(held.token, options={"verify_signature": False}), indent=2))
    return 0


sys.exit(main())
