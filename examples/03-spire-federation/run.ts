/**
 * Plays the example: starts all its parts, shows what happens, ends by itself.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ApostilleError, createClient, createX509Source, type NodeOptions } from '../../src/node.ts'
import { findFreePort, type Places } from '../support/gateway.ts'
import { createNarrator, type Narrator } from '../support/narrator.ts'
import { play, readRules, type Scene, type Stage } from '../support/scene.ts'
import { tellRecords } from '../support/tell-records.ts'
import { decodeToken } from '../support/token-claims.ts'
import { findSpire, type SpireAgent, type SpireServer, startAgent, startServer } from './spire.ts'

const here = import.meta.dirname
const configFile = join(here, 'apostille.yaml')
const accounts = [{ namespace: 'payments', name: 'payments-api' }]
const theirDomain = 'spire.example'
const theirId = `spiffe://${theirDomain}/shop/web`
const theirNode = `spiffe://${theirDomain}/node`
const ourId = 'spiffe://example.org/ns/payments/sa/payments-api'
const audience = 'https://customers.example.org'

export async function run(narrator: Narrator): Promise<void> {
  narrator.heading('A SPIRE, a cluster and Apostille')
  const programs = await findSpire()
  const bundlePort = await findFreePort()
  let spire: SpireServer | undefined

  async function prepare(stage: Stage): Promise<Places> {
    spire = await startServer(programs, stage, { name: 'spire-server', config: 'server.conf' })
    narrator.check(`A SPIRE server runs, for the trust domain ${theirDomain}.`)
    return [
      [['bundle_endpoint', 'address'], `127.0.0.1:${bundlePort}`],
      [['federation', theirDomain, 'bundle'], await keepFirstBundle(stage, spire)],
      [['federation', theirDomain, 'endpoint'], spire.bundleEndpoint],
    ]
  }

  await play({ configFile, accounts, narrator, prepare }, async (scene) => {
    if (spire === undefined) throw new Error('there is no SPIRE')
    const agent = await startAgent(programs, scene, { server: spire, node: theirNode })
    const parts = { scene, narrator, spire, agent, programs, bundlePort }
    await meet(parts)
    await comeIn(parts)
    await speak(parts)
    await rotate(parts)
    await standAbove(parts)
    await tellRecords(scene.gateway, narrator)
  })
}

interface Parts {
  readonly scene: Scene
  readonly narrator: Narrator
  readonly spire: SpireServer
  readonly agent: SpireAgent
  readonly programs: string
  readonly bundlePort: number
}

async function keepFirstBundle({ folder }: Stage, spire: SpireServer): Promise<string> {
  const file = join(folder, 'trust-bundles', `${theirDomain}.json`)
  await mkdir(join(folder, 'trust-bundles'))
  await writeFile(file, await spire.command('bundle', 'show', '-format', 'spiffe'))
  return file
}

async function meet({ scene, narrator, spire, bundlePort }: Parts): Promise<void> {
  const { gateway } = scene
  narrator.heading('Two operators exchange public keys, once')
  narrator.say(`Each side needs the other's bundle: the public keys of its trust domain. The first copy goes by hand, here as
    files. From then on each asks the other's bundle endpoint, and knows it by the keys it already has.`)
  await gateway.command('federation', 'refresh', theirDomain)
  narrator.lines((await gateway.command('federation', 'list')).trimEnd().split('\n'))
  narrator.check(
    `Apostille trusts ${theirDomain}: by a file that apostille.yaml names at first, by its bundle endpoint since.`,
  )

  const file = join(scene.folder, 'example.org.json')
  // It takes no proof, so any will do.
  const { url: server, caFile } = gateway
  await writeFile(file, await createClient({ server, caFile, token: 'none' }).getBundle())
  await spire.command(
    ...['federation', 'create', '-trustDomain', 'example.org', '-bundleEndpointURL', `https://localhost:${bundlePort}`],
    ...['-bundleEndpointProfile', 'https_spiffe', '-endpointSpiffeID', 'spiffe://example.org/apostille/server'],
    ...['-trustDomainBundlePath', file, '-trustDomainBundleFormat', 'spiffe'],
  )
  await spire.command('federation', 'refresh', '-id', 'example.org')
  narrator.check('SPIRE trusts example.org, and has just read its bundle from the bundle endpoint of Apostille.')

  const uid = String(process.getuid?.())
  await spire.command(
    ...['entry', 'create', '-spiffeID', theirId, '-parentID', theirNode, '-selector', `unix:uid:${uid}`],
    ...['-federatesWith', 'spiffe://example.org', '-jwtSVIDTTL', '300'],
  )
  narrator.check(`SPIRE has an entry for a workload: ${theirId}.`)
}

async function comeIn(parts: Parts): Promise<void> {
  const { scene, narrator } = parts
  narrator.heading('A workload of SPIRE gets what it needs from Apostille')
  narrator.say(`shop-web asks its SPIRE agent for a JWT-SVID that is made for Apostille, and shows it. There is no account and
    no registration: a rule says what its name is worth.`)
  narrator.lines((await readRules(configFile)).slice(-5))
  const token = await fetchToken(parts)
  narrator.values(pick(decodeToken(token), ['sub', 'aud']))
  narrator.say('What comes back is of our trust domain, for an API that has never heard of SPIRE:')
  const svid = await requestJwtSvid(await proofOf(scene, token), audience)
  narrator.values(pick(decodeToken(svid.token), ['iss', 'sub', 'aud']))
  if (svid.spiffeId !== 'spiffe://example.org/spire/shop/web') throw new Error(`it is ${svid.spiffeId}`)
  narrator.check(`${theirId} is ${svid.spiffeId} here.`)
}

async function fetchToken({ scene, agent }: Parts): Promise<string> {
  const answer = await agent.fetch('jwt', '-audience', scene.gateway.url, '-output', 'json')
  return JSON.parse(answer)[0].svids[0].svid
}

async function proofOf({ folder, gateway }: Scene, token: string) {
  const tokenFile = join(folder, 'spire.token')
  await writeFile(tokenFile, token, { mode: 0o600 })
  return { server: gateway.url, caFile: gateway.caFile, tokenFile }
}

function requestJwtSvid(options: NodeOptions, wanted: string) {
  return createClient(options).getJwtSvid({ audience: wanted })
}

function pick(claims: Readonly<Record<string, unknown>>, names: readonly string[]) {
  return Object.fromEntries(names.map((name) => [name, claims[name]]))
}

async function speak({ scene, narrator, agent }: Parts): Promise<void> {
  narrator.heading('Workloads of the two trust domains speak mutual TLS')
  narrator.say(`payments-api has its certificate from Apostille, shop-web from SPIRE. Each checks the other against the bundle of
    the other's trust domain: shop-web has it from its agent, payments-api from Apostille.`)
  const folder = join(scene.folder, 'shop-web')
  await mkdir(folder, { mode: 0o700 })
  await agent.fetch('x509', '-write', folder)
  const web = scene.start({
    name: 'shop-web',
    command: [join(here, 'shop-web.ts')],
    env: { SVID_DIR: folder, ALLOWED_CALLER: ourId },
  })
  const [, url = ''] = await web.printed(/^listening on (\S+)/)
  const call = async (peerId: string, expected: RegExp) => {
    const api = scene.start({
      name: 'payments-api',
      command: [join(here, 'payments-api.ts')],
      env: { ...scene.workload('payments-api'), PEER_URL: url, PEER_ID: peerId },
    })
    await api.printed(expected)
  }

  await call(theirId, /answered 200/)
  await web.printed(/^accepted /)
  narrator.check('Both sides accepted each other.')
  await call(`spiffe://${theirDomain}/shop/database`, /^I hung up: the peer is/)
  narrator.check('A valid certificate of that trust domain with another name is not enough.')
  await web.stop()
}

async function rotate(parts: Parts): Promise<void> {
  const { scene, narrator, spire } = parts
  narrator.heading('SPIRE changes its keys')
  narrator.say(`Keys of SPIRE come and go. Apostille asks for them as often as SPIRE's bundle says (here: every 5 minutes); we do not
    wait, and ask now.`)
  const { active } = JSON.parse(await spire.command('localauthority', 'jwt', 'show', '-output', 'json'))
  const old = await fetchToken(parts)
  const prepared = JSON.parse(await spire.command('localauthority', 'jwt', 'prepare', '-output', 'json'))
  const id = prepared.prepared_authority.authority_id
  await scene.gateway.command('federation', 'refresh', theirDomain)
  await spire.command('localauthority', 'jwt', 'activate', '-authorityID', id)
  const minted = ['jwt', 'mint', '-spiffeID', theirId, '-audience', scene.gateway.url]
  const fresh = (await spire.command(...minted)).trim()
  await requestJwtSvid(await proofOf(scene, fresh), audience)
  await requestJwtSvid(await proofOf(scene, old), audience)
  narrator.check('Apostille knew the new key before SPIRE signed with it. Tokens of both keys are good.')

  await spire.command('localauthority', 'jwt', 'taint', '-authorityID', active.authority_id)
  await spire.command('localauthority', 'jwt', 'revoke', '-authorityID', active.authority_id)
  await scene.gateway.command('federation', 'refresh', theirDomain)
  await expectRefusal(requestJwtSvid(await proofOf(scene, old), audience))
  await requestJwtSvid(await proofOf(scene, fresh), audience)
  narrator.check('SPIRE revoked the old key: its tokens are refused, also those that were accepted a moment ago.')
}

async function expectRefusal(asked: Promise<unknown>): Promise<void> {
  const outcome = await asked.then(
    () => undefined,
    (error) => error,
  )
  if (!(outcome instanceof ApostilleError) || outcome.status !== 401) throw new Error('this should have been refused')
}

async function standAbove({ scene, narrator, programs }: Parts): Promise<void> {
  const { gateway } = scene
  narrator.heading('A SPIRE below Apostille')
  narrator.say(`A part of example.org may be SPIRE's: Apostille signs an intermediate that can make certificates for names of
    example.org only, and SPIRE takes it as its upstream authority.`)
  const upstream = join(scene.folder, 'spire-upstream')
  const signed = await gateway.command('authority', 'sign-intermediate', '--out', upstream, '--ttl', '30d')
  narrator.lines(signed.replaceAll(`${scene.folder}/`, '').trimEnd().split('\n'))
  const below = await startServer(programs, scene, { name: 'spire-below', config: 'below-apostille.conf', upstream })
  const folder = join(below.folder, 'svid')
  await mkdir(folder, { mode: 0o700 })
  await below.command('x509', 'mint', '-spiffeID', 'spiffe://example.org/vm/database', '-write', folder)
  const { url: server, caFile } = gateway
  const proof = { certFile: join(folder, 'svid.pem'), keyFile: join(folder, 'key.pem') }
  const [chain = '', ca = ''] = await Promise.all([proof.certFile, caFile].map((file) => readFile(file, 'utf8')))
  narrator.check(
    `A certificate that this SPIRE made chains to the root of Apostille, over ${countBetween(chain, ca)} others.`,
  )

  await expectRefusal(createX509Source({ server, caFile, ...proof }))
  narrator.check('It is SPIRE’s to renew, not ours: Apostille gives nothing for it.')
}

/** How many intermediates stand between the first certificate and a root. @throws when the line is broken somewhere */
function countBetween(chain: string, roots: string): number {
  const line = readCertificates(chain)
  const holds = line.every((certificate, index) => {
    const next = line[index + 1]
    return (next ? [next] : readCertificates(roots)).some(({ publicKey }) => certificate.verify(publicKey))
  })
  if (!holds) throw new Error('the chain does not hold')
  return line.length - 1
}

function readCertificates(pem: string): readonly X509Certificate[] {
  return (pem.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? []).map(
    (text) => new X509Certificate(text),
  )
}

if (import.meta.main) await run(createNarrator())
