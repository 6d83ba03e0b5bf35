/**
 * Plays the example: starts all its parts, shows what happens, ends by itself.
 *
 * @module
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { editAwsSecret } from '../../test/support/clouds/aws-secrets-state.ts'
import { type CloudStandIn, issuer, startCloudStandIn } from '../support/cloud-stand-in.ts'
import type { Gateway, Places } from '../support/gateway.ts'
import { createNarrator, type Narrator } from '../support/narrator.ts'
import { play, readRules, type Stage } from '../support/scene.ts'
import { tellRecords } from '../support/tell-records.ts'
import { type Clouds, placesOf, startClouds, stores, trustApostille } from './clouds.ts'

const configFile = join(import.meta.dirname, 'apostille.yaml')

export async function run(narrator: Narrator): Promise<void> {
  narrator.heading('Apostille, and doubles of AWS, Azure and Google')
  await using stack = new AsyncDisposableStack()
  let standIn: CloudStandIn<Clouds> | undefined

  async function prepare({ folder }: Stage): Promise<Places> {
    standIn = await startCloudStandIn(folder, startClouds)
    stack.defer(standIn.cloud.close)
    narrator.check(`Doubles of three clouds are there, of each its token service and its store of secrets. They are no clouds:
      they check tokens and requests as the clouds document it, and refuse with their codes.`)
    return [...standIn.places, ...placesOf(standIn.cloud, standIn.caFile)]
  }

  await play({ configFile, narrator, prepare }, async ({ gateway, folder }) => {
    if (standIn === undefined) throw new Error('there are no doubles')
    standIn.pointTo(gateway)
    const parts: Parts = { gateway, narrator, folder, clouds: standIn.cloud }
    await setUp(parts)
    await push(parts)
    await rotate(parts)
    await meddle(parts)
    await remove(parts)
    await tellPushes(parts)
    await tellRecords(gateway, narrator)
    narrator.say(`With the real clouds nothing changes but this: ${issuer} is a public name, and targets and destinations have no
      "endpoint", "authority_host", "token_url", "impersonation_url" and "ca_file", which this run put in to lead them to the
      doubles. README.md says how.`)
  })
}

interface Parts {
  readonly gateway: Gateway
  readonly narrator: Narrator
  readonly folder: string
  readonly clouds: Clouds
}

async function setUp({ gateway, narrator, clouds }: Parts): Promise<void> {
  narrator.heading('Each cloud is told whom to trust, once')
  narrator.say(
    'The configuration says how the sync gets into each cloud, and which secrets go where. There is no key in it:',
  )
  narrator.lines(await readRules(configFile, 'targets:'))
  const subjects = await trustApostille(clouds, gateway)
  narrator.say(`Administrators run what "apostille trust aws", "azure" and "gcp" print: each cloud trusts one subject of our issuer,
    the SPIFFE ID of the sync, and nobody else. What it may do there is as narrow: no value can be read, and at AWS none
    written but to what carries our tag (aws-policy.json).`)
  if (subjects.length !== 1) throw new Error(`they trust ${subjects}`)
  narrator.check(`All three trust ${subjects[0]}.`)
  // It may have tried before they did, and would wait a while before it tries again.
  await until('the first look', async () => {
    await gateway.command('sync', 'apply', 'payments').catch(() => undefined)
    const status = await gateway.command('sync', 'status', 'payments')
    return !status.includes('failed')
  })
  narrator.say('"apostille sync apply payments" has it look at once: there is nothing to bring yet.')
}

/** Waits for what happens by itself. */
async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`${what}: not within a minute`)
    await pause(20)
  }
}

async function put({ gateway, folder }: Parts, path: string, fields: Readonly<Record<string, string>>): Promise<void> {
  const file = join(folder, 'secret.json')
  await writeFile(file, JSON.stringify(fields), { mode: 0o600 })
  await gateway.command('kv', 'put', path, '--json', file)
}

const valuesAt = ({ clouds }: Parts, path: string) => Object.values(stores).map((find) => find(clouds, path)?.value)

const isEverywhere = (parts: Parts, path: string, fields: object) => () =>
  valuesAt(parts, path).every((value) => value === JSON.stringify(fields))

async function push(parts: Parts): Promise<void> {
  const { narrator, clouds, gateway } = parts
  narrator.heading('Two secrets are written here, and are there')
  const db = { password: 'first-password', user: 'app' }
  const partner = { api_key: 'key-of-the-partner' }
  await put(parts, 'payments/db', db)
  await put(parts, 'payments/partner', partner)
  await until(
    'the first push',
    () => isEverywhere(parts, 'payments/db', db)() && isEverywhere(parts, 'payments/partner', partner)(),
  )
  narrator.say(`Nobody ran anything but "apostille kv put payments/db" and "apostille kv put payments/partner". The sync noticed,
    signed a token for each cloud, exchanged it for a credential of the role, the application and the service account, and wrote.
    What it wrote says whose it is, and holds a keyed fingerprint of the value, so that nobody has to read the value again:`)
  narrator.values(stores['AWS']?.(clouds, 'payments/db')?.tags ?? {})
  narrator.check('AWS, Azure and Google have both secrets, with the values that they have here.')
  const plan = await gateway.command('sync', 'plan', 'payments')
  narrator.say('"apostille sync plan payments" says what there is to do now, and shows no value:')
  narrator.lines(plan.trimEnd().split('\n'))
}

