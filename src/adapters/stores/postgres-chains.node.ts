/**
 * The numbers of chains in a PostgreSQL store, which stand for their names in every row.
 *
 * @module
 */
import type { Run } from './postgres-connections.node.ts'
import { number, text } from './postgres-rows.ts'

export interface ChainNumbers {
  readonly find: (chain: string) => Promise<number | undefined>
  /** Makes one where there is none. */
  readonly make: (chain: string) => Promise<number>
  /** In the order of their names. */
  readonly list: () => Promise<readonly string[]>
  /** What is known may be of a server that another has taken the place of. */
  readonly forget: () => void
}

const select = {
  name: 'find_chain',
  text: 'SELECT number FROM apostille.chains WHERE trust_domain = $1 AND chain = $2',
}
const insert = {
  name: 'make_chain',
  text: 'INSERT INTO apostille.chains (trust_domain, chain) VALUES ($1, $2) ON CONFLICT DO NOTHING',
}
const listAll = {
  name: 'list_chains',
  text: 'SELECT chain FROM apostille.chains WHERE trust_domain = $1 ORDER BY chain',
}

export function createChainNumbers(run: Run, trustDomain: string): ChainNumbers {
  const known = new Map<string, number>()

  async function find(chain: string): Promise<number | undefined> {
    const found = known.get(chain)
    if (found !== undefined) return found
    const [row] = (await run(select, [trustDomain, chain])).rows
    if (row !== undefined) known.set(chain, number(row, 'number'))
    return known.get(chain)
  }

  async function make(chain: string): Promise<number> {
    const found = await find(chain)
    if (found !== undefined) return found
    await run(insert, [trustDomain, chain])
    return (await find(chain)) ?? 0
  }

  return {
    find,
    make,
    list: async () => (await run(listAll, [trustDomain])).rows.map((row) => text(row, 'chain')),
    forget: () => known.clear(),
  }
}
