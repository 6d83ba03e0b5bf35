/**
 * Plays the example: starts all its parts, shows what happens, ends by itself.
 *
 * @module
 */
import { join } from 'node:path'
import { type Entra, startEntra } from '../../test/support/clouds/entra.ts'
import type { FederatedCredential } from '../../test/support/clouds/entra-directory.ts'
import { type CloudStandIn, issuer, startCloudStandIn } from '../support/cloud-stand-in.ts'
import type { Places } from '../support/gateway.ts'
import { createNarrator, type Narrator } from '../support/narrator.ts'
import { type Pod, readPod, startPod } from '../support/pod.ts'
import { play, readRules, type Scene, type Stage } from '../support/scene.ts'
import { tellRecords } from '../support/tell-records.ts'

const here = import.meta.dirname
const configFile = join(here, 'apostille.yaml')
const target = 'payments-vault'
const accounts = [
  { namespace: 'payments', name: 'payments-sync' },
  { namespace: 'web', name: 'storefront' },
]

export async function run(narrator: Narrator): Promise<void> {
  narrator.heading('A cluster, Apostille, and a double of Entra')
  await using stack = new AsyncDisposableStack()
  let entra: CloudStandIn<Entra> | undefined

  async function prepare({ folder }: Stage): Promise<Places> {
    entra = await startCloudStandIn(folder, startEntra)
    stack.defer(entra.cloud.close)
    narrator.check(`A double of Microsoft Entra ID is at ${entra.cloud.url}. It is not Entra: it checks a token as Microsoft
      documents it, refuses with the codes of Entra, and what it hands out opens nothing.`)
    const at = ['targets', target]
    return [...entra.places, [[...at, 'authority_host'], entra.cloud.url], [[...at, 'ca_file'], entra.caFile]]
  }

  await play({ configFile, accounts, narrator, prepare }, async (scene) => {
    if (entra === undefined) throw new Error('there is no double of Entra')
    entra.pointTo(scene.gateway)
    const parts = { scene, narrator, entra, pod: await readPod(join(here, 'kubernetes.yaml')) }
    await setUp(parts)
    await useVault(parts)
    await tryMisuse(parts)
    await tellRecords(scene.gateway, narrator)
    narrator.say(`With the real Entra nothing changes but this: ${issuer} is a public name, and the target has no
      "authority_host" and no "ca_file", which this run put in to lead it to the double. README.md says how.`)
  })
}

interface Parts {
  readonly scene: Scene
  readonly narrator: Narrator
  readonly entra: CloudStandIn<Entra>
  readonly pod: Pod
}

/** What `apostille trust azure` prints. */
interface AzureTrust {
  readonly tenant: string
  readonly client_id: string
  readonly federated_credentials: readonly FederatedCredential[]
}

async function setUp({ scene, narrator, entra }: Parts): Promise<void> {
  narrator.heading('Entra is told whom to trust, once')
  narrator.say('The target and the policy in apostille.yaml say who may ask, and as whom the exchange is made:')
  narrator.lines(await readRules(configFile, 'targets:'))
  narrator.say(`An administrator of the tenant runs what "apostille trust azure ${target}" prints. The application trusts one
    subject of our issuer, and nobody else:`)
  const printed = await scene.gateway.command('trust', 'azure', target, '--format', 'json')
  const { tenant, client_id: clientId, federated_credentials: credentials }: AzureTrust = JSON.parse(printed)
  narrator.lines(JSON.stringify(credentials, null, 2).split('\n'))
  entra.cloud.state.tenants.set(tenant, {})
  entra.cloud.state.apps.push({ tenant, clientId, federatedCredentials: [] })
  for (const credential of credentials) await entra.cloud.addFederatedCredential(clientId, credential)
  narrator.check('The double of Entra has the federated credential.')
}

async function useVault({ scene, narrator, entra, pod }: Parts): Promise<void> {
  narrator.heading('A program in a pod uses Azure')
  narrator.say(`payments-sync is any program with the Azure SDK: DefaultAzureCredential, and not a line of ours. Its container's
    command starts it through "apostille exec", which gives it what App Service would, a managed identity:`)
  narrator.values({ command: pod.command.join(' '), ...pod.env })
  const program = await startPod(scene, pod, { programs: here, caFile: entra.caFile })
  await program.printed(/^I have a token for the vault, good for \d+ minutes$/)
  await program.ended()
  const [issued] = entra.cloud.issued
  if (issued === undefined || entra.cloud.issued.length > 1) throw new Error('there was not one exchange')
  narrator.check(
    `Entra took ${issued.subject} for the application ${issued.clientId}, and gave a token for ${issued.resource}.`,
  )
  narrator.say(`The token that Apostille signed for it is RS256, the one algorithm that Entra takes; that is Apostille's care, as are
    retries, and asking once for all who use the same target.`)
}

async function tryMisuse({ scene, narrator, entra, pod }: Parts): Promise<void> {
  narrator.heading('What does not work')
  const program = await startPod(scene, pod, { programs: here, caFile: entra.caFile }, 'storefront')
  const code = await program.ended()
  const record = (await scene.gateway.records()).at(-1)
  if (code === 0 || record?.decision !== 'refused') throw new Error('storefront got a token')
  narrator.check(`storefront of the namespace web: its program is not even started. On record: "${record.reason}".`)
}

if (import.meta.main) await run(createNarrator())
