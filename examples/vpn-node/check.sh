#!/usr/bin/env bash
# Checks the whole way of a VPN node with curl and jq: the access token, the exchange, the claims, the published key; then,
# where VPN_NODE_URL and VPN_JWT (of a person whose level is 50) are set, the node itself. It prints no token.
#   PORTBRO_CLIENT_ID=… PORTBRO_CLIENT_SECRET=… PARENT_ISSUER=http://localhost:8011 examples/vpn-node/check.sh
#   --force-refresh  makes the node get a new JWT    --clear-cache  makes it forget the one that it has
set -euo pipefail

force_refresh=false
clear_cache=false
for option in "$@"; do
  case $option in
    --force-refresh) force_refresh=true ;;
    --clear-cache) clear_cache=true ;;
    *) printf 'Wrong usage: %s is neither --force-refresh nor --clear-cache.\n' "$option" >&2; exit 2 ;;
  esac
done

fail() { printf 'FAILED  %s\n' "$1" >&2; exit 1; }
ok() { printf 'ok  %s\n' "$1"; }

for name in PORTBRO_CLIENT_ID PORTBRO_CLIENT_SECRET PARENT_ISSUER; do
  [ -n "${!name:-}" ] || fail "$name is not set: the node needs it."
done
token_url=${PORTBRO_TOKEN_URL:-$PARENT_ISSUER/o/token/}
exchange_url=${PORTBRO_VPN_AUTH_URL:-$PARENT_ISSUER/vpn/auth/}
jwks_url=${PARENT_JWKS_URL:-$PARENT_ISSUER/o/.well-known/jwks.json}
audience=${PARENT_AUDIENCE:-vpn-node}

# Secrets go to curl by a file of its own: arguments are seen by everybody who lists processes. The answer's body, then
# its status in a line.
request() {
  local secret=$1
  shift
  curl -sS --max-time 10 --retry 3 -w '\n%{http_code}' -K <(printf '%s\n' "$secret") "$@"
}
body() { sed '$d' <<<"$1"; }
status() { tail -n 1 <<<"$1"; }
# What went wrong, in the server's own words.
assert_ok() {
  [ "$(status "$2")" = 200 ] ||
    fail "$1: $(status "$2") $(body "$2" | jq -r '.error_description // .detail // .error // empty' 2>/dev/null)"
}
part() { jq -R "split(\".\")[$2] | gsub(\"-\"; \"+\") | gsub(\"_\"; \"/\") | @base64d | fromjson" <<<"$1"; }

answer=$(request "user = \"$PORTBRO_CLIENT_ID:$PORTBRO_CLIENT_SECRET\"" "$token_url" \
  -d grant_type=client_credentials -d "scope=${PORTBRO_SCOPE:-read}") || fail "$token_url cannot be reached"
assert_ok 'access token' "$answer"
token=$(body "$answer" | jq -r .access_token)
ok 'access token: issued'

answer=$(request "header = \"Authorization: Bearer $token\"" -X POST "$exchange_url") || fail "$exchange_url cannot be reached"
assert_ok 'exchange' "$answer"
jwt=$(body "$answer" | jq -r .access_token)
ok 'exchange: VPN JWT issued'

header=$(part "$jwt" 0)
claims=$(part "$jwt" 1)
jq -e '.alg == "RS256" and .typ == "at+jwt"' >/dev/null <<<"$header" || fail "the header is $header"
jq -e --arg iss "$PARENT_ISSUER" --arg aud "$audience" --arg id "$PORTBRO_CLIENT_ID" --argjson now "$(date +%s)" \
  '.iss == $iss and .aud == $aud and .sub == $id and .client_id == $id and .role == "node" and .exp > $now and .jti != null' \
  >/dev/null <<<"$claims" || fail "the claims are $claims"
ok "claims: of $(jq -r .sub <<<"$claims"), good until $(jq -r '.exp | todate' <<<"$claims")"

curl -sS --fail --max-time 10 "$jwks_url" |
  jq -e --arg kid "$(jq -r .kid <<<"$header")" 'any(.keys[]; .kid == $kid and .alg == "RS256")' >/dev/null ||
  fail "$jwks_url does not publish the key of the JWT"
ok 'key: published'

if [ -z "${VPN_NODE_URL:-}" ] || [ -z "${VPN_JWT:-}" ]; then
  ok 'node: not asked, since VPN_NODE_URL and VPN_JWT are not both set'
  exit 0
fi
at_node() {
  local what=$1
  shift
  answer=$(request "header = \"Authorization: Bearer $VPN_JWT\"" -H 'Accept: application/json' "$@") ||
    fail "$VPN_NODE_URL cannot be reached"
  assert_ok "$what" "$answer"
}
at_node 'node, get' -X POST "$VPN_NODE_URL/auth/vpn/auth/"
at_node 'node, status' "$VPN_NODE_URL/auth/vpn/status/"
body "$answer" | jq -e .valid >/dev/null || fail 'node: it holds no good JWT'
ok "node: holds a JWT until $(body "$answer" | jq -r .expires_at)"
if $force_refresh; then
  at_node 'node, refresh' -X POST "$VPN_NODE_URL/auth/vpn/refresh/"
  ok 'node: another JWT'
fi
if $clear_cache; then
  at_node 'node, clear' -X POST "$VPN_NODE_URL/auth/vpn/clear-cache/"
  at_node 'node, status' "$VPN_NODE_URL/auth/vpn/status/"
  body "$answer" | jq -e '.valid | not' >/dev/null || fail 'node: it did not forget its JWT'
  ok 'node: forgot its JWT'
fi
