/** Kong: its plugin `pre-function` asks; none that comes with it asks another server. A declarative file. */
import {
  about,
  ANSWER_MS,
  IDENTITY_HEADERS,
  NO_CUSTOMER,
  READS_AS_IDENTITY,
  REFUSAL_HEADERS,
  UNAVAILABLE,
  urlOf,
  verifyPath,
} from './guarded.ts';
import type { Guarded } from './guarded.ts';
import { luaList, toYaml } from './yaml.ts';

const ABOUT =
  `${about('Kong')}\nIt asks by resty.http, which Kong's sandbox has to allow; without that nobody is let in:\n` +
  '  KONG_DATABASE=off KONG_DECLARATIVE_CONFIG=kong.yaml KONG_UNTRUSTED_LUA_SANDBOX_REQUIRES=resty.http kong start';

/** Writes it. */
export function toKong(guarded: Guarded): string {
  const { host, port, isTls } = guarded.upstream;
  const service = {
    name: 'customers',
    protocol: isTls ? 'https' : 'http',
    host,
    port,
    ...(isTls && { tls_verify: true }),
    routes: [{ name: 'customers', paths: ['/'], strip_path: false, preserve_host: false }],
    plugins: [{ name: 'pre-function', config: { access: [ask(guarded)] } }],
  };
  return toYaml(ABOUT, { _format_version: '3.0', services: [service] });
}

const ask = (guarded: Guarded): string => `local http = require "resty.http"
local identity = ${luaList(IDENTITY_HEADERS)}
local told = ${luaList(REFUSAL_HEADERS)}
local limits = { "RateLimit", "RateLimit-Policy" }
local problem = { ["Content-Type"] = "application/problem+json" }

${READS_AS_IDENTITY}
return function()
  local sent, cut = kong.request.get_headers(1000)
  if cut then return kong.response.exit(431) end
  -- Several are no credential: the API behind might read another one than Portcullis.
  local authorization = sent["authorization"]
  if type(authorization) ~= "string" then authorization = nil end
  local client = http.new()
  client:set_timeouts(2000, ${ANSWER_MS}, ${ANSWER_MS})
  local answer = client:request_uri(${JSON.stringify(urlOf(guarded.issuer) + verifyPath(guarded))}, {
    headers = { Authorization = authorization },
    ssl_verify = true,
  })
  local status = answer and answer.status
  if status == 401 or status == 403 or status == 429 then
    local headers = {}
    for _, name in ipairs(told) do headers[name] = answer.headers[name] end
    return kong.response.exit(status, answer.body, headers)
  end
  if status ~= 200 then return kong.response.exit(503, ${JSON.stringify(UNAVAILABLE)}, problem) end
  if (answer.headers["X-Customer-Username"] or "") == "" then
    return kong.response.exit(403, ${JSON.stringify(NO_CUSTOMER)}, problem)
  end
  for name in pairs(sent) do
    if reads_as_identity(name) then kong.service.request.clear_header(name) end
  end
  for _, name in ipairs(identity) do
    kong.service.request.clear_header(name)
    if (answer.headers[name] or "") ~= "" then kong.service.request.set_header(name, answer.headers[name]) end
  end
  for _, name in ipairs(limits) do
    if answer.headers[name] then kong.response.set_header(name, answer.headers[name]) end
  end
end
`;
