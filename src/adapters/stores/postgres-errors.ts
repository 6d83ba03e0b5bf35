/**
 * What PostgreSQL or the way to it says, as the error of a store, in words for the operator.
 *
 * @see {@link https://www.postgresql.org/docs/current/errcodes-appendix.html PostgreSQL error codes}
 * @module
 */
import { StoreError, type StoreErrorCode } from '../../core/store.ts'

/** What `pg` throws: of the server with a SQLSTATE, of the connection with one of Node's codes or none. */
interface PostgresError extends Error {
  readonly code?: string
  readonly severity?: string
}

interface Explanation {
  readonly code?: StoreErrorCode
  readonly message: string
}

/** By SQLSTATE, or by its class. Only of these is the server's own message told: of others it may quote a value. */
const explanations: Readonly<Record<string, Explanation>> = {
  '08': { message: 'the connection was lost' },
  '23505': { code: 'conflict', message: 'the store has an entry of that key' },
  '25006': {
    code: 'read_only',
    message: 'the database takes no writes: it is a standby, or its administrator has made it so',
  },
  '28': { message: 'the database does not let us in: check user, password and pg_hba.conf' },
  '3D000': { message: 'there is no such database: make it with createdb' },
  '3F000': { message: 'the schema apostille is gone: restore it from a backup' },
  '40': { message: 'the database undid what was asked, as others asked for the same' },
  '42501': { message: 'the user may not do this: it has to own the database, or the schema apostille in it' },
  '42P01': { message: 'a table is gone: restore it from a backup' },
  '53': { message: 'the server is out of something: disk, memory or connections' },
  '54': { message: 'something is larger than the server takes' },
  '55P03': { message: 'another replica held a lock for too long' },
  '57014': { message: 'the server took too long' },
  '57P': { message: 'the server is stopping or starting' },
  '58': { message: 'the system under the server failed' },
}

const connectionErrors: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ENOENT: 'there is no such socket: is the server running, and is this its folder?',
  EACCES: 'this user may not open the socket',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the name of the host can not be looked up',
  ETIMEDOUT: 'there is no answer',
  EHOSTUNREACH: 'there is no way to the host',
  ENETUNREACH: 'there is no way to the host',
}

export function isOfServer(error: unknown): error is PostgresError & { readonly code: string } {
  const { code, severity } = (error ?? {}) as PostgresError
  return severity !== undefined && code?.length === 5
}

/** Whether a connection is good for nothing after this. */
export function endsConnection(error: unknown): boolean {
  return !isOfServer(error) || /^(?:08|57P|25006)/.test(error.code) || error.severity !== 'ERROR'
}

/** Two transactions stood in each other's way, and nothing of this one was kept: it may be tried again. */
export function isWorthAnotherTry(error: unknown): boolean {
  return isOfServer(error) && (error.code === '40P01' || error.code === '40001')
}

export function postgresError(cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause
  const { code, message } = isOfServer(cause) ? explainServer(cause.code) : explainConnection(cause)
  return new StoreError(code ?? 'unavailable', `the database can not be used: ${message}`, { cause })
}

function explainServer(sqlstate: string): Explanation {
  const known = [5, 3, 2].map((length) => explanations[sqlstate.slice(0, length)]).find((found) => found !== undefined)
  return { ...known, message: known ? `${known.message} (${sqlstate})` : `SQLSTATE ${sqlstate}` }
}

/** What `pg` itself says has no code, and names nothing but the step that it was at. */
function explainConnection(cause: unknown): Explanation {
  const { code, message } = (cause ?? {}) as PostgresError
  if (code === undefined) return { message: message ?? 'unknown error' }
  return { message: `${connectionErrors[code] ?? message} (${code})` }
}
