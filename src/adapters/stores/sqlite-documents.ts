/**
 * Documents in an SQLite store: replaced, removed and listed, each by its name.
 *
 * @module
 */
import type { DocumentChange, DocumentQuery, Store, StoredDocument } from '../../core/store.ts'
import { lastCharacter, removedKey } from './document-names.ts'
import type { Row } from './sqlite-database.ts'
import { number, operation, type Tables, text } from './sqlite-tables.ts'

type DocumentOperations = Pick<Store, 'readDocument' | 'listDocuments' | 'writeDocument' | 'deleteDocument'>

/** The first two parameters of each are the trust domain and the name. */
export const documentStatements = {
  select: 'SELECT version, body FROM documents WHERE trust_domain = ? AND name = ?',
  list: `SELECT name, version FROM documents
       WHERE trust_domain = ? AND name >= ? AND name < ? AND name > ? ORDER BY name LIMIT ?`,
  insert: `INSERT OR IGNORE INTO documents (trust_domain, name, version, body) VALUES (?1, ?2,
       1 + coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE trust_domain = ?1 AND name = ?3), 0), ?4)`,
  update:
    'UPDATE documents SET version = version + 1, body = ?4 WHERE trust_domain = ?1 AND name = ?2 AND version = ?3',
  remove: 'DELETE FROM documents WHERE trust_domain = ? AND name = ? AND version = ?',
  remember: `INSERT INTO meta (trust_domain, name, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE
       SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))`,
} as const

/** The parameters of a list behind the trust domain. */
export function listValues({ prefix, after = '', limit = -1 }: DocumentQuery) {
  return [prefix, prefix + lastCharacter, after, limit] as const
}

export function readDocument(row: Row | undefined): StoredDocument {
  return row ? { version: number(row, 'version'), body: text(row, 'body') } : { version: 0, body: '' }
}

export function readListed(row: Row) {
  return { name: text(row, 'name'), version: number(row, 'version') }
}

export function documentOperations(tables: Tables): DocumentOperations {
  const { db, trustDomain } = tables
  const select = db.prepare(documentStatements.select)
  const list = db.prepare(documentStatements.list)
  const change = createDocumentChanger(tables)
  return {
    readDocument: operation((name: string) => readDocument(select.get(trustDomain, name))),
    listDocuments: operation((query: DocumentQuery) => list.all(trustDomain, ...listValues(query)).map(readListed)),
    writeDocument: operation((name: string, expected: number, body: string) => change({ name, expected, body })),
    deleteDocument: operation((name: string, expected: number) => db.transact(() => change({ name, expected }))),
  }
}

/**
 * False when the version is another one. A removal is two statements, so it wants a transaction.
 *
 * Of what was removed only the greatest version is kept, one for all names of a folder, above which new ones begin.
 */
export function createDocumentChanger({ db, trustDomain }: Tables): (change: DocumentChange) => boolean {
  const insert = db.prepare(documentStatements.insert)
  const update = db.prepare(documentStatements.update)
  const remove = db.prepare(documentStatements.remove)
  const remember = db.prepare(documentStatements.remember)
  const replace = ({ name, expected, body }: Required<DocumentChange>) =>
    expected === 0
      ? insert.change(trustDomain, name, removedKey(name), body)
      : update.change(trustDomain, name, expected, body)
  return ({ name, expected, body }) => {
    if (body !== undefined) return replace({ name, expected, body }) === 1
    if (remove.change(trustDomain, name, expected) !== 1) return false
    remember.run(trustDomain, removedKey(name), String(expected))
    return true
  }
}
