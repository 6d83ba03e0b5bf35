/**
 * Documents in an SQLite store: replaced, removed and listed, each by its name.
 *
 * @module
 */
import type { DocumentChange, DocumentQuery, Store, StoredDocument } from '../../core/store.ts'
import { lastCharacter, removedKey } from './document-names.ts'
import { number, operation, type Tables, text } from './sqlite-tables.node.ts'

type DocumentOperations = Pick<Store, 'readDocument' | 'listDocuments' | 'writeDocument' | 'deleteDocument'>

export function documentOperations(tables: Tables): DocumentOperations {
  const { file, db, trustDomain } = tables
  const select = db.prepare('SELECT version, body FROM documents WHERE trust_domain = ? AND name = ?')
  const list = db.prepare(
    `SELECT name, version FROM documents
       WHERE trust_domain = ? AND name >= ? AND name < ? AND name > ? ORDER BY name LIMIT ?`,
  )
  const change = createDocumentChanger(tables)
  return {
    readDocument: operation((name: string): StoredDocument => {
      const row = select.get(trustDomain, name)
      return row ? { version: number(row, 'version'), body: text(row, 'body') } : { version: 0, body: '' }
    }),
    listDocuments: operation(({ prefix, after = '', limit = -1 }: DocumentQuery) =>
      list
        .all(trustDomain, prefix, prefix + lastCharacter, after, limit)
        .map((row) => ({ name: text(row, 'name'), version: number(row, 'version') })),
    ),
    writeDocument: operation((name: string, expected: number, body: string) => change({ name, expected, body })),
    deleteDocument: operation((name: string, expected: number) => file.transact(() => change({ name, expected }))),
  }
}

/**
 * False when the version is another one. A removal is two statements, so it wants a transaction.
 *
 * Of what was removed only the greatest version is kept, one for all names of a folder, above which new ones begin.
 */
export function createDocumentChanger({ db, trustDomain }: Tables): (change: DocumentChange) => boolean {
  const insert = db.prepare(
    `INSERT OR IGNORE INTO documents (trust_domain, name, version, body) VALUES (?1, ?2,
       1 + coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE trust_domain = ?1 AND name = ?3), 0), ?4)`,
  )
  const update = db.prepare(
    'UPDATE documents SET version = version + 1, body = ? WHERE trust_domain = ? AND name = ? AND version = ?',
  )
  const remove = db.prepare('DELETE FROM documents WHERE trust_domain = ? AND name = ? AND version = ?')
  const remember = db.prepare(
    `INSERT INTO meta (trust_domain, name, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE
       SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))`,
  )
  const replace = ({ name, expected, body }: Required<DocumentChange>) =>
    expected === 0
      ? insert.run(trustDomain, name, removedKey(name), body)
      : update.run(body, trustDomain, name, expected)
  return ({ name, expected, body }) => {
    if (body !== undefined) return replace({ name, expected, body }).changes === 1
    if (remove.run(trustDomain, name, expected).changes !== 1) return false
    remember.run(trustDomain, removedKey(name), String(expected))
    return true
  }
}
