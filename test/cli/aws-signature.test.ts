import { expect, test } from 'vitest'
import { signIdentity } from '../../src/cli/aws-signature.ts'
import vectors from '../vectors/presigned-identity.json' with { type: 'json' }

test.each(vectors.cases)('the signature is that of botocore: $name', (one) => {
  const identity = {
    host: one.host,
    accessKeyId: vectors.access_key_id,
    region: one.region,
    signedAt: new Date(vectors.signed_at),
    expiresSeconds: one.expires_seconds,
    ...(one.security_token !== undefined && { securityToken: one.security_token }),
  }
  const { signature, ...rest } = signIdentity(identity, one.audience, vectors.secret_access_key)
  expect(signature).toBe(one.signature)
  expect(rest).toEqual(identity)
  expect(signIdentity(identity, `${one.audience}/`, vectors.secret_access_key).signature).not.toBe(signature)
})
