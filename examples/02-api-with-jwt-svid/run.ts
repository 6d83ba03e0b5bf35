/**
 * Plays the example: starts all its parts, shows what happens, ends by itself.
 *
 * @module
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ApostilleError, createClient, type NodeOptions } from '../../src/node.ts'
import { callHttps } from '../support/https-call.ts'
import { createLocalAuthority } from '../support/local-authority.ts'
import { createNarrator, type Narrator } from '../support/narrator.ts'
import type { Program } from '../support/programs.ts'
import { play, readRules, type Scene } from '../support/scene.ts'
import { tellRecords } from '../support/tell-records.ts'
import { decodeToken } from '../support/token-claims.ts'

const here = import.meta.dirname
const configFile = join(here, 'apostille.yaml')
const audience = 'https://customers.example.org'
const otherAudience = 'https://reports.example.org'
const accounts = [
  { namespace: 'wealth-prod', name: 'relationship-assistant' },
  { namespace: 'retail-prod', name: 'branch-assistant' },
  { namespace: 'wealth-test', name: 'assistant-in-test' },
]

export function run(narrator: Narrator): Promise<void> {
  narrator.heading('A cluster and Apostille')
  return play({ configFile, accounts, narrator }, async (scene) => {
    await showToken(scene, narrator)
    const api = await startApi(scene, narrator)
    await askForCustomers(scene, narrator, api)
    await tryMisuse(scene, narrator, api)
    await tellRecords(scene.gateway, narrator)
  })
}

interface Api {
  readonly url: string
  readonly caFile: string
  readonly program: Program
}

async function showToken(scene: Scene, narrator: Narrator): Promise<void> {
  narrator.heading('A token in, a better token out')
  const proof = decodeToken(await readFile(scene.cluster.tokenFile('relationship-assistant'), 'utf8'))
  narrator.say(`relationship-assistant runs in the namespace wealth-prod. Kubernetes gave its pod this token, which is good
    for one thing only: to show it to Apostille.`)
  narrator.values(pick(proof, ['iss', 'sub', 'aud']))
  narrator.say('A rule in apostille.yaml says what it is worth:')
  narrator.lines(await readRules(configFile))
  const svid = await requestJwtSvid(workload(scene, 'relationship-assistant'), audience)
  narrator.say(`Apostille verified it with the cluster's published keys, found the rule for that namespace, and gave a JWT-SVID
    for it: signed by Apostille, made for one audience, good for minutes. The last three claims come from the rule.`)
  const { iss, sub, aud, iat, exp, ...more } = decodeToken(svid.token)
  const domainClaims = pick(more, ['business_line', 'environment', 'customer_data_domain'])
  narrator.values({ iss, sub, aud, 'good for': `${Number(exp) - Math.floor(Date.now() / 1000)} s`, ...domainClaims })
}

function requestJwtSvid(options: NodeOptions, wanted: string) {
  return createClient(options).getJwtSvid({ audience: wanted })
}

function pick(claims: Readonly<Record<string, unknown>>, names: readonly string[]) {
  return Object.fromEntries(names.map((name) => [name, claims[name]]))
}

function workload(scene: Scene, serviceAccount: string) {
  const { url: server, caFile } = scene.gateway
  return { server, caFile, tokenFile: scene.cluster.tokenFile(serviceAccount) }
}

/**
 * `EXAMPLE_API` names a command that takes the place of customer-api, such as `python3 api.py`.
 *
 * The API's own TLS certificate is not our subject: it comes from wherever such certificates come from, here from an
 * authority made for this run.
 */
