/**
 * Addresses: where we listen, and who a connection comes from.
 *
 * @module
 */
import { ProtocolError } from '../protocol/errors.ts'
import { parseAddress, parseAddressRange } from './address-range.ts'
import { protocolField } from './config-fields.ts'

/** `host:port`, `[::1]:port` or `unix:PATH`. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** @throws {ProtocolError} `encoding` */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith('unix:') && text.length > 5) return { kind: 'unix', path: text.slice(5) }
  const match = /^(?:\[([0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2] ?? ''
  const port = Number(match?.[3])
  const isNumeric = match?.[1] !== undefined || /^[\d.]+$/.test(host)
  if (!match || port > 65_535 || (isNumeric && parseAddress(host) === undefined))
    throw new ProtocolError('encoding', 'neither host:port, [::1]:port nor unix:PATH')
  return { kind: 'tcp', host: host.toLowerCase(), port }
}

export function formatListenAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

/** Whether only this machine reaches it. */
export function isLocal(address: ListenAddress): boolean {
  return address.kind === 'unix' || isLoopback(address.host)
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (host.startsWith('127.') && parseAddress(host) !== undefined)
}

export const addressField = protocolField(parseListenAddress, 'an address')
export const cidrField = protocolField((text) => {
  const range = parseAddressRange(text)
  if (typeof range === 'string') throw new ProtocolError('encoding', range)
  return text
}, 'a network')
