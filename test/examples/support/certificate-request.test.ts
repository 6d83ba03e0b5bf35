import 'reflect-metadata'
import { generateKeyPairSync } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { expect, test } from 'vitest'
import { buildCertificateRequest } from '../../../examples/support/certificate-request.ts'

test('another library reads the request, with its key and a signature by it', async () => {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const request = new x509.Pkcs10CertificateRequest(buildCertificateRequest(keys))
  expect(Buffer.from(request.publicKey.rawData)).toEqual(keys.publicKey.export({ type: 'spki', format: 'der' }))
  expect(await request.verify()).toBe(true)
})
