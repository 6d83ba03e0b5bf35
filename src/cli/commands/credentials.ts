/**
 * `apostille credentials`
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { CliError, usageError } from '../cli-error.ts'
import {
  azureEnvironment,
  credentialEnvironment,
  type Environment,
  formatExports,
  formatText,
  googleDocument,
  processDocument,
  type SubjectTokenSource,
} from '../credential-formats.ts'
import { writeFileWhole } from '../files.ts'
import { act, examples, withProof } from '../options.ts'
import { formatFields, formatMoment, type Output } from '../output.ts'
import { credentialPath, fetchCredential, fetchJwtSvid, type IdentityOptions } from '../target-credential.ts'
import { type FactOptions, findAzureFacts, findGoogleFacts, withFacts, wrongType } from '../target-facts.ts'

const formats = ['text', 'json', 'env', 'process', 'container', 'google-adc', 'azure-env'] as const

interface CredentialsOptions extends IdentityOptions, FactOptions {
  readonly format: (typeof formats)[number]
  readonly out?: string
  readonly tokenOut?: string
}

/** What is printed, or goes to the file of `--out`. */
interface Shown {
  /** For `--output json`. */
  readonly value: unknown
  readonly text: string
  /** For people: what else there is to know. */
  readonly notes?: readonly string[]
}

export function define(command: Command): void {
  command
    .description(
      `Get the credential of a target, in the form that a tool reads.

Formats:
  text        for people
  json        the answer of the gateway
  env         exports for a shell, such as AWS_ACCESS_KEY_ID, AZURE_ACCESS_TOKEN
  process     aws: what credential_process of a profile prints
  container   aws: exports with which an SDK asks the gateway by itself
  google-adc  gcp: a file for GOOGLE_APPLICATION_CREDENTIALS
  azure-env   azure: exports for WorkloadIdentityCredential; see --token-out`,
    )
    .argument('<target>', "name of a target in the gateway's configuration")
  withFacts(
    withProof(command)
      .addOption(new Option('--format <format>', 'what to print').choices([...formats]).default('text'))
      .option('--spiffe-id <id>', 'which of the identities of the proof (default: the first)')
      .option('--out <file>', 'write it to this file, mode 0600, by rename (default: standard output)')
      .option(
        '--token-out <file>',
        'azure-env, google-adc: write a JWT-SVID to this file, mode 0600 (default for google-adc: the library runs svid jwt)',
      ),
  )
  examples(
    command,
    'credentials payments-s3 --server https://id.example.org --token-file /var/run/token',
    'credentials payments-s3 --format process --server https://id.example.org --token-file /var/run/token',
    'credentials reports --format google-adc --config apostille.yaml --out adc.json --server https://id.example.org --token-file /var/run/token',
  )
  act<CredentialsOptions>(command, async (output, options, [target = '']) => {
    const shown = await render(options, target)
    await (options.out === undefined ? print(output, shown) : save(output, shown, target, options))
    for (const note of shown.notes ?? []) output.note(note)
  })
}

function print(output: Output, { value, text }: Shown): void {
  output.result(value, text)
}

async function save(output: Output, { value, text }: Shown, target: string, options: CredentialsOptions) {
  const { out: file = '', format } = options
  const content = output.format === 'json' ? JSON.stringify(value, null, 2) : text
  await writeFileWhole(file, `${content}\n`, 0o600)
  output.result({ target, format, file }, () =>
    formatFields([
      ['target', target],
      ['format', format],
      ['file', file],
    ]),
  )
}

function render(options: CredentialsOptions, target: string): Promise<Shown> {
  if (options.format === 'google-adc') return renderGoogle(options, target)
  if (options.format === 'azure-env') return renderAzure(options, target)
  return renderCredential(options, target)
}

async function renderCredential(options: CredentialsOptions, target: string): Promise<Shown> {
  // What is printed must work in the process that reads it, so it is looked at before anybody is asked.
  const variables = options.format === 'container' ? containerEnvironment(options, target) : undefined
  const answer = await fetchCredential(options, target)
  const { credential, document } = answer
  if (options.format === 'env') return shownEnvironment(credentialEnvironment(credential))
  if (options.format === 'process' || variables) {
    if (credential.type !== 'aws') throw wrongType(target, credential.type)
    return variables ? shownContainer(variables, options) : shownJson(processDocument(credential))
  }
  if (options.format === 'json') return shownJson(document)
  return { value: document, text: formatText(target, answer, new Date()) }
}

function shownJson(value: unknown): Shown {
  return { value, text: JSON.stringify(value, null, 2) }
}

function shownEnvironment(environment: Environment, notes: readonly string[] = []): Shown {
  return { value: environment, text: formatExports(environment), notes }
}

