/**
 * What a version of a secret holds: names and values, plain JSON.
 *
 * @module
 */
import { isJsonObject } from '../protocol/json.ts'
import { applyMergePatch } from '../protocol/merge-patch.ts'
import { Refusal } from './refusal.ts'

/** Made by {@link parseSecretData}. */
export type SecretData = Readonly<Record<string, unknown>>

const maxDataBytes = 64 * 1024

/**
 * @param value Of strict JSON.
 * @throws {Refusal} `malformed_request`, which repeats nothing of the value
 */
export function parseSecretData(value: unknown): SecretData {
  if (!isJsonObject(value)) throw malformed('data: expected an object')
  if (Object.hasOwn(value, '')) throw malformed('data: a key is empty')
  if (hasLossyNumber(value))
    throw malformed('data: a whole number above 2^53 would not be kept as it is: make it a string')
  if (encodeSecretData(value).length > maxDataBytes) throw malformed(`data: at most ${maxDataBytes} bytes`)
  return value
}

/** @throws {Refusal} `malformed_request` as {@link parseSecretData} */
export function patchSecretData(data: SecretData, patch: SecretData): SecretData {
  return parseSecretData(applyMergePatch(data, patch))
}

export function encodeSecretData(data: SecretData): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(data))
}

/** The bytes are our own, sealed with their name. */
export function decodeSecretData(bytes: Uint8Array): SecretData {
  return JSON.parse(new TextDecoder().decode(bytes)) as SecretData
}

/** Whether a whole number in it is none that JavaScript keeps as it is. */
export function hasLossyNumber(value: unknown): boolean {
  if (typeof value === 'number') return Number.isInteger(value) && !Number.isSafeInteger(value)
  return typeof value === 'object' && value !== null && Object.values(value).some(hasLossyNumber)
}

function malformed(detail: string): Refusal {
  return new Refusal('malformed_request', detail, { detail })
}
