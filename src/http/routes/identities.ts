/**
 * `GET /v1/identities`: which SPIFFE IDs a proof has.
 *
 * @module
 */
import type { Call } from '../../core/call.ts'
import type { Gateway } from '../../core/gateway.ts'
import type { ListedIdentity } from '../../core/list-identities.ts'
import { type Answer, jsonAnswer } from '../answer.ts'
import type { IdentityDocument } from '../openapi/svid-documents.ts'

export async function identitiesAnswer(gateway: Pick<Gateway, 'listIdentities'>, call: Call): Promise<Answer> {
  const identities = await gateway.listIdentities(call)
  return jsonAnswer({ items: identities.map(identityDocument), next: null })
}

function identityDocument(identity: ListedIdentity): IdentityDocument {
  const { spiffeId, hint, audiences, dnsNames, x509TtlSeconds, jwtTtlSeconds } = identity
  return {
    spiffe_id: spiffeId,
    hint,
    audiences: [...audiences],
    dns_names: [...dnsNames],
    x509_ttl_seconds: x509TtlSeconds,
    jwt_ttl_seconds: jwtTtlSeconds,
  }
}