async function startApi(scene: Scene, narrator: Narrator): Promise<Api> {
  narrator.heading('An API that knows one URL')
  narrator.say(`customer-api has no library of Apostille, and the cluster is not known to it. It is told the URL of an issuer, as
    for any OpenID Connect provider, and finds the keys by discovery. No secret is shared, no client is registered.`)
  const at = (name: string) => join(scene.folder, name)
  const files = { caFile: at('company-ca.pem'), certFile: at('api.pem'), keyFile: at('api.key') }
  const authority = await createLocalAuthority('company CA of this run')
  const { cert, key } = await authority.issue()
  await writeFile(files.caFile, authority.ca)
  await writeFile(files.certFile, cert)
  await writeFile(files.keyFile, key, { mode: 0o600 })

  const env = {
    ISSUER: scene.gateway.url,
    AUDIENCE: audience,
    ENVIRONMENT: 'prod',
    TLS_CERT_FILE: files.certFile,
    TLS_KEY_FILE: files.keyFile,
    NODE_EXTRA_CA_CERTS: scene.gateway.caFile,
    ISSUER_CA_FILE: scene.gateway.caFile,
  }
  const program = scene.start({ name: 'customer-api', command: apiCommand(), env })
  await program.printed(/^discovered the keys/)
  const [, url = ''] = await program.printed(/^listening on (\S+)/)
  return { url, caFile: files.caFile, program }
}

function apiCommand(): readonly [string, ...string[]] {
  const [file, ...args] = process.env['EXAMPLE_API']?.split(' ') ?? []
  return [file ?? join(here, 'customer-api.ts'), ...args]
}

async function askForCustomers(scene: Scene, narrator: Narrator, { url, caFile }: Api): Promise<void> {
  narrator.heading('The claims decide what may be seen')
  const settings = { API_URL: url, API_AUDIENCE: audience, API_CA_FILE: caFile }
  const ask = (name: string) =>
    scene.start({
      name,
      command: [join(here, 'relationship-assistant.ts'), '/customers/1001', '/customers/2001'],
      env: { ...scene.workload(name), ...settings },
    })

  const assistant = ask('relationship-assistant')
  await assistant.printed(/^\/customers\/1001: 200 .*Ada/)
  await assistant.printed(/^\/customers\/2001: 403/)
  await assistant.ended()
  narrator.check('Granted: customer 1001 is of wealth, and so is the caller.')
  narrator.check('Refused: customer 2001 is of retail, another business line.')
  narrator.say(`The same program in the namespace retail-prod gets other claims, and with them the other half:`)
  const branch = ask('branch-assistant')
  await branch.printed(/^\/customers\/1001: 403/)
  await branch.printed(/^\/customers\/2001: 200 .*Jan/)
  await branch.ended()
  narrator.check('The program did not choose its claims: its namespace did.')
}

async function tryMisuse(scene: Scene, narrator: Narrator, api: Api): Promise<void> {
  narrator.heading('What does not work')
  const ca = await readFile(api.caFile, 'utf8')
  const assistant = workload(scene, 'relationship-assistant')
  async function expectRefusal(what: string, token: string): Promise<void> {
    const headers = { authorization: `Bearer ${token}` }
    const [{ status }] = await Promise.all([
      callHttps(`${api.url}/customers/1001`, { ca, headers }),
      api.program.prints(/^\d\d\d /),
    ])
    if (status !== 401) throw new Error(`${what}: the API answered ${status}`)
    narrator.check(`${what}: 401.`)
  }

  await expectRefusal('No token', '')
  const { token: elsewhere } = await requestJwtSvid(assistant, otherAudience)
  await expectRefusal(`A token of relationship-assistant for another audience, ${otherAudience}`, elsewhere)
  const { token } = await requestJwtSvid(assistant, audience)
  await expectRefusal('A token whose business line was changed from wealth to retail', tamper(token))
  const { token: fromTest } = await requestJwtSvid(workload(scene, 'assistant-in-test'), audience)
  await expectRefusal('A token from the test environment', fromTest)
  await expectRefusal('The Kubernetes token itself', await readToken(assistant.tokenFile))

  const refusal = await requestJwtSvid(assistant, 'https://payroll.example.org').then(
    () => undefined,
    (error) => error,
  )
  if (!(refusal instanceof ApostilleError) || refusal.status !== 403) throw new Error('a token for payroll was given')
  narrator.check(`Asking Apostille for a token for payroll, which no rule grants: 403 (${refusal.message}).`)
}

async function readToken(file: string): Promise<string> {
  return (await readFile(file, 'utf8')).trim()
}

function tamper(token: string): string {
  const [header, , signature] = token.split('.')
  const claims = { ...decodeToken(token), business_line: 'retail', customer_data_domain: 'retail-customers' }
  return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.')
}

if (import.meta.main) await run(createNarrator())
