/**
 * Keys and secrets that are sealed under one key of the operator's: AES-256-GCM, so that what the store holds is of no
 * use without that key, and does not open under another name or in another trust domain.
 *
 * @see {@link https://nvlpubs.nist.gov/nistpubs/Legacy/SP/nistspecialpublication800-38d.pdf NIST SP 800-38D}
 * @module
 */
import { Buffer } from 'node:buffer'
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPair,
  type KeyObject,
  sign,
} from 'node:crypto'
import { type KeyManager, SealError } from '../../core/key-manager.ts'
import type { Resealer, SealPurpose } from '../../core/reseal.ts'
import {
  algorithms,
  fitsAlgorithm,
  rsaModulusBits,
  type SignatureAlgorithm,
  signWithKey,
  verifySignature,
} from '../../protocol/algorithms.ts'
import { asBuffer, formatBase64Url, parseBase64, parseBase64Url } from '../../protocol/encoding.ts'
import type { Signer } from '../../protocol/signer.ts'

/** The seal keys in use, each of 32 bytes, as {@link parseSealKey} reads them. Asked each time, as they may be rotated. */
export interface SealRing {
  /** Under which everything is sealed from now on. */
  readonly seals: () => Uint8Array
  /** What opens what was sealed before; without the one that seals. */
  readonly opens: () => readonly Uint8Array[]
}

export interface RingKeysConfig {
  readonly ring: SealRing
  readonly trustDomain: string
  readonly randomBytes: (size: number) => Uint8Array
}

export interface SealedKeysConfig extends Omit<RingKeysConfig, 'ring'> {
  /** The only seal key, 32 bytes. */
  readonly sealKey: Uint8Array
}

const cipherName = 'aes-256-gcm'
const version = 'v1'
const keyBytes = 32
const nonceBytes = 12 // SP 800-38D §5.2.1.1: the length for which GCM is made
const tagBytes = 16

/** What a sealed text is bound to; `purpose` tells keys of each algorithm, secrets of ours and bytes of others apart. */
interface Binding {
  readonly name: string
  readonly purpose: SealPurpose
}

/** What seals and opens, with seal keys as the cipher takes them. */
interface Sealing extends RingKeysConfig {
  readonly keyOf: (sealKey: Uint8Array) => KeyObject
}

type Seal = (binding: Binding, plaintext: Buffer) => string
type Open = (binding: Binding, sealed: string) => Buffer

/** @throws {SealError} when the seal key is not of 32 bytes */
export function createSealedKeys({ sealKey, ...config }: SealedKeysConfig): KeyManager & Resealer {
  if (sealKey.length !== keyBytes) throw new SealError(`the seal key must have ${keyBytes} bytes`)
  return createRingKeys({ ...config, ring: { seals: () => sealKey, opens: () => [] } })
}

export function createRingKeys(ringConfig: RingKeysConfig): KeyManager & Resealer {
  const config: Sealing = { ...ringConfig, keyOf: createKeyObjects() }
  const seal = createSeal(config)
  const open = createOpen(config)
  return {
    createKey: async (name, algorithm) => {
      const { privateKey, publicKey } = await generateKeys(algorithm)
      const plaintext = privateKey.export({ type: 'pkcs8', format: 'der' })
      return { sealed: seal({ name, purpose: algorithm }, plaintext), publicKey: exportPublicKey(publicKey) }
    },
    openKey: async (name, algorithm, sealed) => {
      const key = readPrivateKey(name, algorithm, open({ name, purpose: algorithm }, sealed))
      return proven(name, createSigner(algorithm, key))
    },
    createSecret: async (name) => seal({ name, purpose: 'secret' }, asBuffer(config.randomBytes(keyBytes))),
    openSecret: async (name, sealed) => open({ name, purpose: 'secret' }, sealed),
    sealBytes: async (name, plaintext) => seal({ name, purpose: 'bytes' }, asBuffer(plaintext)),
    openBytes: async (name, sealed) => open({ name, purpose: 'bytes' }, sealed),
    reseal: (name, purpose, sealed) => {
      const { plaintext, key } = openWithAny(config, { name, purpose }, sealed)
      const isPresent = key === config.ring.seals()
      if (!isPresent) return seal({ name, purpose }, plaintext)
      plaintext.fill(0)
      return undefined
    },
  }
}

/** Tells seal keys apart, and says nothing of them. */
export function sealKeyId(key: Uint8Array): string {
  return createHmac('sha256', key).update('apostille seal key id').digest('hex').slice(0, 16)
}

/**
 * A seal key as it stands in a file or variable: 32 bytes in base64, with or without a line end after it.
 *
 * @throws {SealError}
 */
export function parseSealKey(text: string): Buffer {
  const advice = `it must be ${keyBytes} bytes in base64, such as \`openssl rand -base64 ${keyBytes}\` prints`
  let key: Buffer
  try {
    key = parseBase64(text.trim())
  } catch (cause) {
    throw new SealError(`the seal key is not base64: ${advice}`, { cause })
  }
  if (key.length !== keyBytes) throw new SealError(`the seal key has ${key.length} bytes: ${advice}`)
  return key
}

/** Made once for each seal key: Node takes 15 times as long for a cipher whose key comes as bytes. */
function createKeyObjects(): Sealing['keyOf'] {
  const made = new WeakMap<Uint8Array, KeyObject>()
  return (sealKey) => {
    const known = made.get(sealKey)
    if (known) return known
    const key = createSecretKey(asBuffer(sealKey))
    made.set(sealKey, key)
    return key
  }
}

