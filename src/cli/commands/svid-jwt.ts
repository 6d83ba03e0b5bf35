/**
 * `apostille svid jwt`
 *
 * @module
 */
import { type Command, Option } from 'commander'
import { CliError, usageError } from '../cli-error.ts'
import { writeFileWhole } from '../files.ts'
import { act, examples, type WorkloadOptions, withProof, withRequired } from '../options.ts'
import { formatFields, formatMoment, type Output } from '../output.ts'
import { withHooks } from '../renewal-hook.ts'
import { openServerWithProof, readJsonAnswer } from '../server-call.ts'
import { collect, parseDuration } from '../values.ts'
import { checkWatchFlags, type WatchFlags } from '../watch.ts'

interface JwtSvidOptions extends WorkloadOptions, WatchFlags {
  readonly audience: readonly string[]
  readonly spiffeId?: string
  readonly ttl?: number
  readonly format: 'token' | 'google-executable'
}

interface JwtSvidDocument {
  readonly spiffe_id: string
  readonly token: string
  readonly expires_at: string
}

export function define(command: Command): void {
  command.description(
    'Get a JWT-SVID. The token alone goes to standard output; on a terminal its claims are shown beside it, on standard error.',
  )
  withRequired(
    withProof(command),
    new Option(
      '--audience <audience>',
      'required: who the token is for; may be given again where the rule allows it',
    ).argParser(collect),
  )
    .option('--spiffe-id <id>', 'which of the identities of the proof (default: the first)')
    .option('--ttl <duration>', "how long it lives, such as 5m (default: the rule's jwt_ttl)", parseDuration)
    .option('--out <file>', 'write the token to this file, mode 0600, by rename (default: standard output)')
    .option(
      '--watch <file>',
      'keep a token in this file fresh until stopped: replaced at half of its life (default: get one, once)',
    )
    .addOption(
      new Option(
        '--format <format>',
        "google-executable is what Google's libraries read of a program, errors included, on standard output",
      )
        .choices(['token', 'google-executable'])
        .default('token'),
    )
  withHooks(command)
  examples(
    command,
    'svid jwt --audience https://api.example.org --server https://id.example.org --token-file /var/run/token',
    'svid jwt --audience sts.amazonaws.com --out token --server https://id.example.org --cert-file svid.pem --key-file svid.key',
    'svid jwt --audience https://api.example.org --watch /run/api.jwt --server https://id.example.org --token-file /var/run/token',
  ).addHelpText('after', helpOnWatch)
  act<JwtSvidOptions>(command, async (output, options) => {
    checkWatchFlags(options)
    const { watch, format } = options
    if (watch !== undefined && format !== 'token') throw usageError('--format: --watch keeps a token and nothing else')
    if (watch !== undefined) return keepFresh(output, options, watch)
    if (options.format === 'google-executable') return answerGoogle(options)
    const svid = await ask(options)
    await (options.out === undefined ? show(output, svid) : save(output, svid, options.out))
  })
}

const helpOnWatch = `
With --watch it ends with 0 when it is stopped (SIGTERM, SIGINT), and with 1 when it can not begin. While the gateway is away
the token at hand stays, and it says so and tries again. --exec and --signal come whenever the file is new, the first time
included. With --output json each renewal is one line.`

async function keepFresh(output: Output, options: JwtSvidOptions, path: string): Promise<void> {
  const { watchJwt } = await import('../watch-jwt.ts')
  const fetch = async () => {
    const { spiffe_id: spiffeId, token, expires_at: expiresAt } = await ask(options)
    return { spiffeId, token, expiresAt: new Date(expiresAt) }
  }
  await watchJwt(output, options, { path, fetch })
}

async function ask(options: JwtSvidOptions): Promise<JwtSvidDocument> {
  const call = await openServerWithProof(options)
  const answer = await call({ method: 'POST', path: '/v1/svid/jwt', body: requestOf(options) })
  const svid = readJsonAnswer<JwtSvidDocument>(answer)
  if (typeof svid.token !== 'string') throw new CliError('the answer holds no token', { code: 'unexpected_answer' })
  return svid
}

/**
 * One JSON object and nothing else: the libraries read standard error along with it.
 *
 * @see {@link https://google.aip.dev/auth/4117 AIP-4117: executable-sourced credentials}
 */
async function answerGoogle(options: JwtSvidOptions): Promise<void> {
  const { document, exitCode } = await ask(options).then(googleAnswer, googleFailure)
  const text = `${JSON.stringify(document)}\n`
  if (options.out === undefined) process.stdout.write(text)
  else await writeFileWhole(options.out, text, 0o600)
  process.exitCode = exitCode
}

function googleAnswer({ token, expires_at: expiresAt }: JwtSvidDocument) {
  const document = {
    version: 1,
    success: true,
    token_type: 'urn:ietf:params:oauth:token-type:jwt',
    id_token: token,
    expiration_time: Math.floor(new Date(expiresAt).getTime() / 1000),
  }
  return { document, exitCode: 0 }
}

function googleFailure(error: unknown) {
  if (!(error instanceof CliError)) throw error
  const { code, message, requestId, exitCode } = error
  const said = requestId === undefined ? message : `${message}, request id ${requestId}`
  return { document: { version: 1, success: false, code, message: said }, exitCode }
}

function requestOf({ audience, spiffeId, ttl }: JwtSvidOptions) {
  return { audience, spiffe_id: spiffeId, ttl_seconds: ttl }
}

function show(output: Output, svid: JwtSvidDocument): void {
  output.result(svid, svid.token)
  if (process.stdout.isTTY)
    output.note(
      `\n${JSON.stringify(claimsOf(svid.token), null, 2)}\nexpires ${formatMoment(new Date(svid.expires_at), new Date())}`,
    )
}

async function save(output: Output, { token, ...svid }: JwtSvidDocument, file: string): Promise<void> {
  // Without a line end: SDKs of AWS and Google send the file as it is.
  await writeFileWhole(file, token, 0o600)
  output.result({ ...svid, file }, () =>
    formatFields([
      ['spiffe id', svid.spiffe_id],
      ['expires', formatMoment(new Date(svid.expires_at), new Date())],
      ['token', file],
    ]),
  )
}

/** For showing only: nothing is verified here, as the server that was asked vouches for it. */
function claimsOf(token: string): unknown {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as unknown
}
