/**
 * Plays the example: starts all its parts, shows what happens, ends by itself.
 *
 * @module
 */
import { join } from 'node:path'
import { commandLine } from '../support/gateway.ts'
import { createNarrator, type Narrator } from '../support/narrator.ts'
import type { Program } from '../support/programs.ts'
import { play, readRules, type Scene } from '../support/scene.ts'
import { tellRecords } from '../support/tell-records.ts'

const here = import.meta.dirname
const configFile = join(here, 'apostille.yaml')
const namespace = 'payments'
const idOf = (serviceAccount: string) => `spiffe://example.org/ns/${namespace}/sa/${serviceAccount}`

export function run(narrator: Narrator): Promise<void> {
  const accounts = ['payments-api', 'mtls-backend', 'reporting'].map((name) => ({ namespace, name }))
  narrator.heading('A cluster and Apostille')
  return play({ configFile, accounts, narrator }, async (scene) => {
    const services = await startServices(scene, narrator)
    await watchRotation(services, narrator)
    await tryOthers(scene, narrator, services)
    await loseApostille(scene, narrator, services)
    await sumUp(scene, narrator, services)
  })
}

interface Services {
  readonly backend: Program
  /** Keeps the backend's certificate fresh: the backend itself, or a companion where it reads files. */
  readonly keeper: Program
  readonly api: Program
}

/** Short lives, so that a rotation is seen within seconds. By default it would be an hour, renewed after half of it. */
const shortLives = { SVID_TTL_SECONDS: '60', RENEW_AFTER_SECONDS: '2' }

async function startServices(scene: Scene, narrator: Narrator): Promise<Services> {
  narrator.heading('Two services get their identities, and talk')
  narrator.say(`Each service makes a private key that never leaves it, shows Apostille the token that Kubernetes gave its pod,
    and gets an X.509-SVID: a certificate whose name is a SPIFFE ID. Then payments-api calls mtls-backend over mutual TLS.
    Each checks the other's certificate, and that the SPIFFE ID in it is the one expected.`)
  narrator.say(`Which name a service gets, a rule in apostille.yaml says:`)
  narrator.lines(await readRules(configFile))
  const { backend, keeper } = await startBackend(scene)
  const [, url = ''] = await backend.printed(/listening on (\S+)/)
  const api = scene.start({
    name: 'payments-api',
    command: [join(here, 'payments-api.ts')],
    env: { ...scene.workload('payments-api'), ...shortLives, BACKEND_URL: url, BACKEND_ID: idOf('mtls-backend') },
  })
  await api.printed(/^request 1: /)
  narrator.check('The first request went through: both sides showed an X.509-SVID, and both were accepted.')
  return { backend, keeper, api }
}

async function watchRotation({ backend, api }: Services, narrator: Narrator): Promise<void> {
  narrator.heading('Certificates change while requests flow')
  narrator.say(`Nobody restarts anything and nobody is paged: each service renews its certificate by itself, with the old one
    as the proof. Here they ask for 60-second certificates and renew every 2 seconds, so that you can watch it.`)
  await Promise.all([api.prints(/^renewed/), backend.prints(/^renewed/)])
  await api.prints(/^request \d+: /)
  await Promise.all([api.prints(/^renewed/), backend.prints(/^renewed/)])
  await api.prints(/^request \d+: /)
  narrator.check('Both services went through several certificates, and no request failed.')
}

