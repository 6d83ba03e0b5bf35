/**
 * The token that a file holds, for the services that ask who we are.
 *
 * @module
 */
import { UpstreamError } from './http-client.ts'
import { createWatchedFile, type FileReader } from './watched-file.ts'

const tokenPattern = /^[A-Za-z0-9._~+/=-]+$/ // RFC 6750 §2.1

/** The function it answers throws an `UpstreamError` when there is no token in the file. */
export function createBearerFile(
  path: string,
  deps: { readonly files: FileReader; readonly monotonicMs: () => number },
): () => Promise<string> {
  const file = createWatchedFile(path, deps)

  return async () => {
    const token = (await readToken(file.read)).trim()
    if (!tokenPattern.test(token)) throw new UpstreamError('malformed', 'token_file holds no bearer token')
    return token
  }
}

async function readToken(read: () => Promise<string>): Promise<string> {
  try {
    return await read()
  } catch (cause) {
    throw new UpstreamError('malformed', 'token_file could not be read', { cause })
  }
}
