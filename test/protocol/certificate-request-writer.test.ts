import 'reflect-metadata'
import { generateKeyPairSync, type KeyPairKeyObjectResult, sign, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { expect, test } from 'vitest'
import { algorithms, type SignatureAlgorithm } from '../../src/protocol/algorithms.ts'
import { parseCertificateRequest } from '../../src/protocol/certificate-request.ts'
import { buildCertificateRequest } from '../../src/protocol/certificate-request-writer.ts'
import type { Signer } from '../../src/protocol/signer.ts'

const keys = {
  'P-256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'P-384': generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  RSA: generateKeyPairSync('rsa', { modulusLength: 2048 }),
}

const publicKeyInfo = ({ publicKey }: KeyPairKeyObjectResult) => publicKey.export({ type: 'spki', format: 'der' })

function signerOf(algorithm: SignatureAlgorithm, pair: KeyPairKeyObjectResult): Signer {
  const { hash } = algorithms[algorithm]
  return { algorithm, publicKey: publicKeyInfo(pair), sign: (data) => sign(hash, data, pair.privateKey) }
}

test.each([
  ['ES256', 'P-256'],
  ['ES384', 'P-384'],
  ['RS256', 'RSA'],
] as const)('writes a request with %s that we and another library take', async (algorithm, keyType) => {
  const der = await buildCertificateRequest(signerOf(algorithm, keys[keyType]))

  const request = parseCertificateRequest(der)
  expect(request.keyType).toBe(keyType)
  expect(request.publicKeyInfo.equals(publicKeyInfo(keys[keyType]))).toBe(true)

  x509.cryptoProvider.set(webcrypto)
  const second = new x509.Pkcs10CertificateRequest(new Uint8Array(der))
  expect(await second.verify()).toBe(true)
  expect(second.subject).toBe('')
  expect(second.attributes).toEqual([])
})

test('waits for a signer that answers later', async () => {
  const signer = signerOf('ES256', keys['P-256'])
  const later = { ...signer, sign: async (data: Uint8Array) => await signer.sign(data) }
  expect(parseCertificateRequest(await buildCertificateRequest(later)).keyType).toBe('P-256')
})

test('a signature of another key is not made into a request that anybody takes', async () => {
  const other = signerOf('ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' }))
  const der = await buildCertificateRequest({ ...other, publicKey: publicKeyInfo(keys['P-256']) })
  expect(() => parseCertificateRequest(der)).toThrow(expect.objectContaining({ code: 'certificate_request_signature' }))
})

test('refuses an algorithm that certificates do not have', async () => {
  await expect(buildCertificateRequest(signerOf('PS256', keys.RSA))).rejects.toMatchObject({ code: 'certificate_key' })
})
