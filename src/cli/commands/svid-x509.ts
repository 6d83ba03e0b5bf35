/**
 * `apostille svid x509`
 *
 * @module
 */
import { type Command, Option } from 'commander'
import { type Certificate, parseCertificate } from '../../protocol/certificate.ts'
import { formatHex, parsePem } from '../../protocol/encoding.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import { makeKey, type NewKey, requestText } from '../../sdk/new-key.node.ts'
import { CliError, usageError } from '../cli-error.ts'
import { makeFolder, writeFilesWhole } from '../files.ts'
import { act, examples, withProof } from '../options.ts'
import { formatFields, formatMoment } from '../output.ts'
import { withHooks } from '../renewal-hook.ts'
import { openServerWithProof, readJsonAnswer } from '../server-call.ts'
import { svidFilesOf } from '../svid-folder.ts'
import { collect, parseDuration } from '../values.ts'
import { checkWatchFlags, type WatchFlags } from '../watch.ts'
import type { WatchX509Options } from '../watch-x509.ts'

type X509SvidOptions = WatchX509Options & WatchFlags

interface X509SvidDocument {
  readonly spiffe_id: string
  readonly certificates: string
  readonly bundle: string
  readonly expires_at: string
}

export function define(command: Command): void {
  command.description(
    'Get an X.509-SVID, or renew one that is the proof itself. The key is made here and never leaves this machine. DIR gets svid.pem (leaf first, 0644), svid.key (PKCS#8, 0600) and bundle.pem (0644), each by rename; with --watch they are links, and one rename makes all of them new.',
  )
  withHooks(
    withProof(command)
      .option('--out <dir>', 'folder for the files; made when it is not there. This or --watch is required')
      .option(
        '--watch <dir>',
        'keep the files of this folder fresh until stopped: renewed at half of their life, with what is there as the proof (default: --out, once)',
      ),
  )
    .addOption(
      new Option(
        '--federated <trust-domain>',
        'with --watch: keep its bundle as well, as federated/<trust-domain>.pem; may be given again (default: none)',
      ).argParser(collect),
    )
    .option(
      '--renew-after <duration>',
      'with --watch: renew so long after the SVID came (default: half of its life)',
      parseDuration,
    )
    .addOption(
      new Option('--key-type <type>', 'kind of key').choices(['ec-p256', 'ec-p384', 'rsa-2048']).default('ec-p256'),
    )
    .option('--spiffe-id <id>', 'which of the identities of the proof (default: the first)')
    .option('--ttl <duration>', "how long it lives, such as 1h (default: the rule's x509_ttl)", parseDuration)
  examples(
    command,
    'svid x509 --out ./svid --server https://id.example.org --token-file /var/run/token',
    'svid x509 --out ./svid --server https://id.example.org --cert-file svid/svid.pem --key-file svid/svid.key',
    'svid x509 --watch /run/svid --server https://id.example.org --token-file /var/run/token --signal /run/nginx.pid',
  ).addHelpText('after', helpOnWatch)
  act<X509SvidOptions>(command, async (output, options) => {
    checkWatchFlags(options)
    const { out, watch, federated } = options
    if (watch !== undefined) return (await import('../watch-x509.ts')).watchX509(output, options, watch)
    if (out === undefined) throw usageError('--out or --watch is missing: give a folder for the files')
    if (federated !== undefined) throw usageError('--federated goes with --watch')
    const call = await openServerWithProof(options)
    const key = await makeKey(options.keyType)
    const body = { csr: await requestText(key), spiffe_id: options.spiffeId, ttl_seconds: options.ttl }
    const svid = readJsonAnswer<X509SvidDocument>(await call({ method: 'POST', path: '/v1/svid/x509', body }))
    const leaf = checkAnswer(svid, key)
    const files = await save(out, svid, key)
    const serialNumber = formatHex(leaf.serialNumber)
    output.result({ spiffe_id: svid.spiffe_id, serial_number: serialNumber, expires_at: svid.expires_at, files }, () =>
      formatFields([
        ['spiffe id', svid.spiffe_id],
        ['serial number', serialNumber],
        ['expires', formatMoment(leaf.notAfter, new Date())],
        ['certificate', files.certificate],
        ['key', files.key],
        ['bundle', files.bundle],
      ]),
    )
  })
}

const helpOnWatch = `
With --watch it ends with 0 when it is stopped (SIGTERM, SIGINT), and with 1 when it can not begin. While the gateway is away
it goes on with what is there, says so, and tries again. --exec and --signal come whenever the files are new, the first time
included. Stopped and started again, it goes on where it was, without the first proof. With --output json each renewal is one line.`

/** The leaf, when it is for our key and says the SPIFFE ID that the answer says. */
function checkAnswer(svid: X509SvidDocument, { publicKeyInfo }: NewKey): Certificate {
  const leaf = readLeaf(svid.certificates)
  if (leaf === undefined) throw new CliError('the answer holds no certificate', { code: 'unexpected_answer' })
  if (!leaf.publicKeyInfo.equals(publicKeyInfo))
    throw new CliError('the certificate of the answer is not for the key that was sent', { code: 'unexpected_answer' })
  if (leaf.subjectAltName?.uris.join() !== svid.spiffe_id)
    throw new CliError('the certificate of the answer is not for its SPIFFE ID', { code: 'unexpected_answer' })
  return leaf
}

function readLeaf(certificates: unknown): Certificate | undefined {
  try {
    const [der] = parsePem('CERTIFICATE', String(certificates))
    return der && parseCertificate(der)
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}

/** The certificate goes after its key: whoever waits for it finds the key there. */
async function save(folder: string, svid: X509SvidDocument, { privateKey }: NewKey) {
  const files = svidFilesOf(folder)
  await makeFolder(folder)
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  await writeFilesWhole(folder, [
    { path: files.key, content: key, mode: 0o600 },
    { path: files.certificate, content: svid.certificates, mode: 0o644 },
    { path: files.bundle, content: svid.bundle, mode: 0o644 },
  ])
  return files
}
