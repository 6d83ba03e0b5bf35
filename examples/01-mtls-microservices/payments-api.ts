/**
 * payments-api: asks mtls-backend for a balance, again and again, each time over a new connection, so that each request
 * shows both certificates and has both checked.
 *
 * Beside that it holds one connection open from the start, to see that changing certificates drops none.
 *
 * `BACKEND_URL` and `BACKEND_ID`: where the backend is, and who it must be. `ONCE`: ask once, say what came of it, end.
 * Others: see `../support/settings.ts`.
 *
 * @module
 */
import { request } from 'node:https'
import { setTimeout as pause } from 'node:timers/promises'
// In a project of yours: from 'apostille/node'
import { authorizeId, createX509Source, mtlsClientOptions, type X509Svid } from '../../src/node.ts'
import { callHttps } from '../support/https-call.ts'
import { setting, shortLives } from '../support/settings.ts'

const backendUrl = setting('BACKEND_URL')
const backendId = setting('BACKEND_ID')
const source = await createX509Source(shortLives())
source.events.on('failure', ({ message }) => console.log(`no renewal: ${message}`))
/** Shows who we are, and makes sure of who answers: the SPIFFE ID says who, a host name only where. */
const mutualTls = mtlsClientOptions(source, { authorize: authorizeId(backendId) })
const seen = { requests: 0, failures: 0, ticks: 0, own: new Set<string>(), peer: new Set<string>() }
const stopping = new AbortController()

console.log(`I am ${source.svid().spiffeId.uri}, ${describe(source.svid())}`)
if (process.env['ONCE']) await askOnce()
else {
  process.once('SIGTERM', () => stopping.abort())
  source.events.on('svid', (svid) => console.log(`renewed: ${describe(svid)}`))
  holdConnection()
  while (!stopping.signal.aborted) {
    await askAndCount()
    await pause(200, undefined, { signal: stopping.signal }).catch(() => undefined)
  }
  summarise()
}
source.close()

async function askOnce(): Promise<void> {
  try {
    const { status, text } = await callHttps(`${backendUrl}/balances/DE-1001`, mutualTls)
    console.log(status === 200 ? `the backend answered: ${text}` : `the backend refused: ${status} ${text}`)
  } catch (error) {
    console.log(`I hung up: ${error instanceof Error ? error.message : String(error)}`)
  }
}

async function askAndCount(): Promise<void> {
  const own = source.svid().serialNumber
  seen.requests++
  try {
    const { status, text, certificate } = await callHttps(`${backendUrl}/balances/DE-1001`, mutualTls)
    if (status !== 200) throw new Error(`${status} ${text}`)
    const peer = certificate?.serialNumber.toLowerCase() ?? ''
    const isNews = !seen.own.has(own) || !seen.peer.has(peer)
    seen.own.add(own)
    seen.peer.add(peer)
    if (isNews || seen.requests % 10 === 0)
      console.log(`request ${seen.requests}: ${text}  (I showed ${shorten(own)}, the backend ${shorten(peer)})`)
  } catch (error) {
    seen.failures++
    console.log(`request ${seen.requests} FAILED: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function holdConnection(): void {
  const sent = request(`${backendUrl}/ticks`, { ...mutualTls, agent: false, signal: stopping.signal }, (answer) => {
    answer.on('data', () => seen.ticks++)
    answer.on('error', () => undefined)
    answer.once('close', () => stopping.signal.aborted || console.log('the connection held open was DROPPED'))
  })
  sent.on(
    'error',
    (error) => stopping.signal.aborted || console.log(`the connection held open FAILED: ${error.message}`),
  )
  sent.end()
}

function summarise(): void {
  const { requests, failures, ticks, own, peer } = seen
  console.log(`${requests} requests, ${failures} failed`)
  console.log(`${own.size} certificates of mine, ${peer.size} of the backend`)
  console.log(
    `${ticks} ticks, which the backend sends four times a second, over the connection that was opened at the start`,
  )
}

function describe({ serialNumber, expiresAt }: X509Svid): string {
  return `certificate ${shorten(serialNumber)}, good for ${Math.round((expiresAt.getTime() - Date.now()) / 1000)} s`
}

function shorten(serialNumber: string): string {
  return serialNumber.slice(0, 8)
}
