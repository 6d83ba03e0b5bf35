/**
 * Service account tokens of Kubernetes clusters, as projected volumes and TokenRequest have them.
 *
 * The signature is checked here, with the cluster's published keys. That alone says that the token was once given to a pod;
 * whether pod and account are still there only the cluster knows, which `token_review` asks in addition.
 *
 * @see {@link https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens Bound service account tokens}
 * @module
 */
import type { Authentication, Authenticator, Proof } from '../../core/authenticate.ts'
import type { KubernetesConfig } from '../../core/config-authenticators.ts'
import { quote } from '../../core/quote.ts'
import { Refusal } from '../../core/refusal.ts'
import { isJsonObject } from '../../protocol/json.ts'
import { type ForeignToken, verifyForeignToken } from '../foreign-token.ts'
import type { HttpClient } from '../http-client.ts'
import { createRemoteJwks } from '../remote-jwks.ts'
import { createTokenReviewer, type DatedReview, reviewLifeMs } from '../token-review.ts'
import { type IssuerDeps, issuerPlace, requireBearer, reusableUntil } from './oidc.ts'

/** What a cluster says of a workload; pod and node are there when the token is bound to them. */
export interface ServiceAccountAttributes {
  readonly namespace: string
  readonly service_account: string
  readonly service_account_uid: string
  readonly pod?: string
  readonly pod_uid?: string
  readonly node?: string
  /** Absent also for a node that was gone when the token was made. */
  readonly node_uid?: string
}

export function createKubernetesAuthenticator(config: KubernetesConfig, deps: IssuerDeps): Authenticator {
  const { name, issuer, audience } = config
  const upstream = deps.connect(issuerPlace(config))
  const keys = createRemoteJwks(config, { ...deps, request: upstream.request })
  const reviewer = createReviewer(config, deps)

  async function authenticate(proof: Proof, now: Date): Promise<Authentication> {
    const text = requireBearer(proof)
    const token = await verifyForeignToken(text, { keys, issuer, audience, now })
    const attributes = readServiceAccount(token)
    const review = await reviewer?.review(text)
    if (review !== undefined) checkReview(review, attributes, audience)
    const until = reusableUntil(token.expiresAt, now)
    return {
      identity: {
        authenticator: name,
        type: 'kubernetes',
        attributes: { ...attributes },
        recorded: { ...attributes },
        use: { kind: 'rules' },
      },
      reusableUntil: review === undefined ? until : earlier(until, now.getTime() + reviewLifeMs - review.ageMs),
      stillHolds: () => keys.version() === token.keysVersion,
    }
  }

  async function close(): Promise<void> {
    await Promise.all([upstream.close(), reviewer?.close()])
  }

  return { name, type: 'kubernetes', accepts: { issuer, audience }, holdsKey: keys.holds, authenticate, close }
}

function createReviewer(config: KubernetesConfig, deps: IssuerDeps) {
  const { token_review: wanted, audience } = config
  if (wanted === undefined) return undefined
  const { server, ca_file: caFile, token_file } = wanted
  const client: HttpClient = deps.connect({
    hosts: [new URL(server).hostname],
    ...(caFile === undefined ? {} : { caFile }),
  })
  const review = createTokenReviewer({ server, token_file, audience }, { ...deps, request: client.request })
  return { review, close: client.close }
}

function rejected(reason: string): Refusal {
  return new Refusal('proof_rejected', reason)
}

// Names of objects are DNS subdomains, so none holds the `:` that separates them in `sub`.
const namePattern = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/
const uidPattern = /^[A-Za-z0-9-]{1,128}$/

/** @throws {Refusal} `proof_rejected` when `kubernetes.io` is not of the shape that clusters give it, or not that of `sub` */
function readServiceAccount({ claims, subject }: Pick<ForeignToken, 'claims' | 'subject'>): ServiceAccountAttributes {
  const bound = claims['kubernetes.io']
  if (!isJsonObject(bound)) throw rejected('the token has no kubernetes.io claim: it is not bound to a service account')
  const namespace = readText(bound.namespace, namePattern, 'namespace')
  const account = readReference(bound.serviceaccount, 'serviceaccount')
  if (account?.uid === undefined) throw rejected('kubernetes.io has no serviceaccount with a uid')
  if (subject !== `system:serviceaccount:${namespace}:${account.name}`) {
    throw rejected(`sub is ${quote(subject, 256)}, which is not the service account of kubernetes.io`)
  }
  return {
    namespace,
    ...readOptional(bound, 'node'),
    ...readOptional(bound, 'pod'),
    service_account: account.name,
    service_account_uid: account.uid,
  }
}

function readOptional(
  bound: Readonly<Record<string, unknown>>,
  name: 'pod' | 'node',
): Partial<ServiceAccountAttributes> {
  const found = readReference(bound[name], name)
  if (found === undefined) return {}
  if (found.uid === undefined && name === 'pod') throw rejected('kubernetes.io has a pod without a uid')
  return { [name]: found.name, ...(found.uid === undefined ? {} : { [`${name}_uid`]: found.uid }) }
}

interface ObjectReference {
  readonly name: string
  readonly uid?: string
}

function readReference(value: unknown, what: string): ObjectReference | undefined {
  if (value === undefined) return undefined
  if (!isJsonObject(value)) throw rejected(`kubernetes.io ${what} is not an object`)
  const name = readText(value.name, namePattern, `${what} name`)
  return value.uid === undefined ? { name } : { name, uid: readText(value.uid, uidPattern, `${what} uid`) }
}

function readText(value: unknown, pattern: RegExp, what: string): string {
  if (typeof value === 'string' && pattern.test(value)) return value
  throw rejected(`kubernetes.io ${what} is not of its form`)
}

/** The uid, not the name, is what was reviewed: an account that was made again under the same name is another one. */
function checkReview({ review }: DatedReview, attributes: ServiceAccountAttributes, audience: string): void {
  if (!review.authenticated) {
    throw rejected(`the API server does not accept the token: ${quote(review.error ?? 'no reason given', 256)}`)
  }
  // A server that knows nothing of audiences answers without any, whatever the token is for.
  if (!review.audiences.includes(audience)) throw rejected('the API server did not confirm the audience')
  const { namespace, service_account: account, service_account_uid: uid } = attributes
  if (review.username !== `system:serviceaccount:${namespace}:${account}` || review.uid !== uid) {
    throw rejected('the API server knows the token as that of another account')
  }
}

function earlier(a: Date, otherMs: number): Date {
  return new Date(Math.min(a.getTime(), otherMs))
}
