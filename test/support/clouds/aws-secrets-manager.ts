/**
 * A strict double of AWS Secrets Manager: it takes the credentials that the double of STS gave, and no others.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import type { AwsAccessKey, AwsState } from './aws-account.ts'
import { awsCallerRules, awsKeyRules, awsSignedRules } from './aws-caller-rules.ts'
import {
  type AwsSecretsContext,
  type AwsSecretsInput,
  awsSecretsInputRules,
  awsSecretsStateRules,
  isRepeated,
} from './aws-secrets-rules.ts'
import {
  type AwsSecret,
  type AwsSecretsState,
  type AwsSecretVersion,
  createAwsSecret,
  current,
  dropOldVersions,
  findSecret,
  moveStage,
  versionAt,
} from './aws-secrets-state.ts'
import { readAwsSignature } from './aws-signature.ts'
import type { AwsProblem } from './aws-wire.ts'
import {
  type CloudAnswer,
  type CloudServer,
  type CloudServerParts,
  type LoggedRequest,
  startCloudServer,
} from './cloud-server.ts'
import { type Broken, firstBroken, namesOf, type Rule } from './rules.ts'

export interface AwsSecretsOptions {
  readonly authority?: CloudServerParts['authority']
  readonly now?: () => Date
  readonly account: string
  readonly region: string
  /** The access keys of STS. */
  readonly sts: Pick<AwsState, 'accessKeys'>
}

export interface AwsSecretsManager extends CloudServer {
  readonly state: AwsSecretsState
}

interface TargetContext {
  readonly target: string
  readonly type: string
  readonly input: AwsSecretsInput | undefined
}

/** Of the protocol. */
const targetRules: readonly Rule<TargetContext, AwsProblem>[] = [
  {
    name: 'target',
    source: 'https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html',
    check: ({ target, type }) =>
      target in operations && type === 'application/x-amz-json-1.1'
        ? undefined
        : { status: 400, code: 'UnknownOperationException', message: '' },
  },
  {
    name: 'body',
    source: 'https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html',
    check: ({ input }) =>
      input ? undefined : { status: 400, code: 'SerializationException', message: 'The body is no JSON object.' },
  },
]

/** Every rule of this double but those of signatures, which STS has as well. */
export const awsSecretsRuleNames: readonly string[] = namesOf(targetRules, awsSecretsInputRules, awsSecretsStateRules)

export async function startAwsSecretsManager(options: AwsSecretsOptions): Promise<AwsSecretsManager> {
  const { account, region, sts, now = () => new Date() } = options
  const state: AwsSecretsState = { account, region, secrets: new Map(), policies: new Map(), kmsKeys: new Set() }
  const server = await startCloudServer({
    authority: options.authority,
    now,
    failWith: (fault) =>
      formatProblem(
        fault.kind === 'throttle'
          ? { status: 400, code: 'ThrottlingException', message: 'Rate exceeded' }
          : { status: fault.status ?? 503, code: 'InternalServiceError', message: 'An error occurred.' },
      ),
    respond(request) {
      const outcome = act({ request, state, sts, now: now() })
      return 'result' in outcome
        ? formatAnswer(outcome.result)
        : formatProblem(outcome.broken.problem, outcome.broken.rule)
    },
  })
  return { ...server, state }
}

type Result = Readonly<Record<string, unknown>>
type Outcome = { readonly broken: Broken<AwsProblem> } | { readonly result: Result }

interface Asked {
  readonly request: LoggedRequest
  readonly state: AwsSecretsState
  readonly sts: Pick<AwsState, 'accessKeys'>
  readonly now: Date
}

function act(asked: Asked): Outcome {
  const { request, state, now } = asked
  const signed = identifyCaller(asked)
  if ('broken' in signed) return signed
  const operation = (request.headers['x-amz-target'] ?? '').replace(/^secretsmanager\./, '')
  const input = readInput(request.body)
  const unknown = firstBroken(targetRules, {
    target: operation,
    type: request.headers['content-type'] ?? '',
    input,
  })
  if (unknown || !input) return { broken: unknown ?? never() }
  const secret = findSecret(state, input.SecretId, now)
  const context: AwsSecretsContext = { operation, input, secret, state, key: signed.key, now }
  const broken = firstBroken([...awsSecretsInputRules, ...awsSecretsStateRules], context)
  return broken ? { broken } : { result: operations[operation]?.(context) ?? never() }
}

