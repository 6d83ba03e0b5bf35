/**
 * Plays the example: starts all its parts, shows what happens, ends by itself.
 *
 * @module
 */
import { join } from 'node:path'
import { type AwsSts, startAwsSts } from '../../test/support/clouds/aws-sts.ts'
import type { TrustPolicy } from '../../test/support/clouds/aws-trust-policy.ts'
import { type CloudStandIn, issuer, startCloudStandIn } from '../support/cloud-stand-in.ts'
import type { Places } from '../support/gateway.ts'
import { createNarrator, type Narrator } from '../support/narrator.ts'
import { type Pod, readPod, startPod } from '../support/pod.ts'
import { play, readRules, type Scene, type Stage } from '../support/scene.ts'
import { tellRecords } from '../support/tell-records.ts'

const here = import.meta.dirname
const configFile = join(here, 'apostille.yaml')
const target = 'payments-s3'
const accounts = [
  { namespace: 'payments', name: 'payments-report' },
  { namespace: 'payments', name: 'batch' },
  { namespace: 'web', name: 'storefront' },
]

export async function run(narrator: Narrator): Promise<void> {
  narrator.heading('A cluster, Apostille, and a double of AWS')
  await using stack = new AsyncDisposableStack()
  let aws: CloudStandIn<AwsSts> | undefined

  async function prepare({ folder }: Stage): Promise<Places> {
    aws = await startCloudStandIn(folder, startAwsSts)
    stack.defer(aws.cloud.close)
    narrator.check(`A double of AWS STS is at ${aws.cloud.url}. It is not AWS: it checks a token as AWS documents it, refuses
      with the codes of AWS, and what it hands out opens nothing.`)
    const at = ['targets', target]
    return [...aws.places, [[...at, 'endpoint'], aws.cloud.url], [[...at, 'ca_file'], aws.caFile]]
  }

  await play({ configFile, accounts, narrator, prepare }, async (scene) => {
    if (aws === undefined) throw new Error('there is no double of AWS')
    aws.pointTo(scene.gateway)
    const parts = { scene, narrator, aws, pod: await readPod(join(here, 'kubernetes.yaml')) }
    await setUp(parts)
    await useRole(parts)
    await tryMisuse(parts)
    await tellRecords(scene.gateway, narrator)
    narrator.say(`With the real AWS nothing changes but this: ${issuer} is a public name, and the target has no "endpoint" and
      no "ca_file", which this run put in to lead it to the double. README.md says how.`)
  })
}

interface Parts {
  readonly scene: Scene
  readonly narrator: Narrator
  readonly aws: CloudStandIn<AwsSts>
  readonly pod: Pod
}

/** What `apostille trust aws` prints. */
interface AwsTrust {
  readonly oidc_provider: { readonly arn: string; readonly url: string; readonly client_ids: readonly string[] }
  readonly role: { readonly arn: string; readonly trust_policy: TrustPolicy }
}

async function setUp({ scene, narrator, aws }: Parts): Promise<void> {
  narrator.heading('AWS is told whom to trust, once')
  narrator.say('The target and the policy in apostille.yaml say who may ask for the role:')
  narrator.lines(await readRules(configFile, 'targets:'))
  const asked = ['trust', 'aws', target, '--as', '/ns/payments/sa/payments-report']
  narrator.say(`An administrator of the account runs what "apostille ${asked.join(' ')}" prints. The role trusts one subject and
    one audience of our issuer, and nobody else:`)
  const { oidc_provider: provider, role }: AwsTrust = JSON.parse(
    await scene.gateway.command(...asked, '--format', 'json'),
  )
  narrator.lines(JSON.stringify(role.trust_policy, null, 2).split('\n'))
  const [, , , , account = ''] = provider.arn.split(':')
  aws.cloud.createOidcProvider({ account, url: provider.url, clientIds: provider.client_ids })
  aws.cloud.state.roles.set(role.arn, { arn: role.arn, trustPolicy: role.trust_policy })
  narrator.check('The double of AWS has the OIDC provider and the role.')
}

async function useRole({ scene, narrator, aws, pod }: Parts): Promise<void> {
  narrator.heading('A program in a pod uses AWS')
  narrator.say(`payments-report is any program with the AWS SDK. Its pod has two variables more than it would have anyway, and a
    token of the cluster for the audience ${pod.token.audience}; nothing of ours runs in it:`)
  narrator.values(pod.env)
  const program = await startPod(scene, pod, placesOf(aws))
  const [, arn = ''] = await program.printed(
    /^AWS says that I am (arn:aws:sts::123456789012:assumed-role\/payments\/\S+)/,
  )
  await program.ended()
  const subject = aws.cloud.state.accessKeys.values().next().value?.session?.subject
  narrator.say(`The SDK sent the token to Apostille. Apostille knew the pod by it, found that a policy permits the role, signed a
    token for AWS, exchanged it for the credential of the role, and answered in the form that every AWS SDK reads.`)
  narrator.check(
    `AWS took ${subject} for ${arn.split('/').at(-1)}: the session's name, as CloudTrail has it, says who it was.`,
  )
}

const placesOf = (aws: CloudStandIn<AwsSts>) => ({
  programs: here,
  caFile: aws.caFile,
  more: { AWS_ENDPOINT_URL_STS: aws.cloud.url },
})

async function tryMisuse({ scene, narrator, aws, pod }: Parts): Promise<void> {
  narrator.heading('What does not work')
  async function expectRefusal(serviceAccount: string): Promise<string> {
    const code = await (await startPod(scene, pod, placesOf(aws), serviceAccount)).ended()
    const record = (await scene.gateway.records()).at(-1)
    if (code === 0 || record?.decision !== 'refused') throw new Error(`${serviceAccount} got a credential`)
    return record.reason ?? ''
  }
  const storefront = await expectRefusal('storefront')
  narrator.check(`storefront of the namespace web: Apostille refuses. On record: "${storefront}".`)
  const batch = await expectRefusal('batch')
  if (!batch.includes('AccessDenied')) throw new Error(`batch was refused for another reason: ${batch}`)
  narrator.check(`batch of the namespace payments: our policy permits it, and AWS refuses, as the role's trust policy does not name
    it. On record: "${batch}".`)
  narrator.say(`Both locks have to open. Programs are not told why theirs stayed shut; the records tell, with the code of the cloud
    and its request id.`)
}

if (import.meta.main) await run(createNarrator())
