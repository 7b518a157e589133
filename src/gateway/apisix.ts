/** Apache APISIX: its plugin `forward-auth` asks. A file of the standalone mode. */
import {
  about,
  ANSWER_MS,
  IDENTITY_HEADERS,
  NO_CUSTOMER,
  READS_AS_IDENTITY,
  REFUSAL_HEADERS,
  urlOf,
  verifyPath,
} from './guarded.ts';
import type { Guarded } from './guarded.ts';
import { luaList, toYaml } from './yaml.ts';

const ABOUT =
  `${about('Apache APISIX')}\nIt is conf/apisix.yaml of the standalone mode; conf/config.yaml says where APISIX listens:\n` +
  '  deployment: { role: data_plane, role_data_plane: { config_provider: yaml } }';

/** Writes it. */
export function toApisix(guarded: Guarded): string {
  const { issuer, upstream } = guarded;
  const route = {
    id: 'customers',
    uri: '/*',
    plugins: {
      'forward-auth': {
        uri: urlOf(issuer) + verifyPath(guarded),
        ssl_verify: true,
        request_headers: ['Authorization'],
        // All of them are in each good answer, so that whatever the caller wrote there is overwritten.
        upstream_headers: IDENTITY_HEADERS,
        client_headers: REFUSAL_HEADERS,
        timeout: ANSWER_MS,
        allow_degradation: false,
        status_on_error: 503,
      },
      // It runs after the one above.
      'serverless-post-function': { phase: 'access', functions: [ONLY_CUSTOMERS] },
    },
    upstream: {
      type: 'roundrobin',
      scheme: upstream.isTls ? 'https' : 'http',
      nodes: { [upstream.endpoint]: 1 },
      pass_host: 'rewrite',
      upstream_host: upstream.authority,
    },
  };
  // APISIX reads the file only where it ends so.
  return `${toYaml(ABOUT, { routes: [route] })}#END\n`;
}

/** What is good, but no customer's (an API key of a person, say), is refused. */
const ONLY_CUSTOMERS = `local core = require("apisix.core")
local identity = ${luaList(IDENTITY_HEADERS)}

${READS_AS_IDENTITY}
local own = {}
for _, name in ipairs(identity) do own[name:lower()] = true end

return function(conf, ctx)
  for name in pairs(ngx.req.get_headers(0)) do
    if reads_as_identity(name) and not own[name:lower()] then core.request.set_header(ctx, name, nil) end
  end
  if (core.request.header(ctx, "X-Customer-Username") or "") == "" then
    core.response.set_header("Content-Type", "application/problem+json")
    return 403, ${JSON.stringify(NO_CUSTOMER)}
  end
end
`;
