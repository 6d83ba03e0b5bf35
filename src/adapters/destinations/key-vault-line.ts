/**
 * Key Vault's REST wire over our own connection.
 *
 * Not by `@azure/keyvault-secrets`: it takes a secret back only after it read the value, which a sync need not be allowed
 * to, asks each vault without a token first, and follows the links of pages wherever they lead. It is what the double of
 * the tests is checked with.
 *
 * @see {@link https://learn.microsoft.com/rest/api/keyvault/secrets/operation-groups REST API}
 * @module
 */
import type { DestinationTurn } from '../../core/secret-destination.ts'
import { isJsonObject } from '../../protocol/json.ts'
import { cleanId, readMembers, textOf } from '../exchangers/cloud-refusal.ts'
import type { HttpAnswer } from '../http-client.ts'
import { askWithBearer, type BearerRequest, type StoreLine } from './store-line.ts'
import { buildStoreError, buildUnreadError, type StoreFix } from './store-refusal.ts'

export type Members = Readonly<Record<string, unknown>>

export interface VaultRequest extends Omit<BearerRequest, 'url'> {
  /** Below the vault, such as `secrets/name`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
}

export interface VaultAnswer {
  readonly members: Members
  readonly requestId?: string
}

export interface VaultLine {
  /** @throws {DestinationError} */
  readonly ask: (request: VaultRequest, turn: DestinationTurn) => Promise<VaultAnswer>
}

/** Known everywhere, sovereign clouds included. */
const apiVersion = '7.4'

export function createVaultLine(url: string, line: StoreLine, now: () => Date): VaultLine {
  const base = url.replace(/\/$/, '')

  async function ask({ path, query = {}, ...wanted }: VaultRequest, turn: DestinationTurn): Promise<VaultAnswer> {
    const url = `${base}/${path}?${new URLSearchParams({ 'api-version': apiVersion, ...query })}`
    const { answer, secrets } = await askWithBearer(line, { ...wanted, url }, turn)
    return readAnswer(answer, secrets, now())
  }

  return { ask }
}

function readAnswer(answer: HttpAnswer, secrets: readonly string[], now: Date): VaultAnswer {
  const members = readMembers(answer)
  if (answer.status >= 400) throw readNo(answer, members, secrets, now)
  if (members === undefined) throw buildUnreadError('it answered something that is no answer of Key Vault', answer, now)
  const requestId = requestIdOf(answer)
  return { members, ...(requestId !== undefined && { requestId }) }
}

function requestIdOf({ headers }: HttpAnswer): string | undefined {
  return cleanId(headers.get('x-ms-request-id') ?? undefined)
}

function readNo(answer: HttpAnswer, members: Members | undefined, secrets: readonly string[], now: Date) {
  const error = members?.['error']
  const outer = isJsonObject(error) ? textOf(error['code']) : undefined
  if (!isJsonObject(error) || outer === undefined) {
    return buildUnreadError('it answered something that is no answer of Key Vault', answer, now)
  }
  const inner = error['innererror']
  const code = (isJsonObject(inner) ? textOf(inner['code']) : undefined) ?? outer
  const text = textOf(error['message']) ?? ''
  return buildStoreError({ code, text, requestId: requestIdOf(answer) }, { answer, fixes, secrets, now })
}

const fixes: readonly StoreFix[] = [
  {
    code: 'ForbiddenByRbac',
    says: /Action: '([\w./]+)'/,
    kind: 'forbidden',
    fix: "a role with the data action $1 on the vault has to be assigned to the target's application; a new one takes some minutes to hold",
  },
  {
    code: 'ForbiddenByPolicy',
    says: /have secrets (\w+) permission/,
    kind: 'forbidden',
    fix: "the vault's access policy has to give the target's application the secret permission $1",
  },
  {
    code: 'AccessDenied',
    says: /have secrets (\w+) permission/,
    kind: 'forbidden',
    fix: "the vault's access policy has to give the target's application the secret permission $1",
  },
  { code: 'ForbiddenByFirewall', kind: 'forbidden', fix: "the vault's firewall has to admit the address of this host" },
  {
    code: 'ForbiddenByConnection',
    kind: 'forbidden',
    fix: 'the vault has no public access: reach it by its private endpoint',
  },
  {
    code: 'Unauthorized',
    kind: 'forbidden',
    fix: "the token of the target is not taken: its scope has to be https://vault.azure.net/.default, and its tenant the vault's",
  },
  {
    code: 'ObjectIsDeletedButRecoverable',
    kind: 'blocked_deleted',
    fix: 'a deleted secret has the name: recover or purge it',
  },
  { code: 'ObjectIsBeingDeleted', kind: 'busy', fix: 'it is being deleted right now' },
  { code: 'ObjectIsBeingRecovered', kind: 'busy', fix: 'it is being recovered right now' },
  { code: 'Conflict', kind: 'busy', fix: 'something else is being done to the secret' },
  { code: 'SecretNotFound', kind: 'conflict', fix: 'somebody else removed it at the same time' },
  { code: 'VaultNotFound', kind: 'refused', fix: 'there is no such vault' },
  { code: 'Throttled', kind: 'throttled', fix: 'Azure limits the requests of a vault: set `writes_per_second` lower' },
]
