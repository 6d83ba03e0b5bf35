/**
 * Google Cloud: a workload identity pool, its provider with mapping and condition, and who may act as the service account.
 *
 * @see {@link https://docs.cloud.google.com/iam/docs/workload-identity-federation-with-other-providers Set-up}
 * @see {@link https://docs.cloud.google.com/iam/docs/conditions-attribute-reference#extract extract()}
 * @module
 */
import { Buffer } from 'node:buffer'
import type { GcpTargetDocument } from '../../core/config-targets.ts'
import { type Finding, findError, findWarning } from '../../core/finding.ts'
import type { Target } from '../../core/target.ts'
import type { SpiffeId } from '../../protocol/spiffe-id.ts'
import { formatHcl, formatHclText, type HclBlock, hclExpression, hclName } from './hcl.ts'
import { formatAsciiJson, formatCommand, formatFile, quoteWord, type TrustStep } from './shell.ts'
import { type CloudTrust, namesOf, sharingTargets, type TrustFacts, type TrustInput } from './trust.ts'
import type { UploadedKeys } from './uploaded-keys.ts'

export const gcpTrust: CloudTrust = {
  vendor: 'Google Cloud',
  build(input) {
    const plan = planTrust(input)
    return { documents: documentsOf(plan), steps: stepsOf(plan), terraform: terraformOf(plan) }
  },
  findProblems: findGcpTrustProblems,
  findSharing: findSharedProvider,
  async clockUrl({ document }) {
    return (await import('../exchangers/gcp.ts')).gcpPlaces(document as GcpTargetDocument).token
  },
}

interface GcpPlan {
  readonly target: Target
  readonly issuer: string
  readonly project: string
  readonly pool: string
  readonly provider: string
  readonly mapping: Readonly<Record<string, string>>
  readonly condition: string
  /** Absent: the provider takes its own name as the audience. */
  readonly audience?: string
  readonly principals: readonly string[]
  readonly serviceAccount?: string
  readonly keys?: UploadedKeys['document']
}

function planTrust({ issuer, target, subjects, uploadedKeys }: TrustInput): GcpPlan {
  const document = target.document as GcpTargetDocument
  const [, project = '', pool = '', provider = ''] =
    /^projects\/(\d+)\/locations\/global\/workloadIdentityPools\/([^/]+)\/providers\/([^/]+)$/.exec(
      document.provider,
    ) ?? []
  const { expression, subjectOf } = mapSubjects(subjects)
  const place = `principal://iam.${document.universe}/projects/${project}/locations/global/workloadIdentityPools/${pool}`
  return {
    target,
    issuer,
    project,
    pool,
    provider,
    mapping: {
      'google.subject': expression,
      ...(expression === wholeSubject ? {} : { 'attribute.spiffe_id': wholeSubject }),
    },
    condition: conditionFor(subjects),
    principals: subjects.map((subject) => `${place}/subject/${subjectOf(subject)}`),
    ...(document.audience !== undefined && { audience: document.audience }),
    ...(document.service_account !== undefined && { serviceAccount: document.service_account }),
    ...(uploadedKeys && { keys: uploadedKeys.document }),
  }
}

const maxSubjectBytes = 127
const wholeSubject = 'assertion.sub'

interface SubjectMapping {
  /** CEL. */
  readonly expression: string
  /** What `google.subject` then is. */
  readonly subjectOf: (subject: SpiffeId) => string
}

/**
 * The whole SPIFFE ID where it fits, else what follows a beginning that all of them share: the condition lets in no
 * others, so that no two have the same rest.
 */
function mapSubjects(subjects: readonly SpiffeId[]): SubjectMapping {
  const whole: SubjectMapping = { expression: wholeSubject, subjectOf: ({ uri }) => uri }
  if (subjects.every(fits(whole))) return whole
  const beginnings = sharedBeginnings(subjects).map(mapRest)
  return beginnings.find((mapping) => subjects.every(fits(mapping))) ?? beginnings.at(-1) ?? whole
}

function fits({ subjectOf }: SubjectMapping) {
  return (subject: SpiffeId) => Buffer.byteLength(subjectOf(subject)) <= maxSubjectBytes
}

function mapRest(beginning: string): SubjectMapping {
  return {
    expression: `assertion.sub.extract('${beginning}{id}')`,
    subjectOf: ({ uri }) => uri.slice(beginning.length),
  }
}

/** `spiffe://example.org/`, `spiffe://example.org/ns/` …, the shortest first. */
function sharedBeginnings(subjects: readonly SpiffeId[]): readonly string[] {
  const [first] = subjects
  if (first === undefined) return []
  const segments = first.path.split('/').slice(1, -1)
  const all = segments.map((_, index) => `/${segments.slice(0, index + 1).join('/')}/`)
  return ['/', ...all]
    .map((path) => `spiffe://${first.trustDomain}${path}`)
    .filter((beginning) => subjects.every(({ uri }) => uri.startsWith(beginning)))
}

