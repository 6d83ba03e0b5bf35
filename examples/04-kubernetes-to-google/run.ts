/**
 * Plays the example: starts all its parts, shows what happens, ends by itself.
 *
 * @module
 */
import { join } from 'node:path'
import type { GoogleProvider, GoogleServiceAccount } from '../../test/support/clouds/google-project.ts'
import { type GoogleSts, startGoogleSts } from '../../test/support/clouds/google-sts.ts'
import { type CloudStandIn, issuer, startCloudStandIn } from '../support/cloud-stand-in.ts'
import { commandLine, type Places } from '../support/gateway.ts'
import { createNarrator, type Narrator } from '../support/narrator.ts'
import { type Pod, readPod, startPod } from '../support/pod.ts'
import { play, readRules, type Scene, type Stage } from '../support/scene.ts'
import { tellRecords } from '../support/tell-records.ts'

const here = import.meta.dirname
const configFile = join(here, 'apostille.yaml')
const target = 'payments-bucket'
const email = 'payments-reports@example.iam.gserviceaccount.com'
const accounts = [
  { namespace: 'payments', name: 'payments-reports' },
  { namespace: 'payments', name: 'batch' },
  { namespace: 'web', name: 'storefront' },
]

export async function run(narrator: Narrator): Promise<void> {
  narrator.heading('A cluster, Apostille, and a double of Google')
  await using stack = new AsyncDisposableStack()
  let google: CloudStandIn<GoogleSts> | undefined

  async function prepare({ folder }: Stage): Promise<Places> {
    google = await startCloudStandIn(folder, startGoogleSts)
    const { cloud } = google
    stack.defer(cloud.close)
    narrator.check(`A double of Google's token service is at ${cloud.url}. It is not Google: it checks a token as Google documents
      it, refuses with the codes of Google, and what it hands out opens nothing.`)
    const at = ['targets', target]
    return [
      ...google.places,
      [[...at, 'token_url'], cloud.tokenUrl],
      [[...at, 'impersonation_url'], cloud.impersonationUrl(email)],
      [[...at, 'ca_file'], google.caFile],
    ]
  }

  await play({ configFile, accounts, narrator, prepare }, async (scene) => {
    if (google === undefined) throw new Error('there is no double of Google')
    google.pointTo(scene.gateway)
    const parts = { scene, narrator, google, pod: await readPod(join(here, 'kubernetes.yaml')) }
    await setUp(parts)
    await useBucket(parts)
    await tryMisuse(parts)
    await tellRecords(scene.gateway, narrator)
    narrator.say(`With the real Google nothing changes but this: ${issuer} is a public name, and the target has no "token_url", no
      "impersonation_url" and no "ca_file", which this run put in to lead it to the double. README.md says how.`)
  })
}

interface Parts {
  readonly scene: Scene
  readonly narrator: Narrator
  readonly google: CloudStandIn<GoogleSts>
  readonly pod: Pod
}

/** What `apostille trust gcp` prints. */
interface GoogleTrust {
  readonly pool: { readonly name: string }
  readonly provider: GoogleProvider & { readonly name: string }
  readonly service_account: GoogleServiceAccount & { readonly email: string }
}

async function setUp({ scene, narrator, google: { cloud } }: Parts): Promise<void> {
  narrator.heading('Google is told whom to trust, once')
  narrator.say('The rule in apostille.yaml says who gets a token for Google, and the target what it is good for:')
  narrator.lines(await readRules(configFile))
  const asked = ['trust', 'gcp', target, '--as', '/ns/payments/sa/payments-reports']
  narrator.say(`An administrator of the project runs what "apostille ${asked.join(' ')}" prints. The provider takes one subject of
    our issuer, and the service account may be used by that one:`)
  const printed = await scene.gateway.command(...asked, '--format', 'json')
  const { pool, provider, service_account: account }: GoogleTrust = JSON.parse(printed)
  narrator.lines(JSON.stringify({ provider, service_account: account }, null, 2).split('\n'))
  cloud.state.pools.set(pool.name, {})
  cloud.createProvider(provider.name, provider)
  cloud.state.serviceAccounts.set(account.email, account)
  narrator.check('The double of Google has the pool, the provider and the service account.')
}

async function useBucket({ scene, narrator, google, pod }: Parts): Promise<void> {
  narrator.heading('A program in a pod uses Google Cloud')
  narrator.say(`payments-reports is any program with a library of Google, and not a line of ours. Its pod has a file without a
    secret, which tells the library how to get a token of Apostille and what to exchange it for:`)
  narrator.values(pod.env)
  const program = await startPod(scene, pod, placesOf(google))
  await program.printed(/^I have an access token of Google$/)
  await program.ended()
  const subject = google.cloud.federatedTokens.at(-1)?.attributes['google.subject']
  const acting = google.cloud.serviceAccountTokens.at(-1)?.email
  if (acting !== email) throw new Error(`it is ${acting}`)
  narrator.check(`Google knew the pod as ${subject}, and let it act as ${acting}.`)
}

const placesOf = ({ cloud, caFile }: CloudStandIn<GoogleSts>) => ({
  programs: here,
  caFile,
  elsewhere: {
    '/usr/local/bin/apostille': `${process.execPath} ${commandLine}`,
    'https://sts.googleapis.com/v1/token': cloud.tokenUrl,
    'https://iamcredentials.googleapis.com': cloud.url,
  },
})

async function tryMisuse({ scene, narrator, google, pod }: Parts): Promise<void> {
  narrator.heading('What does not work')
  const start = (serviceAccount: string) => startPod(scene, pod, placesOf(google), serviceAccount)
  const storefront = await start('storefront')
  await storefront.printed(/^the Google library says: .*not_entitled/)
  if ((await storefront.ended()) === 0) throw new Error('storefront got a token')
  narrator.check('storefront of the namespace web: Apostille gives it no token for Google.')
  const batch = await start('batch')
  await batch.printed(/^the Google library says: .*unauthorized_client/)
  await batch.ended()
  narrator.check(`batch of the namespace payments: our rule gives it a token for Google, and Google refuses, as the provider's
    condition does not name it.`)
}

if (import.meta.main) await run(createNarrator())
