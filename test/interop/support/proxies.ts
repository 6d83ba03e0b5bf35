/**
 * nginx and Envoy with the files that docs/mtls-nginx-envoy.md shows: only ports and paths are others.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { makeFolder } from './cleanup.ts'
import { freePorts, poll, type Running, runOk, start } from './command.ts'
import { part } from './parts.ts'

const page = readFileSync(join(import.meta.dirname, '../../../docs/mtls-nginx-envoy.md'), 'utf8')

/** What the page shows, by the name of the file. */
const shown: ReadonlyMap<string, string> = new Map(
  [...page.matchAll(/^`(\/etc\/[^`]+)`:\n\n```\w+\n(.*?)```/gms)].map(([, name = '', text = '']) => [name, text]),
)

function fileOf(name: string): string {
  const text = shown.get(name)
  if (text === undefined) throw new Error(`the page does not show ${name}`)
  return text
}

/** What a service behind nginx does with the certificate that it is handed, where there is no njs: JavaScript. */
export function shownCertificateCheck(): string {
  const [, code] = /```js\n(.*?)```/s.exec(page.slice(page.indexOf('Without njs'))) ?? []
  if (code === undefined) throw new Error('the page does not show what a service does without njs')
  return code
}

export interface ProxySettings {
  /** The files of the SVID, as the watch keeps them. */
  readonly svidFolder: string
  /** Of 127.0.0.1: where it sends what comes in. */
  readonly toPort: number
}

export interface RunningProxy {
  readonly port: number
  /** Shell command for the watch to run when files are new; absent where none is needed. */
  readonly hook?: string
  readonly program: Running
}

export interface ProxyKind {
  /** Lets in whom the page lists, and sends on to a service without TLS. */
  readonly startServer: (stack: AsyncDisposableStack, settings: ProxySettings) => Promise<RunningProxy>
  /** Takes requests without TLS, and sends on to `backend`. */
  readonly startClient: (stack: AsyncDisposableStack, settings: ProxySettings) => Promise<RunningProxy>
}

/** With what of the page stands for something else here. @throws {Error} where the page has not got one of these */
function replaceAll(text: string, replacements: Readonly<Record<string, string>>): string {
  return Object.entries(replacements).reduce((changed, [from, to]) => {
    if (!changed.includes(from)) throw new Error(`the page does not say ${from}`)
    return changed.replaceAll(from, to)
  }, text)
}

async function waitForPort(program: Running, port: number): Promise<void> {
  await poll(`a listener at ${port}`, 15_000, async () => {
    program.alive()
    const { promise, resolve } = Promise.withResolvers<true | undefined>()
    const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(undefined))
    const answer = await promise
    socket.destroy()
    return answer
  })
}

/** @param changes To the server of the page. */
export async function findNginx(changes: Readonly<Record<string, string>> = {}): Promise<ProxyKind> {
  const found = await part('nginx.sh')

  async function startNginx(stack: AsyncDisposableStack, port: number, site: string): Promise<RunningProxy> {
    const folder = await makeFolder(stack)
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${name};`)
    await writeFile(join(folder, 'svid.js'), fileOf('/etc/nginx/svid.js'))
    const config = join(folder, 'nginx.conf')
    const main = `
load_module ${found}/usr/lib/nginx/modules/ngx_http_js_module.so;
user root;
worker_processes 1;
pid nginx.pid;
error_log stderr notice;
events {}
http { access_log off; ${temporary.join(' ')} ${site.replaceAll('/etc/nginx', folder)} }
`
    await writeFile(config, main)
    const command = join(found, 'usr/sbin/nginx')
    const args = ['-p', folder, '-c', config]
    await runOk(command, ['-t', '-q', ...args])
    const program = start(stack, command, [...args, '-g', 'daemon off;'])
    // Killed, it would leave its workers.
    stack.defer(program.end)
    await waitForPort(program, port)
    return { port, program, hook: `${command} -s reload ${args.join(' ')}` }
  }

  return {
    async startServer(stack, { svidFolder, toPort }) {
      const [port = 0] = await freePorts(1)
      const site = replaceAll(fileOf('/etc/nginx/conf.d/backend.conf'), {
        'listen 8443': `listen 127.0.0.1:${port}`,
        '127.0.0.1:8080': `127.0.0.1:${toPort}`,
        '/run/svid': svidFolder,
        ...changes,
      })
      return startNginx(stack, port, site)
    },
    async startClient(stack, { svidFolder, toPort }) {
      const [port = 0] = await freePorts(1)
      const site = replaceAll(fileOf('/etc/nginx/conf.d/to-backend.conf'), {
        '127.0.0.1:8081': `127.0.0.1:${port}`,
        'backend.internal:8443': `127.0.0.1:${toPort}`,
        '/run/svid': svidFolder,
      })
      return startNginx(stack, port, site)
    },
  }
}

/** With the bundles of two trust domains, and one workload of the other that may come in. */
export const findFederatedEnvoy = (): Promise<ProxyKind> =>
  findEnvoy('bundles.yaml', {
    'prefix: spiffe://example.org/ns/reports/sa/': 'exact: spiffe://partner.example/payments',
  })

/** @param bundles The file of the page that says whom to trust. @param matchers Others than those of the page. */
export async function findEnvoy(
  bundles: 'bundle.yaml' | 'bundles.yaml' = 'bundle.yaml',
  matchers: Readonly<Record<string, string>> = {},
): Promise<ProxyKind> {
  const environment = await part('python-environment.sh', 'test/interop/python/envoy.txt')
  const where = ['-c', 'import envoy; print(envoy.__path__[0])']
  const package_ = (await runOk(join(environment, 'bin/python'), where)).trim()

  async function startEnvoy(stack: AsyncDisposableStack, svidFolder: string, port: number, text: string) {
    const folder = await makeFolder(stack)
    const local = (name: string) => fileOf(`/etc/envoy/${name}`).replaceAll('/run/svid', svidFolder)
    await writeFile(join(folder, 'svid.yaml'), local('svid.yaml'))
    await writeFile(join(folder, 'bundle.yaml'), local(bundles))
    await writeFile(join(folder, 'envoy.yaml'), text.replaceAll('/etc/envoy', folder))
    const args = ['-c', join(folder, 'envoy.yaml'), '--disable-hot-restart', '--concurrency', '1', '-l', 'warning']
    const program = start(stack, join(package_, '_bin/envoy'), args)
    await waitForPort(program, port)
    return { port, program }
  }

  return {
    async startServer(stack, { svidFolder, toPort }) {
      const [port = 0] = await freePorts(1)
      const text = replaceAll(fileOf('/etc/envoy/backend.yaml'), {
        'address: 0.0.0.0, port_value: 8443': `address: 127.0.0.1, port_value: ${port}`,
        'port_value: 8080': `port_value: ${toPort}`,
        ...matchers,
      })
      return startEnvoy(stack, svidFolder, port, text)
    },
    async startClient(stack, { svidFolder, toPort }) {
      const [port = 0] = await freePorts(1)
      const text = replaceAll(fileOf('/etc/envoy/to-backend.yaml'), {
        'port_value: 8081': `port_value: ${port}`,
        'address: backend.internal, port_value: 8443': `address: 127.0.0.1, port_value: ${toPort}`,
      })
      return startEnvoy(stack, svidFolder, port, text)
    },
  }
}
