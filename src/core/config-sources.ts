/**
 * The part of the configuration that says where secrets come from, besides our own store, which is the source `kv`.
 *
 * @module
 */
import * as z from 'zod'

const path = z.string().min(1).max(4096)

const httpsUrl = z
  .url({ protocol: /^https$/, error: 'expected an https URL' })
  .refine((text) => URL.parse(text)?.search === '' && URL.parse(text)?.hash === '', {
    error: 'expected a URL without query and fragment',
  })

const vault = z.strictObject({
  type: z.literal('vault'),
  address: httpsUrl,
  namespace: z.string().min(1).max(512).optional(),
  /** Of the KV v2 engine. */
  mount: z.string().min(1).max(512).default('secret'),
  /** Of the JWT auth method. */
  auth_mount: z.string().min(1).max(512).default('jwt'),
  role: z.string().min(1).max(512),
  /** Of our token, as the role has it in `bound_audiences`. */
  audience: z.string().min(1).max(2048),
  ca_file: path.optional(),
})

const directory = z.strictObject({
  type: z.literal('directory'),
  path,
  /** Whether each file is a secret, or each folder with the files in it as its keys. */
  secrets: z.enum(['files', 'folders']).default('files'),
  /** Longest file that is read. */
  max_bytes: z
    .int()
    .min(1)
    .max(1024 * 1024)
    .default(64 * 1024),
})

export const sourceSchema = z.discriminatedUnion('type', [vault, directory])

export type VaultSourceDocument = z.output<typeof vault>
export type DirectorySourceDocument = z.output<typeof directory>
export type SourceDocument = z.output<typeof sourceSchema>
export type SourceType = SourceDocument['type'] | 'kv'
