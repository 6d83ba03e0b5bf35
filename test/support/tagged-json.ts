/**
 * Values with times and bytes in them as JSON, for what crosses from one runtime to another.
 *
 * @module
 */

export function formatTagged(value: unknown): string {
  return JSON.stringify(tag(value))
}

export function parseTagged(text: string): unknown {
  return JSON.parse(text, (_, value: unknown) => untag(value))
}

function tag(value: unknown): unknown {
  if (value instanceof Date) return { $time: value.getTime() }
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') }
  if (Array.isArray(value)) return value.map(tag)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, tag(inner)]))
}

function untag(value: unknown): unknown {
  const { $time, $bytes } = (value ?? {}) as { readonly $time?: number; readonly $bytes?: string }
  if ($time !== undefined) return new Date($time)
  return $bytes === undefined ? value : new Uint8Array(Buffer.from($bytes, 'base64'))
}