/** A SPIFFE ID holds nothing that a string of CEL would have to escape. */
function conditionFor(subjects: readonly SpiffeId[]): string {
  const quoted = subjects.map(({ uri }) => `'${uri}'`)
  return quoted.length === 1 ? `${wholeSubject} == ${quoted[0]}` : `${wholeSubject} in [${quoted.join(', ')}]`
}

const userRole = 'roles/iam.workloadIdentityUser'

/** As the IAM API takes them. */
function documentsOf(plan: GcpPlan) {
  const { project, pool, provider, issuer, mapping, condition, audience, principals, serviceAccount, keys } = plan
  const poolName = `projects/${project}/locations/global/workloadIdentityPools/${pool}`
  return {
    pool: { name: poolName },
    provider: {
      name: `${poolName}/providers/${provider}`,
      attributeMapping: mapping,
      attributeCondition: condition,
      oidc: {
        issuerUri: issuer,
        ...(audience !== undefined && { allowedAudiences: [audience] }),
        ...(keys && { jwksJson: formatAsciiJson(keys) }),
      },
    },
    principals,
    ...(serviceAccount !== undefined && {
      service_account: { email: serviceAccount, bindings: [{ role: userRole, members: principals }] },
    }),
  }
}

function stepsOf(plan: GcpPlan): readonly TrustStep[] {
  const { project, pool, provider, issuer, mapping, condition, audience, keys } = plan
  const place = [`--project=${project}`, '--location=global']
  const ofPool = [...place, `--workload-identity-pool=${pool}`]
  const upload = keys === undefined ? [] : [`--jwk-json-path=${keysFile}`]
  const parts = [
    ...ofPool,
    `--issuer-uri=${quoteWord(issuer)}`,
    ...upload,
    ...(audience === undefined ? [] : [`--allowed-audiences=${quoteWord(formatGcloudList([audience]))}`]),
    `--attribute-mapping=${quoteWord(formatGcloudList(Object.entries(mapping).map(([name, value]) => `${name}=${value}`)))}`,
    `--attribute-condition=${quoteWord(condition)}`,
  ]
  return [
    {
      title: 'A pool of identities.',
      commands: [formatCommand(`gcloud iam workload-identity-pools create ${pool}`, ...place)],
    },
    ...(keys === undefined
      ? []
      : [
          {
            title: 'The keys of the issuer, which Google does not fetch then.',
            commands: [formatFile(keysFile, keys)],
            otherwise: [
              {
                when: 'Anew after each rotation, before a new key signs (a third of authorities.jwt.ttl after it is published):',
                command: [
                  `gcloud iam workload-identity-pools providers update-oidc ${provider}`,
                  ...ofPool,
                  ...upload,
                ].join(' '),
              },
            ],
          },
        ]),
    {
      title: 'The pool trusts the issuer, and takes these subjects alone.',
      commands: [formatCommand(`gcloud iam workload-identity-pools providers create-oidc ${provider}`, ...parts)],
      otherwise: [
        {
          when: 'Where the provider is there already:',
          command: [`gcloud iam workload-identity-pools providers update-oidc ${provider}`, ...parts].join(' '),
        },
      ],
    },
    ...grantSteps(plan),
  ]
}

const keysFile = 'issuer-keys.json'

/** Commas separate unless another sign is named first (`gcloud topic escaping`). */
function formatGcloudList(items: readonly string[]): string {
  const plain = items.join(',')
  if (!items.some((item) => item.includes(',') || item.startsWith('^'))) return plain
  const separator = [';', '|', '#', '~', '@@', '::', '%%'].find((sign) => !plain.includes(sign)) ?? '<<>>'
  return `^${separator}^${items.join(separator)}`
}

function grantSteps({ principals, serviceAccount }: GcpPlan): readonly TrustStep[] {
  if (serviceAccount === undefined) {
    const [principal = ''] = principals
    return [
      {
        title: 'Grant roles to the subjects, on the resources that they need:',
        commands: [],
        otherwise: principals.map((member) => ({
          when: member === principal ? 'such as' : 'and',
          command: `gcloud secrets add-iam-policy-binding SECRET --role=roles/secretmanager.secretAccessor --member=${quoteWord(member)}`,
        })),
      },
    ]
  }
  return [
    {
      title: 'The subjects may act as the service account. What that one may do is yours to say.',
      commands: principals.map((member) =>
        formatCommand(
          `gcloud iam service-accounts add-iam-policy-binding ${serviceAccount}`,
          `--role=${userRole}`,
          `--member=${quoteWord(member)}`,
        ),
      ),
    },
  ]
}