/** Wipes the plaintext. */
function createSeal({ ring, trustDomain, randomBytes, keyOf }: Sealing): Seal {
  return (binding, plaintext) => {
    const nonce = asBuffer(randomBytes(nonceBytes))
    const cipher = createCipheriv(cipherName, keyOf(ring.seals()), nonce, { authTagLength: tagBytes })
    cipher.setAAD(associatedData(trustDomain, binding))
    const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()])
    plaintext.fill(0)
    return `${version}.${formatBase64Url(Buffer.concat([nonce, ciphertext, cipher.getAuthTag()]))}`
  }
}

function createOpen(config: Sealing): Open {
  return (binding, sealed) => openWithAny(config, binding, sealed).plaintext
}

/** With which key it was sealed is not written on it: a wrong one does not open it. */
function openWithAny({ ring, trustDomain, keyOf }: Sealing, binding: Binding, sealed: string) {
  const parts = readSealed(binding.name, sealed)
  const data = associatedData(trustDomain, binding)
  let cause: unknown
  for (const key of [ring.seals(), ...ring.opens()]) {
    try {
      return { plaintext: decrypt(keyOf(key), parts, data), key }
    } catch (error) {
      cause = error
    }
  }
  throw cannotOpen(binding.name, cause)
}

function decrypt(key: KeyObject, { nonce, ciphertext, tag }: ReturnType<typeof readSealed>, data: Buffer): Buffer {
  const decipher = createDecipheriv(cipherName, key, nonce, { authTagLength: tagBytes })
  decipher.setAAD(data)
  decipher.setAuthTag(tag)
  const plaintext = decipher.update(ciphertext)
  try {
    return Buffer.concat([plaintext, decipher.final()])
  } finally {
    plaintext.fill(0)
  }
}

/** Each part headed by its length, so that no two bindings are the same bytes. */
function associatedData(trustDomain: string, { name, purpose }: Binding): Buffer {
  const parts = [version, trustDomain, purpose, name]
  const data = Buffer.allocUnsafe(parts.reduce((size, part) => size + 4 + Buffer.byteLength(part), 0))
  let at = 0
  for (const part of parts) {
    const length = data.write(part, at + 4)
    at = data.writeUInt32BE(length, at) + length
  }
  return data
}

function readSealed(name: string, sealed: string) {
  const dot = sealed.indexOf('.')
  if (/^v\d+$/.test(sealed.slice(0, dot)) && sealed.slice(0, dot) !== version)
    throw new SealError(`"${name}" was sealed by a newer version of this program: run that version`)
  let bytes: Buffer
  try {
    if (sealed.slice(0, dot) !== version) throw new SealError('unknown form')
    bytes = parseBase64Url(sealed.slice(dot + 1))
    if (bytes.length < nonceBytes + tagBytes) throw new SealError('too short')
  } catch (cause) {
    throw cannotOpen(name, cause)
  }
  return {
    nonce: bytes.subarray(0, nonceBytes),
    ciphertext: bytes.subarray(nonceBytes, -tagBytes),
    tag: bytes.subarray(-tagBytes),
  }
}

function cannotOpen(name: string, cause?: unknown): SealError {
  return new SealError(
    `"${name}" cannot be opened: the seal key is not the one that this store was made with, or the store was changed. ` +
      'Put the right seal key in place (`seal` in the configuration), or restore the store from a backup. ' +
      'Nothing was overwritten.',
    { cause },
  )
}

interface KeyPair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

function generateKeys(algorithm: SignatureAlgorithm): Promise<KeyPair> {
  const row = algorithms[algorithm]
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, publicKey: KeyObject, privateKey: KeyObject) =>
      error ? reject(error) : resolve({ publicKey, privateKey })
    if (row.keyType === 'ec') generateKeyPair('ec', { namedCurve: row.curve }, done)
    else generateKeyPair('rsa', { modulusLength: rsaModulusBits.min }, done)
  })
}

/** Wipes the plaintext. */
function readPrivateKey(name: string, algorithm: SignatureAlgorithm, pkcs8: Buffer): KeyObject {
  try {
    const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
    if (!fitsAlgorithm(algorithm, key)) throw new SealError(`"${name}" is no ${algorithm} key`)
    return key
  } catch (cause) {
    throw cannotOpen(name, cause)
  } finally {
    pkcs8.fill(0)
  }
}

function exportPublicKey(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' })
}

function createSigner(algorithm: SignatureAlgorithm, key: KeyObject): Signer {
  const publicKey = exportPublicKey(createPublicKey(key))
  // All but P-256 take a millisecond or more: they go to the thread pool, so that they hold up no other request.
  if (algorithm === 'ES256') return { algorithm, publicKey, sign: (data) => signWithKey(algorithm, key, data) }
  return { algorithm, publicKey, sign: (data) => signOnThreadPool(algorithm, key, data) }
}

function signOnThreadPool(algorithm: SignatureAlgorithm, key: KeyObject, data: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    sign(algorithms[algorithm].hash, data, key, (error, signature) => (error ? reject(error) : resolve(signature)))
  })
}

/** A signer that once made a signature that its public half verifies: found out here, and not by a relying party. */
async function proven(name: string, signer: Signer): Promise<Signer> {
  const text = Buffer.from('apostille: does this key sign?')
  const publicKey = createPublicKey({ key: asBuffer(signer.publicKey), format: 'der', type: 'spki' })
  if (verifySignature(signer.algorithm, publicKey, text, await signer.sign(text))) return signer
  throw new SealError(`"${name}" does not sign: its private and public halves do not belong together`)
}
