/**
 * Options that name files, and what the environment says where they are left out.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { ApostilleError } from './apostille-error.ts'
import type { FreshOptions } from './fresh-client.ts'
import { readGatewayTrust } from './gateway-trust.node.ts'
import { createHttpsFetch, readTlsFiles, type TlsFiles, type TlsMaterial } from './https-fetch.node.ts'
import { createJoinEqual } from './join-equal.node.ts'
import type { X509Source } from './x509-source.node.ts'

/** The proof is `token`, `tokenFile`, `source`, or `certFile` with `keyFile`. */
export interface NodeOptions extends TlsFiles, Omit<FreshOptions, 'server'> {
  /** Default: `APOSTILLE_SERVER`. */
  readonly server?: string | URL
  /** A file that holds a token, read for each request. Default: `APOSTILLE_TOKEN_FILE`. */
  readonly tokenFile?: string
  /** Its X.509-SVID is the proof. */
  readonly source?: X509Source
  /** Default: `APOSTILLE_CA_FILE`, else the authorities that Node knows. */
  readonly caFile?: string
  /** Default: those of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** @throws {ApostilleError} `usage` when no server, no proof or half a proof is named */
export function readNodeOptions(options: NodeOptions): FreshOptions {
  const { tokenFile, source, certFile, keyFile, env = process.env, server: named, token: given, ...others } = options
  const { caFile = env['APOSTILLE_CA_FILE'], ...rest } = others
  const server = named ?? env['APOSTILLE_SERVER']
  if (server === undefined)
    throw new ApostilleError('there is no server: name it with `server`, or APOSTILLE_SERVER', { code: 'usage' })
  const files = tlsFiles({ caFile, certFile, keyFile })
  const shown = source !== undefined || files.certFile !== undefined
  const token = given ?? (shown ? undefined : fromFile(tokenFile ?? env['APOSTILLE_TOKEN_FILE']))
  const read = source ? () => readBySource(source, caFile) : () => readTlsFiles(files)
  return {
    join: createJoinEqual(),
    ...((shown || caFile !== undefined) && { fetch: createHttpsFetch(read) }),
    ...rest,
    server,
    ...(token !== undefined && { token }),
  }
}

async function readBySource(source: X509Source, caFile: string | undefined): Promise<TlsMaterial> {
  const { certificates, privateKey } = source.svid()
  return { ...(await readGatewayTrust(caFile, source.bundles())), cert: certificates, key: privateKey }
}

function tlsFiles(given: { readonly [Name in keyof TlsFiles]: string | undefined }): TlsFiles {
  if ((given.certFile === undefined) !== (given.keyFile === undefined))
    throw new ApostilleError('certFile and keyFile go together: name both', { code: 'usage' })
  return Object.fromEntries(Object.entries(given).filter(([, file]) => file !== undefined))
}

function fromFile(file: string | undefined): () => Promise<string> {
  if (file === undefined)
    throw new ApostilleError(
      'there is no proof: name `token`, `tokenFile` (or APOSTILLE_TOKEN_FILE), `source`, or `certFile` with `keyFile`',
      { code: 'usage' },
    )
  return async () => {
    try {
      return await readFile(file, 'utf8')
    } catch (cause) {
      throw new ApostilleError(`the token can not be read from ${file}`, { code: 'token', cause })
    }
  }
}
