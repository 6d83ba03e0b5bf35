/**
 * `GET /v1/identities`: which SPIFFE IDs a proof has.
 *
 * @module
 */
import type { Call } from '../../core/call.ts'
import type { Gateway } from '../../core/gateway.ts'
import type { ListedIdentity } from '../../core/list-identities.ts'
import { type Answer, jsonAnswer } from '../answer.ts'

export async function identitiesAnswer(gateway: Pick<Gateway, 'listIdentities'>, call: Call): Promise<Answer> {
  const identities = await gateway.listIdentities(call)
  return jsonAnswer({ items: identities.map(identityDocument), next: null })
}

function identityDocument({ spiffeId, hint, audiences, dnsNames, x509TtlSeconds, jwtTtlSeconds }: ListedIdentity) {
  return {
    spiffe_id: spiffeId,
    hint,
    audiences,
    dns_names: dnsNames,
    x509_ttl_seconds: x509TtlSeconds,
    jwt_ttl_seconds: jwtTtlSeconds,
  }
}
