/**
 * `GET /v1/credentials/{target}`: a cloud's credential, in the form that its SDK reads.
 *
 * AWS: what the container credential provider of every SDK reads. Azure and Google: the answer of a token endpoint.
 *
 * @see {@link https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html AWS: container credentials}
 * @see {@link https://www.rfc-editor.org/rfc/rfc6749#section-5.1 RFC 6749 §5.1}
 * @module
 */
import type { Call } from '../../core/call.ts'
import type { AccessTokenCredential, AwsCredential } from '../../core/cloud.ts'
import type { Gateway } from '../../core/gateway.ts'
import { Refusal } from '../../core/refusal.ts'
import { type Answer, jsonAnswer } from '../answer.ts'
import { malformed, spiffeIdField } from '../body.ts'
import type { AccessTokenDocument, AwsCredentialDocument } from '../openapi/svid-documents.ts'

/** What a request says besides its proof. */
export interface CredentialQuery {
  readonly target: string
  /** Everything after the `?`, or empty. */
  readonly search: string
}

export const credentialsPath = '/v1/credentials/'

export async function credentialsAnswer(
  gateway: Pick<Gateway, 'exchange'>,
  call: Call,
  query: CredentialQuery,
  now: Date,
): Promise<Answer> {
  const credential = await gateway.exchange(call, { target: query.target, ...readSearch(query.search) })
  return credential.type === 'aws' ? awsAnswer(credential) : jsonAnswer(tokenDocument(credential, now))
}

/** @throws {Refusal} `malformed_request` */
function readSearch(search: string): { readonly spiffeId?: string } {
  if (search === '') return {}
  const parameters = new URLSearchParams(search)
  for (const name of parameters.keys())
    if (name !== 'spiffe_id') throw malformed(`unknown parameter: expected spiffe_id only`)
  const [spiffeId, ...more] = parameters.getAll('spiffe_id')
  if (spiffeId === undefined) return {}
  if (more.length > 0) throw malformed('spiffe_id: expected once')
  if (!spiffeIdField.safeParse(spiffeId).success) throw malformed('spiffe_id: expected a SPIFFE ID')
  return { spiffeId }
}

/** A target's name as it stands in a path. @throws {Refusal} `not_found` for what can be no name */
export function readTargetName(path: string): string {
  const name = path.slice(credentialsPath.length)
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name)) throw new Refusal('not_found', 'no such path')
  return name
}

const awsAnswers = new WeakMap<AwsCredential, Answer>()

/** The same for everybody who is handed the same credential. */
function awsAnswer(credential: AwsCredential): Answer {
  const known = awsAnswers.get(credential)
  if (known) return known
  const document: AwsCredentialDocument = {
    AccessKeyId: credential.accessKeyId,
    SecretAccessKey: credential.secretAccessKey,
    Token: credential.sessionToken,
    Expiration: credential.expiresAt.toISOString().replace('.000Z', 'Z'),
    AccountId: credential.roleArn.split(':')[4],
    RoleArn: credential.roleArn,
  }
  const answer = jsonAnswer(document)
  awsAnswers.set(credential, answer)
  return answer
}

function tokenDocument({ type, accessToken, expiresAt }: AccessTokenCredential, now: Date): AccessTokenDocument {
  return {
    access_token: accessToken,
    token_type: 'Bearer',
    expires_in: Math.max(0, Math.floor((expiresAt.getTime() - now.getTime()) / 1000)),
    expires_at: expiresAt.toISOString(),
    target_type: type,
  }
}
