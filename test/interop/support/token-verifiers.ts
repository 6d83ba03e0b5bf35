/**
 * The programs of `examples/06-verify-jwt-svid`: each reads tokens, one a line, and answers each with a line.
 *
 * @module
 */
import { join } from 'node:path'
import { type Finished, type Running, run, runOk, start } from './command.ts'
import { part } from './parts.ts'

const examples = 'examples/06-verify-jwt-svid'
const root = join(import.meta.dirname, '../../..')

export interface VerifierProgram {
  readonly name: string
  /** Source file, below `examples/06-verify-jwt-svid`. */
  readonly source: string
  /** How often keys are read when eleven tokens name a `kid` that no key has: at first, and then. */
  readonly keyRequests: number
}

export const verifierPrograms: readonly VerifierProgram[] = [
  { name: 'TypeScript with the SDK', source: 'typescript/sdk.ts', keyRequests: 1 },
  { name: 'TypeScript with jose', source: 'typescript/jose.ts', keyRequests: 1 },
  { name: 'Python', source: 'python/verify.py', keyRequests: 1 },
  { name: 'Go', source: 'go/main.go', keyRequests: 1 },
  { name: 'Java', source: 'java/src/main/java/Verify.java', keyRequests: 2 },
  { name: 'Rust', source: 'rust/src/main.rs', keyRequests: 1 },
]

interface Command {
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

export interface Settings {
  readonly issuer: string
  readonly audience: string
  readonly trustDomain: string
}

export interface TokenVerifiers {
  /** Runs a program until its end, over all these tokens. */
  readonly runOver: (program: VerifierProgram, settings: Settings, tokens: readonly string[]) => Promise<Finished>
  readonly start: (stack: AsyncDisposableStack, program: VerifierProgram, settings: Settings) => Verifier
}

export interface Verifier {
  /** Its answer: a line that begins with `accepted` or `refused`. */
  readonly verify: (token: string) => Promise<string>
}

/** Builds all of them. @param caFile PEM that vouches for the issuers. @param folder for what Java reads in its place. */
export async function buildTokenVerifiers(caFile: string, folder: string): Promise<TokenVerifiers> {
  const commands = await findCommands(caFile, folder)

  function commandOf({ source }: VerifierProgram, { issuer, audience, trustDomain }: Settings): Command {
    const found = commands[source]
    if (found === undefined) throw new Error(`nothing is built of ${source}`)
    const env = { ...found.env, ISSUER: issuer, AUDIENCE: audience, TRUST_DOMAIN: trustDomain }
    return { ...found, env }
  }

  return {
    runOver(program, settings, tokens) {
      const { command, args, env } = commandOf(program, settings)
      return run(command, args, { env, input: tokens.map((token) => `${token}\n`).join('') })
    },
    start(stack, program, settings) {
      const { command, args, env } = commandOf(program, settings)
      return answering(start(stack, command, args, { env }))
    },
  }
}

async function findCommands(caFile: string, folder: string): Promise<Readonly<Record<string, Command>>> {
  const trustStore = join(folder, 'issuer.p12')
  const trust = ['-importcert', '-noprompt', '-alias', 'issuer', '-file', caFile, '-keystore', trustStore]
  const python = await part('python-environment.sh', `${examples}/python/requirements.txt`)
  const go = await part('go-program.sh', `${examples}/go`)
  const rust = await part('cargo-program.sh', `${examples}/rust`)
  const java = await part('maven-program.sh', `${examples}/java`)
  await runOk('keytool', [...trust, '-storepass', 'changeit'])

  const node = (source: string): Command => ({
    command: process.execPath,
    args: [join(root, examples, source)],
    env: { NODE_EXTRA_CA_CERTS: caFile },
  })
  const env = { SSL_CERT_FILE: caFile }
  return {
    'typescript/sdk.ts': node('typescript/sdk.ts'),
    'typescript/jose.ts': node('typescript/jose.ts'),
    'python/verify.py': { command: join(python, 'bin/python'), args: [join(root, examples, 'python/verify.py')], env },
    'go/main.go': { command: join(go, 'verify-jwt-svid'), args: [], env },
    'java/src/main/java/Verify.java': {
      command: 'java',
      args: [
        ...['-XX:TieredStopAtLevel=1', `-Djavax.net.ssl.trustStore=${trustStore}`],
        ...['-Djavax.net.ssl.trustStorePassword=changeit', '-cp', `${java}/classes:${java}/lib/*`, 'Verify'],
      ],
      env: {},
    },
    'rust/src/main.rs': { command: join(rust, 'verify-jwt-svid'), args: [], env },
  }
}

/** Tokens are asked about one at a time. */
function answering(program: Running): Verifier {
  let asked = 0
  return {
    async verify(token) {
      program.write(`${token}\n`)
      const [, line = ''] = await program.line(new RegExp(`^(?:.*\\n){${asked}}(.*)\\n`))
      asked++
      return line
    },
  }
}