function never(): never {
  throw new Error('the rules let something pass that the double does not know')
}

function identifyCaller(asked: Asked): { readonly broken: Broken<AwsProblem> } | { readonly key: AwsAccessKey } {
  const { request, sts, now, state } = asked
  const signature = readAwsSignature(request)
  const called = { request, version: '2011-06-15', signature, now, service: 'secretsmanager', region: state.region }
  const unsigned = firstBroken(awsCallerRules, called)
  if (unsigned || !signature) return { broken: inJson(unsigned ?? never()) }
  const key = sts.accessKeys.get(signature.credential[0] ?? '')
  const signed = { ...called, signature }
  const wrong = firstBroken(awsSignedRules, signed) ?? firstBroken(awsKeyRules, { ...signed, key })
  return wrong || !key ? { broken: inJson(wrong ?? never()) } : { key }
}

/** The same errors, as services with JSON call them. */
function inJson({ rule, problem }: Broken<AwsProblem>): Broken<AwsProblem> {
  return { rule, problem: { ...problem, status: 400, code: jsonCodes[problem.code] ?? problem.code } }
}

const jsonCodes: Readonly<Record<string, string>> = {
  InvalidClientTokenId: 'UnrecognizedClientException',
  SignatureDoesNotMatch: 'InvalidSignatureException',
  MissingAuthenticationToken: 'MissingAuthenticationTokenException',
  IncompleteSignature: 'IncompleteSignatureException',
  ExpiredToken: 'ExpiredTokenException',
}

