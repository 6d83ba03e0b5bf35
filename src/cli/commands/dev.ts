/**
 * `apostille dev`
 *
 * @module
 */
import { join } from 'node:path'
import type { Command } from 'commander'
import { DevError, type DevServer, startDevServer } from '../../runtime/dev.node.ts'
import { ListenError } from '../../runtime/listener.node.ts'
import { CliError } from '../cli-error.ts'
import { currentInvocation, quote } from '../invocation.ts'
import { type LogFlags, logSettings, openTelemetry, runUntilStopped, withLog } from '../lifetime.ts'
import { act, examples, type OutputOptions, withOutput } from '../options.ts'
import { formatFields, formatMoment, style } from '../output.ts'
import { parsePort } from '../values.ts'

interface DevOptions extends OutputOptions, LogFlags {
  readonly dir: string
  readonly port?: number
}

/** What can be tried. The first sets the variables that the others read; each works as it is pasted. */
interface Trial {
  readonly title: string
  readonly command: string
}

export function define(command: Command): void {
  command
    .description(
      'Run a gateway for development. It makes its configuration in .apostille/, listens on loopback only, and prints commands to try. Its store is marked: serve refuses it. To begin anew, stop it and remove the folder.',
    )
    .option('--dir <dir>', 'folder of its configuration, store and keys', '.apostille')
    .option(
      '--port <port>',
      'where it listens; 0 is a free one (default: that of its configuration, first 8443)',
      parsePort,
    )
  withLog(withOutput(command))
  examples(command, 'dev', 'dev --port 9443 --dir /tmp/apostille')
  act<DevOptions>(command, async (output, options) => {
    const telemetry = await openTelemetry(options)
    const input = { ...logSettings(options), folder: options.dir, port: options.port, env: process.env }
    await runUntilStopped({
      telemetry,
      configFile: join(options.dir, 'apostille.yaml'),
      start: () => startDevServer(input, telemetry).catch((error: unknown) => Promise.reject(explain(error))),
      ready: (server) => output.result(describe(server), () => formatWelcome(server)),
    })
  })
}

/** What `dev` itself refuses; everything else is explained as for `serve`. */
function explain(error: unknown): unknown {
  if (error instanceof DevError) return new CliError(error.message, { code: 'dev', cause: error })
  if (!(error instanceof ListenError)) return error
  const hint = `With another port: ${currentInvocation()} dev --port 9443, or --port 0 for a free one in a new folder.`
  return new CliError(error.message, { code: 'listen', hint, cause: error })
}

function endpoints({ url }: DevServer) {
  return {
    discovery: `${url}/.well-known/openid-configuration`,
    keys: `${url}/keys`,
    bundle: `${url}/v1/bundle`,
    identities: `${url}/v1/identities`,
    jwt_svid: `${url}/v1/svid/jwt`,
    x509_svid: `${url}/v1/svid/x509`,
    token_exchange: `${url}/token`,
  }
}

function trials({ url, files }: DevServer): readonly Trial[] {
  const program = currentInvocation()
  const variables = {
    APOSTILLE_SERVER: url,
    APOSTILLE_CA_FILE: files.ca,
    APOSTILLE_TOKEN_FILE: files.token,
    APOSTILLE_CONFIG: files.config,
  }
  return [
    {
      title: 'First: where the gateway is, who vouches for its certificate, what proves who you are, and for operators',
      command: Object.entries(variables)
        .map(([name, value]) => `export ${name}=${quote(value)}`)
        .join('\n'),
    },
    { title: 'Which identities does the token have?', command: `${program} identities` },
    { title: 'Get a JWT-SVID', command: `${program} svid jwt --audience demo` },
    { title: 'Get an X.509-SVID', command: `${program} svid x509 --out ${quote(join(files.folder, 'svid'))}` },
    { title: 'What was asked, and what was decided?', command: `${program} records list` },
    {
      title: 'The keys that verify the tokens',
      command: 'curl -sS --cacert "$APOSTILLE_CA_FILE" "$APOSTILLE_SERVER/keys"; echo',
    },
    {
      title: 'A JWT-SVID, over HTTP alone',
      command: `curl -sS --cacert "$APOSTILLE_CA_FILE" "$APOSTILLE_SERVER/v1/svid/jwt" \\
    -H "Authorization: Bearer $(cat "$APOSTILLE_TOKEN_FILE")" \\
    -H 'Content-Type: application/json' -d '{"audience":["demo"]}'; echo`,
    },
  ]
}

function describe(server: DevServer) {
  const { url, trustDomain, adminSocket, files, tokenExpiresAt } = server
  return {
    server: url,
    trust_domain: trustDomain,
    admin: `unix:${adminSocket}`,
    config: files.config,
    ca_file: files.ca,
    token_file: files.token,
    token_expires_at: tokenExpiresAt.toISOString(),
    endpoints: endpoints(server),
    commands: trials(server),
  }
}

function formatWelcome(server: DevServer): string {
  const bold = (text: string) => style(process.stdout, 'bold', text)
  const dim = (text: string) => style(process.stdout, 'dim', text)
  const { url, trustDomain, adminSocket, files, tokenExpiresAt } = server
  return [
    `${bold('apostille dev')}: ${url}, trust domain ${trustDomain}. For development only.`,
    '',
    formatFields([
      ...Object.entries(endpoints(server)).map(([name, address]) => [name.replace('_', ' '), address] as const),
      ['admin', `unix:${adminSocket}`],
      ['configuration', files.config],
      ['CA file', files.ca],
      ['token', `${files.token} (a join token, expires ${formatMoment(tokenExpiresAt, new Date())})`],
    ]),
    '',
    'Paste these into another terminal. Stop with Ctrl-C.',
    ...trials(server).flatMap(({ title, command }) => ['', dim(`# ${title}`), command]),
    '',
  ].join('\n')
}