async function rotate(parts: Parts): Promise<void> {
  const { narrator, clouds } = parts
  narrator.heading('A password is replaced')
  const db = { password: 'second-password', user: 'app' }
  const begun = Date.now()
  await put(parts, 'payments/db', db)
  await until('the rotation', isEverywhere(parts, 'payments/db', db))
  narrator.check(
    `All three have the new one ${((Date.now() - begun) / 1000).toFixed(1)} seconds after "kv put" was typed.`,
  )
  const versionsOf = (path: string) => Object.values(stores).map((find) => find(clouds, path)?.versions)
  const counts = [versionsOf('payments/db'), versionsOf('payments/partner')]
  if (`${counts}` !== '2,2,2,1,1,1') throw new Error(`not one version for each value: ${counts}`)
  narrator.check(
    'Each has two versions of it: one for each value, and none twice. The other secret was not written again.',
  )
}

async function meddle(parts: Parts): Promise<void> {
  const { narrator, clouds, gateway } = parts
  narrator.heading('Somebody else is there, too')
  const { state } = clouds.secretsManager
  editAwsSecret(state, 'payments/partner', '{"api_key":"by hand"}', new Date())
  editAwsSecret(state, 'payments/legacy', 'of another team', new Date())
  await put(parts, 'payments/legacy', { value: 'ours' })
  const right = JSON.stringify({ api_key: 'key-of-the-partner' })
  await until('the repair', () => stores['AWS']?.(clouds, 'payments/partner')?.value === right)
  narrator.check('A secret of ours was edited in the console of AWS: it was noticed, and has the right value again.')
  let status = ''
  await until('the conflict', async () => {
    status = await gateway.command('sync', 'status', 'payments')
    return status.includes('conflict')
  })
  if (stores['AWS']?.(clouds, 'payments/legacy')?.value !== 'of another team')
    throw new Error('a foreign secret was written')
  narrator.check(
    'One of that name was there already, and not ours: it was left as it is. "apostille sync status" says so:',
  )
  narrator.lines(status.split('\n').filter((line) => line.includes('conflict')))
}

async function remove(parts: Parts): Promise<void> {
  const { narrator, clouds, gateway } = parts
  narrator.heading('A secret is deleted')
  await gateway.command('kv', 'delete', 'payments/partner')
  const held = await gateway.command('sync', 'plan', 'payments', '--destination', 'azure-vault')
  narrator.say(`It would go in all three clouds. But that is more than the fifth of a sync's secrets that may go in one run
    (max_deletions), as it would be if a folder were emptied by mistake. So it waits for somebody to look and to say yes:`)
  narrator.lines(held.trimEnd().split('\n'))
  if (valuesAt(parts, 'payments/partner').includes(undefined)) throw new Error('it went before anybody said yes')
  await until('the deletion', async () => {
    // It ends with 1, as the conflict is still there, or as the sync runs just now.
    await gateway.command('sync', 'apply', 'payments', '--yes').catch(() => undefined)
    return valuesAt(parts, 'payments/partner').every((value) => value === undefined)
  })
  const goneAt = clouds.secretsManager.state.secrets
    .get('payments/partner')
    ?.deletion?.goneAt.toISOString()
    .slice(0, 10)
  narrator.check(`"apostille sync apply payments --yes", and it is gone. At AWS it can be had back until ${goneAt}, at Azure as long
    as the vault keeps what is deleted; at Google it is gone for ever.`)
}

async function tellPushes({ gateway, narrator }: Parts): Promise<void> {
  narrator.heading('What is on record')
  const records = (await gateway.records()).filter(({ operation }) => operation.startsWith('sync.'))
  narrator.say(`A value leaves once the record of it is kept, and what came of it is a record as well: ${records.length} of the sync,
    with who, what, which version, and how the cloud calls it. That of the last password:`)
  const last = records.findLast(
    ({ operation, details }) => operation === 'sync.pushed' && details?.['path'] === 'payments/db',
  )
  narrator.values(last?.details ?? {})
  const text = JSON.stringify(records)
  if (/-password|key-of-the-partner/.test(text)) throw new Error('a value is on record')
  narrator.check('No value is in any of them.')
}

if (import.meta.main) await run(createNarrator())
