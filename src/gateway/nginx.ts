/** nginx: `auth_request` asks, and its variables hand on who calls. A whole file, which needs no module of others. */
import {
  about,
  IDENTITY_HEADERS,
  NO_CUSTOMER,
  TOO_MANY,
  TRUSTED_AUTHORITIES,
  UNAVAILABLE,
  verifyPath,
} from './guarded.ts';
import type { Guarded, Origin } from './guarded.ts';

const LIMIT_HEADERS = ['RateLimit', 'RateLimit-Policy', 'Retry-After'];

const HEAD =
  `${about('nginx')}
  mkdir -p var/nginx && nginx -p var/nginx -c "$PWD/nginx.conf" -g 'daemon off;'`.replaceAll(/^/gm, '# ') +
  `

worker_processes auto;
pid nginx.pid;
error_log stderr;

events {
  worker_connections 1024;
}
`;

/** Writes it. */
export const toNginx = (guarded: Guarded): string => `${HEAD}
http {
  access_log off;
  server_tokens off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;

${upstreams(guarded)}

  server {
    listen ${guarded.listen.host}:${guarded.listen.port};

${asked()}

${handedOn(guarded)}

${locations(guarded)}
  }
}
`;

const upstreams = ({ issuer, upstream }: Guarded): string => `  upstream portcullis {
    server ${issuer.endpoint};
    keepalive 16;
  }

  upstream api {
    server ${upstream.endpoint};
  }

  # What is good, but no customer's (an API key of a person, say), is led nowhere, and refused below.
  upstream nobody {
    server unix:nobody;
  }
  map $auth_x_customer_username $api {
    '' nobody;
    default api;
  }
  map $verified:$auth_x_customer_username $is_no_customer {
    '200:' yes;
    default '';
  }`;

const asked = (): string => `    auth_request /_verify;
    auth_request_set $verified $upstream_status;
${lines([...IDENTITY_HEADERS, ...LIMIT_HEADERS], (_, name) => `auth_request_set $auth_${name} $upstream_http_${name};`)}`;

const handedOn = ({
  upstream,
}: Guarded): string => `    # All of them, always: whatever the caller wrote there is overwritten, and an empty one is not passed on. A
    # location with a proxy_set_header of its own inherits none of these: repeat them there.
${lines(IDENTITY_HEADERS, (header, name) => `proxy_set_header ${header} $auth_${name};`)}
    proxy_set_header Host ${upstream.authority};
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;

    # Whoever calls sees what is left of the hour, also when that is nothing.
${lines(LIMIT_HEADERS, (header, name) => `add_header ${header} $auth_${name} always;`)}`;

const locations = (guarded: Guarded): string => {
  const { issuer, upstream } = guarded;
  return `    location / {
      proxy_pass ${schemeOf(upstream)}://$api;
      proxy_http_version 1.1;${tlsTo(upstream)}
    }

    location = /_verify {
      internal;
      auth_request off;
      proxy_pass ${schemeOf(issuer)}://portcullis${verifyPath(guarded)};
      proxy_http_version 1.1;
      proxy_set_header Connection '';
      proxy_set_header Host ${issuer.authority}; # the issuer's: Portcullis answers for no other
      proxy_pass_request_body off;
      proxy_set_header Content-Length '';
      proxy_connect_timeout 2s;
      proxy_read_timeout 5s;${tlsTo(issuer)}
    }

${REFUSED}`;
};

const REFUSED = `    # nginx takes every answer but 2xx, 401 and 403 for a fault of its own. One of them is the limit of the customer.
    error_page 500 502 503 504 = @refused;
    location @refused {
      auth_request off;
      default_type application/problem+json;
      if ($verified = 429) {
        return 429 '${TOO_MANY}';
      }
      if ($is_no_customer) {
        return 403 '${NO_CUSTOMER}';
      }
      return 503 '${UNAVAILABLE}';
    }`;

/** A line a header; `name` is how nginx calls its variable. */
const lines = (headers: readonly string[], line: (header: string, name: string) => string): string =>
  headers.map((header) => `    ${line(header, header.toLowerCase().replaceAll('-', '_'))}`).join('\n');

const schemeOf = ({ isTls }: Origin): string => (isTls ? 'https' : 'http');

/** nginx checks no certificate unless it is told to. */
const tlsTo = ({ isTls, host }: Origin): string =>
  isTls
    ? `
      proxy_ssl_server_name on;
      proxy_ssl_name ${host};
      proxy_ssl_verify on;
      proxy_ssl_verify_depth 4;
      proxy_ssl_trusted_certificate ${TRUSTED_AUTHORITIES}; # where Debian keeps it`
    : '';