async function tryOthers(scene: Scene, narrator: Narrator, { backend }: Services): Promise<void> {
  narrator.heading('A valid certificate is not enough')
  narrator.say(`"reporting" runs in the same namespace and has a perfectly valid X.509-SVID. But it is not payments-api. It runs
    the very same program as payments-api does: what counts is the identity that Kubernetes and Apostille vouch for.`)
  const [, url = ''] = await backend.printed(/listening on (\S+)/)
  const caller = once(scene, { BACKEND_URL: url, BACKEND_ID: idOf('mtls-backend') }, 'reporting')
  await caller.printed(/^the backend refused: 403/)
  narrator.check('mtls-backend refused reporting, by its SPIFFE ID.')
  narrator.say(`It works the other way round, too: now "reporting" pretends to be the backend.`)

  const impostor = scene.start({
    name: 'reporting (impostor)',
    command: [join(here, 'mtls-backend.ts')],
    env: { ...scene.workload('reporting'), ALLOWED_CALLER: idOf('payments-api') },
  })
  const [, impostorUrl = ''] = await impostor.printed(/listening on (\S+)/)
  const deceived = once(scene, { BACKEND_URL: impostorUrl, BACKEND_ID: idOf('mtls-backend') }, 'payments-api')
  await deceived.printed(/^I hung up: the peer is .*\/reporting, which is not authorized/)
  narrator.check('payments-api hung up on a server that is reporting and not mtls-backend, before it sent its request.')
  await impostor.stop()
}

function once(scene: Scene, backend: Readonly<Record<string, string>>, serviceAccount: string): Program {
  const env = { ...scene.workload(serviceAccount), ...backend, ONCE: '1' }
  return scene.start({ name: `${serviceAccount} (once)`, command: [join(here, 'payments-api.ts')], env })
}

async function loseApostille(
  { gateway }: Scene,
  narrator: Narrator,
  { backend, keeper, api }: Services,
): Promise<void> {
  narrator.heading('Apostille is not in the way')
  narrator.say(
    `Apostille hands out identities; it never sees the traffic between services. So we kill it (kill -9), and watch.`,
  )
  await gateway.kill()
  narrator.check('Apostille is dead.')
  await Promise.all([api.prints(/^no renewal/), keeper.prints(/^(?:no renewal|not renewed yet)/)])
  await api.prints(/^request \d+: /)
  narrator.check(
    'Requests go on: the certificates at hand are valid for a while yet, and renewal is tried again meanwhile.',
  )
  await gateway.start()
  narrator.check('Apostille is back, with the same store and keys.')
  await Promise.all([api.prints(/^renewed/), backend.prints(/^renewed/)])
  await api.prints(/^request \d+: /)
  narrator.check('Both services have fresh certificates again. Nobody had to tell them.')
}

async function sumUp({ gateway }: Scene, narrator: Narrator, { api }: Services): Promise<void> {
  narrator.heading('What it came to')
  await api.stop()
  const [, failed] = await api.printed(/^\d+ requests, (\d+) failed$/)
  await api.printed(/^\d+ ticks, /)
  if (failed !== '0') throw new Error(`${failed} requests failed`)
  narrator.check('No request failed, and the connection that was opened at the start is still the same one.')
  await tellRecords(gateway, narrator)
}

/**
 * `EXAMPLE_BACKEND` names a program that takes the place of mtls-backend and reads its SVID from files, such as the one in
 * `go/`. A companion keeps the files fresh.
 */
async function startBackend(scene: Scene): Promise<Omit<Services, 'api'>> {
  const name = 'mtls-backend'
  const allowed = { ALLOWED_CALLER: idOf('payments-api') }
  const own = { ...scene.workload(name), ...shortLives }
  const other = process.env['EXAMPLE_BACKEND']
  if (!other) {
    const backend = scene.start({ name, command: [join(here, 'mtls-backend.ts')], env: { ...own, ...allowed } })
    return { backend, keeper: backend }
  }
  const files = { SVID_DIR: join(scene.folder, name) }
  const lives = ['--ttl', '60s', '--renew-after', '2s']
  const command = [commandLine, 'svid', 'x509', '--watch', files.SVID_DIR, ...lives] as const
  const keeper = scene.start({ name: 'apostille', command, env: own })
  await keeper.printed(/^spiffe:/)
  return { backend: scene.start({ name, command: [other], env: { ...allowed, ...files } }), keeper }
}

if (import.meta.main) await run(createNarrator())