function terraformOf(plan: GcpPlan): string {
  const { target, issuer, project, pool, provider, mapping, condition, audience, keys } = plan
  const label = hclName(target.name)
  const blocks: readonly HclBlock[] = [
    {
      type: 'resource',
      labels: ['google_iam_workload_identity_pool', label],
      attributes: { project, workload_identity_pool_id: pool },
    },
    {
      type: 'resource',
      labels: ['google_iam_workload_identity_pool_provider', label],
      attributes: {
        project,
        workload_identity_pool_id: hclExpression(
          `google_iam_workload_identity_pool.${label}.workload_identity_pool_id`,
        ),
        workload_identity_pool_provider_id: provider,
        attribute_condition: condition,
        attribute_mapping: mapping,
      },
      blocks: [
        {
          type: 'oidc',
          attributes: {
            issuer_uri: issuer,
            allowed_audiences: audience === undefined ? undefined : [audience],
            jwks_json: keys && formatAsciiJson(keys),
          },
        },
      ],
    },
    ...grantBlocks(plan, label),
  ]
  return formatHcl([`Trust of Google Cloud for target ${target.name} of ${issuer}`, ...grantComments(plan)], blocks)
}

function grantBlocks({ principals, serviceAccount }: GcpPlan, label: string): readonly HclBlock[] {
  if (serviceAccount === undefined) return []
  const project = /@([a-z0-9-]+)\.iam\.gserviceaccount\.com$/.exec(serviceAccount)?.[1] ?? '-'
  return [
    {
      type: 'resource',
      labels: ['google_service_account_iam_member', label],
      attributes: {
        for_each: hclExpression(`toset([${principals.map(formatHclText).join(', ')}])`),
        service_account_id: `projects/${project}/serviceAccounts/${serviceAccount}`,
        role: userRole,
        member: hclExpression('each.value'),
      },
    },
  ]
}

function grantComments({ principals, serviceAccount }: GcpPlan): readonly string[] {
  return serviceAccount === undefined ? ['Grant roles, on the resources that are needed, to', ...principals] : []
}

const maxConditionLength = 4096

function findGcpTrustProblems(facts: TrustFacts): readonly Finding[] {
  const { issuer, target, subjects, algorithm, uploadedKeys } = facts
  const found: Finding[] = []
  if (uploadedKeys?.algorithms.has(algorithm) === false)
    found.push(
      findError(
        'keys_without_algorithm',
        `tokens for target ${target.name} are signed by ${algorithm}, and no key that is uploaded verifies that`,
        'take the key set that the issuer serves at /keys now',
      ),
    )
  if (new URL(issuer).port !== '')
    found.push(findError('issuer_port', 'the issuer has a port, which Google refuses', 'serve it on port 443'))
  if (algorithm !== 'RS256' && algorithm !== 'ES256')
    found.push(
      findError(
        'algorithm_refused',
        `Google takes RS256 and ES256, and not ${algorithm}`,
        `set algorithm: ES256 or RS256 for target ${target.name}, and list it in authorities.jwt.algorithms`,
      ),
    )
  if (conditionFor(subjects).length > maxConditionLength)
    found.push(
      findError(
        'condition_too_long',
        `Google takes a condition of at most ${maxConditionLength} characters, and ${subjects.length} subjects need more`,
        'let the target act as one identity (acts_as), or make several providers',
      ),
    )
  return [...found, ...findLongSubjects(subjects, target)]
}

function findLongSubjects(subjects: readonly SpiffeId[], { name }: Target): readonly Finding[] {
  const long = subjects.filter(({ uri }) => Buffer.byteLength(uri) > maxSubjectBytes)
  const mapping = mapSubjects(subjects)
  const lost = long.filter((subject) => !fits(mapping)(subject))
  if (lost.length > 0)
    return lost.map(({ uri }) =>
      findError(
        'subject_too_long',
        `google.subject takes ${maxSubjectBytes} bytes, and no part of this that tells it apart fits: ${uri}`,
        'give the workload a shorter path, or let the target act as another identity (acts_as)',
      ),
    )
  return long.map(({ uri }) =>
    findWarning(
      'subject_long',
      `google.subject takes ${maxSubjectBytes} bytes, and this has ${Buffer.byteLength(uri)}: ${uri}`,
      `map a part of it, as \`apostille trust gcp ${name}\` does: google.subject = ${mapping.expression}`,
    ),
  )
}

function findSharedProvider(facts: TrustFacts): readonly Finding[] {
  const { provider } = facts.target.document as GcpTargetDocument
  const sharing = sharingTargets(facts, (other) => 'provider' in other && other.provider === provider)
  if (sharing.length === 0) return []
  const message = `this provider is the one of ${namesOf(sharing)} as well, and its condition has to let theirs in`
  return [findWarning('provider_shared', message, 'join the conditions by ||, or give each target a provider')]
}
