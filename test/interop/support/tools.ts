/**
 * What the machine must have beside Node and npm. A test file whose tool is missing is left out with one line that says so; with
 * `CI=true` that is a failure.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'

interface Tool {
  readonly name: string
  /** A command that succeeds where the tool can be used. */
  readonly probe: readonly [string, ...string[]]
  /** Of the first number in its output; checked where it is given. */
  readonly atLeast?: readonly [major: number, minor: number]
}

const tools = {
  go: { name: 'Go 1.26', probe: ['go', 'version'], atLeast: [1, 26] },
  gcc: { name: 'gcc', probe: ['gcc', '--version'] },
  git: { name: 'git', probe: ['git', '--version'] },
  flock: { name: 'flock', probe: ['flock', '--version'] },
  buildah: { name: 'buildah', probe: ['scripts/debian-program.sh', 'buildah', 'buildah'] },
  systemd: {
    name: 'systemd-analyze 252',
    probe: ['sh', '-c', '"$(scripts/debian-program.sh systemd-analyze systemd)" --version'],
  },
  mounts: { name: 'root with mounts of its own', probe: ['sh', '-c', 'test "$(id -u)" = 0 && unshare --mount true'] },
  chromium: { name: 'Chromium', probe: ['scripts/chromium.sh'] },
  x64: { name: 'Linux on x86-64', probe: ['sh', '-c', 'test "$(uname -sm)" = "Linux x86_64"'] },
  openssl: { name: 'OpenSSL 3.0', probe: ['openssl', 'version'], atLeast: [3, 0] },
  python: {
    name: 'Python 3.11 with venv',
    probe: ['python3', '-c', 'import ensurepip, platform, venv; print(platform.python_version())'],
    atLeast: [3, 11],
  },
  java: { name: 'Java 17', probe: ['javac', '--version'], atLeast: [17, 0] },
  maven: { name: 'Maven 3.8', probe: ['mvn', '--version'], atLeast: [3, 8] },
  debian: { name: 'Debian with apt-get', probe: ['sh', '-c', 'command -v apt-get && command -v dpkg-deb'] },
  rust: { name: 'Rust 1.88', probe: ['cargo', '--version'], atLeast: [1, 88] },
} as const satisfies Record<string, Tool>

/** By test file. */
const needed: Readonly<Record<string, readonly (keyof typeof tools)[]>> = {
  'test/interop/kubernetes.test.ts': ['go', 'flock'],
  'test/interop/go-spiffe.test.ts': ['go', 'flock'],
  'test/interop/examples.test.ts': ['go', 'python', 'flock', 'gcc'],
  'test/interop/verify-jwt-svid.test.ts': ['go', 'python', 'java', 'maven', 'rust', 'flock', 'gcc'],
  'test/interop/mtls-proxies.test.ts': ['debian', 'openssl', 'python', 'x64', 'flock'],
  'test/interop/python.test.ts': ['python', 'flock'],
  'test/interop/cloud-python.test.ts': ['python', 'flock'],
  'test/interop/moto.test.ts': ['python', 'flock'],
  'test/interop/cloud-kubernetes.test.ts': ['go', 'flock'],
  'test/interop/console.test.ts': ['chromium'],

  'test/interop/deploy.test.ts': ['go', 'flock'],
  'test/interop/openssl.test.ts': ['openssl'],
  'test/interop/postgres-store.test.ts': ['flock'],
  'test/interop/postgres-statements.test.ts': ['flock'],
  'test/interop/standby.test.ts': ['flock'],
  'test/interop/postgres-upgrade.test.ts': ['flock'],
  'test/interop/replicas.test.ts': ['flock'],
  'test/interop/workers.test.ts': ['flock'],
  'test/interop/postgres-server.test.ts': ['flock', 'openssl'],
  'test/interop/openapi-fuzz.test.ts': ['python', 'flock'],
  'test/interop/telemetry.test.ts': ['go', 'python', 'flock'],
  'test/interop/package.test.ts': ['flock', 'x64'],
  'test/interop/installed.test.ts': ['flock'],
  'test/interop/release.test.ts': ['git'],
  'test/interop/systemd.test.ts': ['systemd'],
  'test/interop/image.test.ts': ['buildah', 'mounts'],
  'test/interop/spire-smoke.test.ts': ['go', 'flock', 'gcc'],
  'test/interop/spire-federation.test.ts': ['go', 'flock', 'gcc'],
  'test/interop/spire-bundle.test.ts': ['go', 'flock', 'gcc'],
  'test/interop/spire-rotation.test.ts': ['go', 'flock', 'gcc'],
  'test/interop/spire-follows-us.test.ts': ['go', 'flock', 'gcc'],
  'test/interop/spire-oidc.test.ts': ['go', 'flock', 'gcc'],
  'test/interop/spire-upstream.test.ts': ['go', 'flock', 'gcc', 'openssl'],
  'test/interop/vault.test.ts': ['go', 'flock'],
  'test/interop/vault-sync.test.ts': ['go', 'flock'],
}

/** @throws {Error} with `CI=true`, when anything would be left out */
export function excludedForWantOfTools(): readonly string[] {
  const missing = new Set(Object.entries(tools).flatMap(([key, tool]) => (isThere(tool) ? [] : [key])))
  const lines = Object.entries(needed).flatMap(([file, keys]) => {
    const names = keys.filter((key) => missing.has(key)).map((key) => tools[key].name)
    return names.length > 0 ? [{ file, line: `${file} is left out: it needs ${names.join(' and ')}` }] : []
  })
  if (lines.length === 0) return []
  if (process.env['CI'] === 'true') throw new Error(lines.map(({ line }) => line).join('\n'))
  for (const { line } of lines) console.warn(line)
  return lines.map(({ file }) => file)
}

function isThere({ probe: [command, ...args], atLeast }: Tool): boolean {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) return false
  if (atLeast === undefined) return true
  const [, major = 0, minor = 0] = (/(\d+)\.(\d+)/.exec(stdout) ?? []).map(Number)
  return major > atLeast[0] || (major === atLeast[0] && minor >= atLeast[1])
}
