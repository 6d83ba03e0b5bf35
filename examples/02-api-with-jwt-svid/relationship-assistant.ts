/**
 * relationship-assistant: looks up customers for an advisor. Its identity is all that it brings.
 *
 * `API_URL`, `API_AUDIENCE`, `API_CA_FILE`: where the API is, what it is called in tokens, what its TLS certificate is
 * checked against. Others: see `../support/settings.ts`. Arguments: the paths to ask for.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
// In a project of yours: from 'apostille/node'
import { createJwtSource } from '../../src/node.ts'
import { callHttps } from '../support/https-call.ts'
import { setting } from '../support/settings.ts'

const svid = await createJwtSource().get(setting('API_AUDIENCE'))
console.log(`I am ${svid.spiffeId}, by a token that is good until ${svid.expiresAt.toISOString()}`)

const ca = await readFile(setting('API_CA_FILE'), 'utf8')
for (const path of process.argv.slice(2)) {
  const headers = { authorization: `Bearer ${svid.token}` }
  const { status, text } = await callHttps(`${setting('API_URL')}${path}`, { ca, headers })
  console.log(`${path}: ${status} ${text}`)
}
