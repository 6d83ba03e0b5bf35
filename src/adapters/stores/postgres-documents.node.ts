/**
 * Documents in a PostgreSQL store: replaced, removed and listed, each by its name.
 *
 * Of what was removed only the greatest version is kept, one for all names of a folder, above which new ones begin. As a
 * removal that is not yet committed can not be seen, whoever makes or removes a document holds a lock on its folder.
 *
 * @module
 */
import type { DocumentChange, DocumentQuery, Store, StoredDocument } from '../../core/store.ts'
import { lastCharacter, removedKey } from './document-names.ts'
import type { Lane, Run } from './postgres-connections.node.ts'
import { number, text } from './postgres-rows.ts'

type DocumentOperations = Pick<Store, 'readDocument' | 'listDocuments' | 'writeDocument' | 'deleteDocument'>

const select = {
  name: 'read_document',
  text: 'SELECT version, body FROM apostille.documents WHERE trust_domain = $1 AND name = $2',
}
const list = {
  name: 'list_documents',
  text: `SELECT name, version FROM apostille.documents
    WHERE trust_domain = $1 AND name >= $2 AND name < $3 AND name > $4 ORDER BY name LIMIT $5`,
}
const update = {
  name: 'update_document',
  text: `UPDATE apostille.documents SET version = version + 1, body = $4
    WHERE trust_domain = $1 AND name = $2 AND version = $3`,
}
const insert = {
  name: 'insert_document',
  text: `INSERT INTO apostille.documents (trust_domain, name, version, body) VALUES ($1, $2,
    1 + coalesce((SELECT value::bigint FROM apostille.meta WHERE trust_domain = $1 AND name = $3), 0), $4)
    ON CONFLICT DO NOTHING`,
}
const remove = {
  name: 'remove_document',
  text: 'DELETE FROM apostille.documents WHERE trust_domain = $1 AND name = $2 AND version = $3',
}
const remember = {
  name: 'remember_removed',
  text: `INSERT INTO apostille.meta AS m (trust_domain, name, value) VALUES ($1, $2, $3)
    ON CONFLICT (trust_domain, name) DO UPDATE SET value = greatest(m.value::bigint, excluded.value::bigint)::text`,
}
const lockFolder = {
  name: 'lock_folder',
  text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))',
}
const lockRows = {
  name: 'lock_documents',
  text: `SELECT FROM apostille.documents WHERE trust_domain = $1 AND name = ANY ($2::text[]) ORDER BY name FOR UPDATE`,
}

export function documentOperations({ run, transact }: Lane, trustDomain: string): DocumentOperations {
  const change = async (wanted: DocumentChange): Promise<boolean> => {
    const { name, expected, body } = wanted
    if (body !== undefined && expected > 0) return replace(run, trustDomain, { name, expected, body })
    const [isMade] = await transact((within) => changeDocuments(within, trustDomain, [wanted]))
    return isMade === true
  }
  return {
    async readDocument(name): Promise<StoredDocument> {
      const [row] = (await run(select, [trustDomain, name])).rows
      return row ? { version: number(row, 'version'), body: text(row, 'body') } : { version: 0, body: '' }
    },
    async listDocuments({ prefix, after = '', limit }: DocumentQuery) {
      const { rows } = await run(list, [trustDomain, prefix, prefix + lastCharacter, after, limit ?? null])
      return rows.map((row) => ({ name: text(row, 'name'), version: number(row, 'version') }))
    },
    writeDocument: (name, expected, body) => change({ name, expected, body }),
    deleteDocument: (name, expected) => change({ name, expected }),
  }
}

/**
 * Makes the changes in their order, within a transaction, and answers for each whether its version was the one expected.
 * Locks are taken in the order of names first, so that of two that change the same none waits for the other in turn.
 */
export async function changeDocuments(
  run: Run,
  trustDomain: string,
  changes: readonly DocumentChange[],
): Promise<readonly boolean[]> {
  const moving = changes.filter(({ expected, body }) => expected === 0 || body === undefined)
  const folders = new Set(moving.map(({ name }) => `${trustDomain} ${removedKey(name)}`))
  for (const folder of [...folders].sort()) await run(lockFolder, [folder])
  if (changes.length > 1) await run(lockRows, [trustDomain, changes.map(({ name }) => name)])
  const made: boolean[] = []
  for (const { name, expected, body } of changes)
    made.push(
      await (body === undefined
        ? removeDocument(run, trustDomain, { name, expected })
        : replace(run, trustDomain, { name, expected, body })),
    )
  return made
}

async function replace(
  run: Run,
  trustDomain: string,
  { name, expected, body }: Required<DocumentChange>,
): Promise<boolean> {
  const { count } =
    expected === 0
      ? await run(insert, [trustDomain, name, removedKey(name), body])
      : await run(update, [trustDomain, name, expected, body])
  return count === 1
}

async function removeDocument(run: Run, trustDomain: string, { name, expected }: DocumentChange): Promise<boolean> {
  if ((await run(remove, [trustDomain, name, expected])).count !== 1) return false
  await run(remember, [trustDomain, removedKey(name), String(expected)])
  return true
}