function readInput(body: string): AwsSecretsInput | undefined {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

function formatAnswer(result: Result): CloudAnswer {
  return { status: 200, headers: headersOf(), body: JSON.stringify(result) }
}

function formatProblem({ status, code, message }: AwsProblem, rule?: string): CloudAnswer {
  const body = JSON.stringify({ __type: code, Message: message })
  return { status, headers: headersOf(), body, ...(rule !== undefined && { refusedBy: rule }) }
}

const headersOf = () => ({ 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': randomUUID() })

const secondsOf = (date: Date) => date.getTime() / 1000

/** Of a secret that the rules found. */
function secretOf({ secret }: AwsSecretsContext): AwsSecret {
  return secret ?? never()
}

function addVersion(secret: AwsSecret, { input, now }: AwsSecretsContext): AwsSecretVersion {
  const version: AwsSecretVersion = {
    id: input.ClientRequestToken ?? randomUUID(),
    ...(input.SecretString !== undefined && { text: input.SecretString }),
    ...(input.SecretBinary !== undefined && { binary: input.SecretBinary }),
    createdAt: now,
    stages: new Set(),
  }
  secret.versions.set(version.id, version)
  for (const stage of input.VersionStages ?? [current]) moveStage(secret, stage, version)
  dropOldVersions(secret, now)
  return version
}

function setTags({ tags }: AwsSecret, { Tags = [] }: AwsSecretsInput): void {
  for (const { Key, Value } of Tags) tags.set(Key, Value)
}

function setReplicas({ replicas }: AwsSecret, { AddReplicaRegions = [] }: AwsSecretsInput): void {
  for (const { Region, KmsKeyId } of AddReplicaRegions)
    replicas.set(Region, KmsKeyId === undefined ? {} : { kmsKeyId: KmsKeyId })
}

function describe(secret: AwsSecret): Result {
  return {
    ARN: secret.arn,
    Name: secret.name,
    KmsKeyId: secret.kmsKeyId,
    Tags: [...secret.tags].map(([Key, Value]) => ({ Key, Value })),
    CreatedDate: secondsOf(secret.createdAt),
    OwningService: secret.owningService,
    PrimaryRegion: secret.primaryRegion,
    ...(secret.deletion && { DeletedDate: secondsOf(secret.deletion.deletedAt) }),
  }
}

/** Versions without a label are not told. */
function stagesOf({ versions }: AwsSecret): Result {
  const labelled = [...versions.values()].filter(({ stages }) => stages.size > 0)
  return Object.fromEntries(labelled.map(({ id, stages }) => [id, [...stages]]))
}

const replicationOf = ({ replicas }: AwsSecret) =>
  [...replicas].map(([Region, { kmsKeyId }]) => ({ Region, KmsKeyId: kmsKeyId, Status: 'InSync' }))

const named = ({ arn, name }: AwsSecret): Result => ({ ARN: arn, Name: name })

const operations: Readonly<Record<string, (context: AwsSecretsContext) => Result>> = {
  CreateSecret(context) {
    const { input, state, now } = context
    const there = state.secrets.get(input.Name ?? '')
    if (there && isRepeated(there, input)) return { ...named(there), VersionId: input.ClientRequestToken }
    const secret = createAwsSecret(state, input.Name ?? '', now)
    setTags(secret, input)
    setReplicas(secret, input)
    if (input.KmsKeyId !== undefined) secret.kmsKeyId = input.KmsKeyId
    const hasValue = input.SecretString !== undefined || input.SecretBinary !== undefined
    return { ...named(secret), ...(hasValue && { VersionId: addVersion(secret, context).id }) }
  },
  PutSecretValue(context) {
    const secret = secretOf(context)
    // A token that was used for the same value: nothing is done, and no label moves.
    const version = isRepeated(secret, context.input)
      ? secret.versions.get(context.input.ClientRequestToken ?? '')
      : addVersion(secret, context)
    return { ...named(secret), VersionId: version?.id, VersionStages: [...(version?.stages ?? [])] }
  },
  UpdateSecret(context) {
    const secret = secretOf(context)
    if (context.input.KmsKeyId !== undefined) secret.kmsKeyId = context.input.KmsKeyId
    const hasValue = context.input.SecretString !== undefined || context.input.SecretBinary !== undefined
    return { ...named(secret), ...(hasValue && { VersionId: addVersion(secret, context).id }) }
  },
  DescribeSecret(context) {
    const secret = secretOf(context)
    return {
      ...describe(secret),
      VersionIdsToStages: stagesOf(secret),
      ...(secret.replicas.size > 0 && { ReplicationStatus: replicationOf(secret) }),
    }
  },
  ListSecrets({ state, input, now }) {
    findSecret(state, undefined, now)
    const { MaxResults: size = 100, NextToken: token = Buffer.from('>').toString('base64') } = input
    const after = Buffer.from(token, 'base64').toString().slice(1)
    const all = [...state.secrets.values()]
      .filter(({ name, deletion }) => name > after && (deletion === undefined || input.IncludePlannedDeletion === true))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
    const shown = all.slice(0, size)
    return {
      SecretList: shown.map((secret) => ({ ...describe(secret), SecretVersionsToStages: stagesOf(secret) })),
      ...(all.length > size && { NextToken: Buffer.from(`>${shown.at(-1)?.name}`).toString('base64') }),
    }
  },
  GetSecretValue(context) {
    const secret = secretOf(context)
    const version = versionAt(secret, context.input.VersionStage ?? current) ?? never()
    return {
      ...named(secret),
      VersionId: version.id,
      SecretString: version.text,
      SecretBinary: version.binary,
      VersionStages: [...version.stages],
      CreatedDate: secondsOf(version.createdAt),
    }
  },
  TagResource(context) {
    setTags(secretOf(context), context.input)
    return {}
  },
  DeleteSecret(context) {
    const { input, now, state } = context
    const secret = secretOf(context)
    const days = input.ForceDeleteWithoutRecovery === true ? 0 : (input.RecoveryWindowInDays ?? 30)
    const goneAt = new Date(now.getTime() + days * 86_400_000)
    secret.deletion = { deletedAt: now, goneAt }
    if (days === 0) state.secrets.delete(secret.name)
    return { ...named(secret), DeletionDate: secondsOf(goneAt) }
  },
  RestoreSecret(context) {
    const secret = secretOf(context)
    delete secret.deletion
    return named(secret)
  },
  ReplicateSecretToRegions(context) {
    const secret = secretOf(context)
    setReplicas(secret, context.input)
    return { ARN: secret.arn, ReplicationStatus: replicationOf(secret) }
  },
  RemoveRegionsFromReplication(context) {
    const secret = secretOf(context)
    for (const region of context.input.RemoveReplicaRegions ?? []) secret.replicas.delete(region)
    return { ARN: secret.arn, ReplicationStatus: replicationOf(secret) }
  },
}
