/**
 * SPIRE agents, which join by token, and the Workload API as their command line asks it.
 *
 * @module
 */
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from './cleanup.ts'
import { poll, run, start } from './command.ts'
import { part } from './parts.ts'
import { lifeOf, ready, type Spire } from './spire.ts'
import { agentConfig } from './spire-config.ts'

export interface AgentWishes {
  readonly server: Spire
  /** What entries name as their parent; `spiffe://TRUST_DOMAIN/node` by default. */
  readonly nodeId?: string
}

export interface FetchedX509Svid {
  /** PEM, leaf first. */
  readonly chainPem: string
  /** PKCS#8. */
  readonly keyPem: string
  readonly bundlePem: string
  /** Of the trust domains that the entry federates with, sorted by their names. */
  readonly federatedPems: readonly string[]
}

/** Asks again and again until an entry of this process has reached the agent. */
export interface SpireAgent {
  readonly nodeId: string
  /** Of the Workload API. */
  readonly socketPath: string
  readonly fetchJwt: (audience: string, spiffeId?: string) => Promise<string>
  /** Those of all entries. */
  readonly fetchX509: () => Promise<readonly FetchedX509Svid[]>
  readonly log: () => string
  readonly stop: () => Promise<void>
}

const entryDeadlineMs = 30_000

/** An agent, ready, that ends with the stack at the latest. */
export async function startSpireAgent(stack: AsyncDisposableStack, wishes: AgentWishes): Promise<SpireAgent> {
  const { server, nodeId = `spiffe://${server.trustDomain}/node` } = wishes
  const program = join(await part('spire.sh'), 'spire-agent')
  const folder = await makeFolder(stack)
  const socketPath = join(folder, 'agent.sock')
  const [configFile, bundleFile] = [join(folder, 'agent.conf'), join(folder, 'bundle.pem')]
  const { trustDomain, ports } = server
  await writeFile(bundleFile, await server.bundleShow('pem'))
  await writeFile(configFile, agentConfig({ trustDomain, folder, serverPort: ports.api, socketPath, bundleFile }))
  const token = await server.joinToken(nodeId)
  const agent = start(stack, program, ['run', '-config', configFile, '-joinToken', token])

  const ask = (args: readonly string[]) => run(program, [...args, '-socketPath', socketPath])
  await ready('the SPIRE agent', agent, async () => (await ask(['healthcheck'])).code === 0)
  return { nodeId, socketPath, ...fetching(ask, folder), ...lifeOf(agent) }
}

type Ask = (args: readonly string[]) => ReturnType<typeof run>

function fetching(ask: Ask, folder: string): Pick<SpireAgent, 'fetchJwt' | 'fetchX509'> {
  const fetched = (what: string, args: readonly string[]) =>
    poll(`the agent has ${what}`, entryDeadlineMs, async () => {
      const { code, stdout } = await ask(['api', 'fetch', ...args])
      return code === 0 ? stdout : undefined
    })

  const fetchJwt: SpireAgent['fetchJwt'] = async (audience, spiffeId) => {
    const who = spiffeId === undefined ? [] : ['-spiffeID', spiffeId]
    const answer = await fetched('a JWT-SVID', ['jwt', '-audience', audience, ...who, '-output', 'json'])
    return JSON.parse(answer)[0].svids[0].svid
  }

  const fetchX509: SpireAgent['fetchX509'] = async () => {
    const written = await mkdtemp(join(folder, 'x509-'))
    await fetched('an X.509-SVID', ['x509', '-write', written])
    const names = (await readdir(written)).sort()
    const read = (name: string) => readFile(join(written, name), 'utf8')
    const svids = names.filter((name) => /^svid\.\d+\.pem$/.test(name))
    return Promise.all(
      svids.map(async (_, index) => ({
        chainPem: await read(`svid.${index}.pem`),
        keyPem: await read(`svid.${index}.key`),
        bundlePem: await read(`bundle.${index}.pem`),
        federatedPems: await Promise.all(
          names.filter((name) => name.startsWith(`federated_bundle.${index}.`)).map(read),
        ),
      })),
    )
  }
  return { fetchJwt, fetchX509 }
}