/** @throws {CliError} `usage` where an SDK could not show the proof */
function containerEnvironment(options: CredentialsOptions, target: string): Environment {
  const { server, tokenFile, certFile, caFile, authenticator } = options
  if (certFile !== undefined || authenticator !== undefined)
    throw usageError(
      '--format container: an SDK shows a token file and nothing else, so --cert-file and --authenticator can not be used',
    )
  if (tokenFile === undefined || tokenFile === '-')
    throw usageError('--format container: name a file with --token-file, as the SDK reads it again and again')
  refuseLineEnd(tokenFile)
  return {
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${server.href.replace(/\/$/, '')}${credentialPath(options, target)}`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: resolve(tokenFile),
    ...(caFile !== undefined && { NODE_EXTRA_CA_CERTS: resolve(caFile) }),
  }
}

/** AWS SDKs send the file as it is, and a header has no line end. A file that can not be read is told of later. */
function refuseLineEnd(tokenFile: string): void {
  try {
    if (!/\s$/.test(readFileSync(tokenFile, 'utf8'))) return
  } catch {
    return
  }
  throw new CliError(`${tokenFile} ends in a line end, which AWS SDKs refuse to send`, {
    code: 'file',
    hint: `Write it without, as with: printf %s "$(cat ${tokenFile})" > ${tokenFile}.plain`,
  })
}

function shownContainer(variables: Environment, { caFile }: CredentialsOptions): Shown {
  const note = `NODE_EXTRA_CA_CERTS is for Node. An SDK of another language must trust the authority of ${caFile} through the store of its system; \`exec\` needs none of that.`
  return shownEnvironment(variables, caFile === undefined ? [] : [note])
}

async function renderAzure(options: CredentialsOptions, target: string): Promise<Shown> {
  const { tokenOut } = options
  if (tokenOut === undefined)
    throw usageError('--format azure-env: name a file for the token with --token-out, which SDKs read')
  const facts = await findAzureFacts(options, target)
  const note = await writeToken(options, facts.audience, tokenOut)
  return shownEnvironment(azureEnvironment(facts, resolve(tokenOut)), [note])
}

async function renderGoogle(options: CredentialsOptions, target: string): Promise<Shown> {
  const { tokenOut } = options
  const facts = await findGoogleFacts(options, target)
  if (tokenOut !== undefined) {
    const note = await writeToken(options, facts.audience, tokenOut)
    return { ...shownJson(googleDocument(facts, { file: resolve(tokenOut) })), notes: [note] }
  }
  const note = 'Libraries run that command only where GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1 is set.'
  return { ...shownJson(googleDocument(facts, executableSource(options, facts.audience))), notes: [note] }
}

/** Without a line end, as not every library takes it off. */
async function writeToken(options: CredentialsOptions, audience: string, file: string): Promise<string> {
  const { token, expiresAt } = await fetchJwtSvid(options, audience)
  await writeFileWhole(file, token, 0o600)
  return `The token in ${file} expires ${formatMoment(expiresAt, new Date())}: run this again before, or use \`exec\`, which keeps it fresh.`
}

function executableSource(options: CredentialsOptions, audience: string): SubjectTokenSource {
  const { server, caFile, authenticator, tokenFile, certFile, keyFile, spiffeId } = options
  if (tokenFile === '-') throw usageError('--format google-adc: standard input can be read once only; name a file')
  if (tokenFile === undefined && (certFile === undefined || keyFile === undefined))
    throw usageError('there is no proof of identity', 'Name it with --token-file FILE, or --cert-file and --key-file.')
  const proof =
    certFile === undefined
      ? ([['--token-file', tokenFile && resolve(tokenFile)]] as const)
      : ([
          ['--cert-file', resolve(certFile)],
          ['--key-file', keyFile && resolve(keyFile)],
        ] as const)
  const flags = [
    ['--format', 'google-executable'],
    ['--audience', audience],
    ['--server', server.href],
    ['--ca-file', caFile && resolve(caFile)],
    ['--authenticator', authenticator],
    ['--spiffe-id', spiffeId],
    ...proof,
  ] as const
  const given = flags.flatMap(([flag, value]) => (value === undefined ? [] : [flag, value]))
  const words = [process.execPath, resolve(process.argv[1] ?? ''), 'svid', 'jwt', ...given]
  return { executable: { command: words.map(googleWord).join(' ') } }
}

/** Google's libraries start the command without a shell: double quotes are all that each of them understands. */
function googleWord(word: string): string {
  if (/^[\w@%+=:,./~-]+$/.test(word)) return word
  if (!/["'\\\n]/.test(word)) return `"${word}"`
  throw usageError(
    `--format google-adc: Google's libraries can not run a command with ${JSON.stringify(word)} in it`,
    'Use other paths, or --token-out FILE, which needs no command.',
  )
}
