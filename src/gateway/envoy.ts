/**
 * Envoy: its Lua filter asks. `ext_authz` over HTTP asks by the caller's method, path and host, which is no question that
 * Portcullis answers; and nothing of Envoy's own limits by a number that each customer has by itself.
 */
import {
  about,
  ANSWER_MS,
  IDENTITY_HEADERS,
  NO_CUSTOMER,
  READS_AS_IDENTITY,
  REFUSAL_HEADERS,
  TRUSTED_AUTHORITIES,
  UNAVAILABLE,
  verifyPath,
} from './guarded.ts';
import type { Guarded, Origin } from './guarded.ts';
import { luaList, toYaml } from './yaml.ts';

const TYPE = 'type.googleapis.com/envoy.extensions';

/** Writes the whole of a static configuration. */
export function toEnvoy(guarded: Guarded): string {
  const { listen } = guarded;
  const address = { address: listen.host.replaceAll(/[[\]]/g, ''), port_value: listen.port };
  const listener = {
    name: 'customers',
    address: { socket_address: address },
    filter_chains: [
      { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: http(guarded) }] },
    ],
  };
  const clusters = [cluster('portcullis', guarded.issuer), cluster('api', guarded.upstream)];
  return toYaml(`${about('Envoy')}\n  envoy --config-path envoy.yaml`, {
    static_resources: { listeners: [listener], clusters },
  });
}

function http(guarded: Guarded): object {
  const route = { cluster: 'api', host_rewrite_literal: guarded.upstream.authority };
  return {
    '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'customers',
    // Some back ends take X_Customer_Username for X-Customer-Username.
    common_http_protocol_options: { headers_with_underscores_action: 'DROP_HEADER' },
    use_remote_address: true,
    normalize_path: true,
    merge_slashes: true,
    route_config: {
      virtual_hosts: [{ name: 'api', domains: ['*'], routes: [{ match: { prefix: '/' }, route }] }],
    },
    http_filters: [
      filter('header_mutation', 'HeaderMutation', {
        mutations: { request_mutations: IDENTITY_HEADERS.map((remove) => ({ remove })) },
      }),
      filter('lua', 'Lua', { default_source_code: { inline_string: ask(guarded) } }),
      filter('rbac', 'RBAC', { rules: { action: 'ALLOW', policies: { customers: ONLY_CUSTOMERS } } }),
      filter('router', 'Router', {}),
    ],
  };
}

const filter = (name: string, type: string, config: object): object => ({
  name: `envoy.filters.http.${name}`,
  typed_config: { '@type': `${TYPE}.filters.http.${name}.v3.${type}`, ...config },
});

/** Envoy lets through what its Lua fails at: so nothing passes but what Lua said whose it is. */
const ONLY_CUSTOMERS = {
  permissions: [{ any: true }],
  principals: [{ header: { name: 'x-customer-username', present_match: true } }],
};

const lower = (names: readonly string[]): string => luaList(names.map((name) => name.toLowerCase()));

const ask = (guarded: Guarded): string => `local identity = ${lower(IDENTITY_HEADERS)}
local told = ${lower(REFUSAL_HEADERS)}
local limits = { "ratelimit", "ratelimit-policy" }

${READS_AS_IDENTITY}
local function refuse(request, status, answer, body)
  local headers = { [":status"] = status }
  for _, name in ipairs(told) do headers[name] = answer[name] end
  request:respond(headers, body)
end

function envoy_on_request(request)
  local answer, body = request:httpCall("portcullis", {
    [":method"] = "GET",
    [":path"] = ${JSON.stringify(verifyPath(guarded))},
    [":authority"] = ${JSON.stringify(guarded.issuer.authority)},
    ["authorization"] = request:headers():get("authorization"),
  }, nil, ${ANSWER_MS})
  local status = answer[":status"]
  local problem = { ["content-type"] = "application/problem+json" }
  if status == "401" or status == "403" or status == "429" then return refuse(request, status, answer, body) end
  if status ~= "200" then return refuse(request, "503", problem, ${luaText(UNAVAILABLE)}) end
  if (answer["x-customer-username"] or "") == "" then return refuse(request, "403", problem, ${luaText(NO_CUSTOMER)}) end
  local forged = {}
  for name in pairs(request:headers()) do
    if reads_as_identity(name) then forged[#forged + 1] = name end
  end
  for _, name in ipairs(forged) do request:headers():remove(name) end
  for _, name in ipairs(identity) do
    if (answer[name] or "") ~= "" then request:headers():replace(name, answer[name]) end
  end
  for _, name in ipairs(limits) do
    request:streamInfo():dynamicMetadata():set("portcullis", name, answer[name] or "")
  end
end

function envoy_on_response(response)
  local kept = response:streamInfo():dynamicMetadata():get("portcullis") or {}
  for _, name in ipairs(limits) do
    if (kept[name] or "") ~= "" then response:headers():replace(name, kept[name]) end
  end
end
`;

const luaText = (text: string): string => JSON.stringify(text);

function cluster(name: string, origin: Origin): object {
  const { host, port } = origin;
  const endpoint = { address: { socket_address: { address: host, port_value: port } } };
  return {
    name,
    type: 'STRICT_DNS',
    dns_lookup_family: 'V4_PREFERRED',
    connect_timeout: '2s',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint }] }] },
    ...(origin.isTls && { transport_socket: tls(origin) }),
  };
}

/** Envoy checks no certificate unless it is told to. */
const tls = ({ host, isAddress }: Origin): object => ({
  name: 'envoy.transport_sockets.tls',
  typed_config: {
    '@type': `${TYPE}.transport_sockets.tls.v3.UpstreamTlsContext`,
    ...(!isAddress && { sni: host }),
    common_tls_context: {
      validation_context: {
        trusted_ca: { filename: TRUSTED_AUTHORITIES },
        match_typed_subject_alt_names: [
          { san_type: isAddress ? 'IP_ADDRESS' : 'DNS', matcher: { exact: host } },
        ],
      },
    },
  },
});
