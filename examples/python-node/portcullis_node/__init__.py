"""The side of a VPN node, in Python: its own VPN JWT, and the people whose VPN JWTs it takes."""
