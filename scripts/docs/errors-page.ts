/**
 * Makes `docs/errors.md`: every code with its cause and its remedy. The compiler wants a row for each code of the gateway,
 * of the specifications, of the store and of the SDK; a test looks for those of the commands.
 *
 * @module
 */
import { type RefusalCode, refusals } from '../../src/core/refusal.ts'
import type { StoreErrorCode } from '../../src/core/store.ts'
import { oauthErrors, unsupportedGrantType } from '../../src/http/routes/token.ts'
import type { ProtocolErrorCode } from '../../src/protocol/errors.ts'
import type { LocalErrorCode } from '../../src/sdk/apostille-error.ts'

/** Markdown, each of one line. */
type Row = readonly [cause: string, remedy: string]

const byRequestId = '`apostille records list --request-id ID`'

export const refusalRows: Readonly<Record<RefusalCode, Row>> = {
  malformed_request: [
    'A field is missing, unknown, or of the wrong form; or more was asked for than the rule gives, such as a `ttl_seconds` above its `jwt_ttl`.',
    '`detail` of the answer names the field.',
  ],
  proof_rejected: [
    'The proof is expired, for another audience, signed by an unknown key, spent, revoked, or of a kind that nobody takes. All look alike to the caller.',
    `Operator: ${byRequestId} says which, and [the table below](#reasons-on-record) what helps. Caller: read the token file anew for each request.`,
  ],
  not_entitled: [
    'The proof is good. No rule makes this identity of it, no rule or policy gives what was asked for, or a `forbid` holds.',
    '`apostille explain ID` shows each rule and policy, and which comparison did not hold.',
  ],
  not_found: [
    'No such path, target, secret, authority or token. A path may be below that of the `issuer`.',
    'Compare the name with the configuration; of an HTTP path with [the API](http-api.md).',
  ],
  method_not_allowed: ['The path exists and takes other methods.', '`Allow` of the answer lists them.'],
  conflict: [
    'Something changed meanwhile, or is not ready yet: another version of a secret, a successor that verifiers have not seen.',
    '`detail` says what is otherwise. Look again, then decide.',
  ],
  too_large: ['The body has more than 128 KiB.', 'Ask for less at once; a batch takes 100 requests.'],
  unsupported_media_type: [
    'The body is neither of the type that this route reads.',
    'Send `Content-Type: application/json`; `/token` takes a form.',
  ],
  headers_too_large: ['The headers have more than 16 KiB.', 'Send one proof, and no cookies.'],
  request_timeout: ['The request did not arrive within its time.', 'Look at the network between; send it again.'],
  too_many: [
    'This identity had more than `limits.per_identity` in this minute.',
    'Wait as long as `Retry-After` says. Keep what you have: an SVID is good until it expires.',
  ],
  internal: [
    'A bug, of which the caller is told nothing.',
    'The log has it under the request id. A restart is safe. Please report it.',
  ],
  upstream_failed: [
    'A service that this depends on did not answer or refused: the keys of an issuer, TokenReview, STS, a cloud.',
    `${byRequestId} says which; \`apostille doctor\`, or \`apostille doctor --target NAME\`, walks the way to it.`,
  ],
  no_authority: [
    'No key may sign: the first ones are being made, the store was not readable for a minute, the upstream certificate has ended, or the clock jumped.',
    '`apostille authority list` and the log. It goes on by itself once the cause is gone.',
  ],
  overloaded: [
    'More requests came than can be answered in time. Nothing was begun.',
    'Try again after `Retry-After`. Operator: [more replicas or workers](high-availability.md), and a look at who asks in a loop.',
  ],
  store_unavailable: [
    'The record could not be kept, so nothing was issued: a full disk, a database that is away or read-only.',
    'Operator: make room or bring the database back; [what holds meanwhile](high-availability.md#what-fails-and-what-holds). Caller: try again after `Retry-After`.',
  ],
}

export const protocolRows: Readonly<Record<ProtocolErrorCode, Row>> = {
  encoding: [
    'Something is not the base64url, base64 or hex that it has to be.',
    'Look for a line end or blank in the token file.',
  ],
  json: ['Not JSON, or JSON that could be read in two ways, such as a repeated member.', 'Look at who wrote it.'],
  der: [
    'A certificate, key or request is not well-formed.',
    'Make it anew; `openssl asn1parse` shows where it breaks.',
  ],
  pem: [
    'No PEM block of the expected kind.',
    'Look at the file: `-----BEGIN CERTIFICATE-----` or the like is expected.',
  ],
  algorithm: [
    'An algorithm that is not taken: `none`, HMAC, or one that does not fit the key.',
    'Have the issuer sign with `RS256`, `ES256` or `ES384`.',
  ],
  trust_domain_name: ['Not the name of a trust domain.', 'Lower case letters, digits, `.`, `-` and `_`.'],
  spiffe_id_scheme: ['A SPIFFE ID that does not begin with `spiffe://`.', 'Write it in full.'],
  spiffe_id_path: [
    'A path with an empty segment, `.`, `..`, a slash at its end, or other characters.',
    'Correct the ID, or the template that made it.',
  ],
  spiffe_id_too_long: ['A SPIFFE ID above 2,048 bytes.', 'Put less into the path.'],
  jwk: [
    'A public key that can not be used, such as one without `kid` or of an unknown curve.',
    'Look at the key set: `apostille doctor` names the issuer.',
  ],
  jws: ['The bearer is no compact JWT.', 'Send the token itself: no quotes, no JSON around it, nothing cut off.'],
  jws_header: [
    'The header has what is not taken, such as another `typ` or a `crit`.',
    'Have a token made for this purpose: an access token of another service is none.',
  ],
  jws_signature: [
    'No key that is known has signed this.',
    'The issuer has new keys that it does not publish yet; it is another issuer of the same name; or of a SPIFFE peer: `apostille federation refresh NAME`.',
  ],
  jwt_claims: [
    'A claim is missing or of the wrong type, such as `exp`.',
    'Compare the token with what [its preset](configuration.md#presets) wants.',
  ],
  jwt_expired: [
    'The token has ended.',
    'Read the file anew for each request. If it is fresh: the clocks, `apostille doctor`.',
  ],
  jwt_not_yet_valid: ['The token begins in the future.', 'The clocks: `apostille doctor`.'],
  jwt_audience: [
    'The token was made for somebody else.',
    'Its `aud` has to be the `audience` of the authenticator, letter by letter: of an SVID our `issuer`.',
  ],
  jwt_subject: ['`sub` is no SPIFFE ID where one has to be.', 'Such a token goes to an `oidc` authenticator.'],
  bundle: ['Not a SPIFFE bundle.', 'Ask `/v1/bundle`, and of SPIRE `bundle show -format spiffe`.'],
  certificate: ['Not a certificate that can be read.', 'Send the leaf first, as PEM or DER.'],
  certificate_request: [
    'The CSR can not be read or is too large.',
    'Make one with [these commands](http-api.md#post-v1svidx509).',
  ],
  certificate_request_signature: ['The CSR is not signed by the key in it.', 'Make it anew with the key at hand.'],
  certificate_key: [
    'A key of another kind, too short, or of another certificate.',
    'EC P-256, P-384, P-521 or RSA from 2,048 bits; key and certificate have to go together.',
  ],
  certificate_path: [
    'The certificate leads to no authority that is trusted.',
    'Send the intermediates along. Else the authority was tainted or revoked, or the bundle held is old: `apostille federation list`.',
  ],
  certificate_expired: [
    'The certificate has ended.',
    'Renew before: half of the lifetime is usual. Once it has ended the workload proves itself anew.',
  ],
  certificate_not_yet_valid: ['The certificate begins in the future.', 'The clocks: `apostille doctor`.'],
  certificate_signature: [
    'A certificate is not signed by the one above it.',
    'Look at the order and the contents of the chain.',
  ],
  x509_svid: [
    'A certificate that is no X.509-SVID: no URI or several, a CA as leaf, or without the usages.',
    'Show an SVID; `openssl x509 -noout -text` shows what it is.',
  ],
  token_exchange: [
    'The parameters of `/token` are not those of RFC 8693.',
    'Compare with [the example](http-api.md#post-token).',
  ],
  join_token: ['Not a join token: cut short or mistyped, as its checksum says.', 'Copy it whole: `apo_join_…`.'],
  oidc_discovery: [
    'The discovery document of an issuer is not usable, such as one that names another issuer.',
    'Write `issuer` letter by letter as the document has it.',
  ],
  presigned_identity: ['Not a presigned `GetCallerIdentity` request.', 'Make it with `apostille proof aws`.'],
  presigned_identity_host: [
    'It is for an STS that is not asked here.',
    'Its region has to be among the `regions` of the authenticator.',
  ],
  presigned_identity_expired: ['It was signed more than 15 minutes ago.', 'Make a new one for each request.'],
  presigned_identity_not_yet_valid: ['It was signed in the future.', 'The clock of the machine.'],
}

/** Other reasons that records have, as they begin. */
const reasonRows: readonly (readonly [reason: string, ...Row])[] = [
  [
    '`no authenticator takes this kind of proof or its issuer`',
    'No entry of `authenticators` has this `iss`, or none of its type.',
    'Compare `iss` of the token with `issuer`, letter by letter.',
  ],
  [
    '`there is no bundle of … yet`',
    'The trust domain has neither a first bundle nor an endpoint that answered.',
    '`apostille federation list`, then [the steps](federation.md).',
  ],
  [
    '`the join token has no use left, has expired or is revoked`',
    'It is spent, or older than its `--ttl`.',
    '`apostille join-token list`, and make another one.',
  ],
  [
    '`there are no usable keys of issuer …`',
    'The issuer did not answer, and its last keys are older than `max_stale`.',
    '`apostille doctor` says what stands between.',
  ],
  [
    '`no identity rule gives this proof an identity`',
    'No `when` of a rule for this authenticator holds.',
    '`apostille explain ID` shows the nearest rules, and what each comparison came to.',
  ],
  [
    '`rule … does not list audience …`',
    'The identity is there; its rule does not give tokens for this audience, and no policy does.',
    'Add it to the `audiences` of the rule, or a `permit: jwt_svid`.',
  ],
  [
    '`no policy permits it`',
    'A target, a secret or an audience that nothing opens to this identity.',
    'A [`permit`](configuration.md#policies), if it should have it.',
  ],
  [
    '`forbidden by …`, or the `reason` of a policy',
    'A `forbid` holds, or its condition failed: that forbids as well.',
    '`apostille explain ID` shows it.',
  ],
  [
    '`the identity asked for is none of …`',
    'The proof has other identities than the one that was asked for.',
    '`apostille identities` lists them.',
  ],
]

export const storeRows: Readonly<Record<StoreErrorCode, Row>> = {
  in_use: [
    'Another process has the SQLite file open.',
    'Stop it: one file is for one process. Many share [PostgreSQL](high-availability.md).',
  ],
  not_a_store: [
    'The file is something else, such as a backup.',
    'Look at `store`; a backup becomes a store by `apostille restore`.',
  ],
  newer_version: [
    'A newer version has written it.',
    'Start that version. To go back, restore the backup that was made before the upgrade.',
  ],
  other_purpose: ['It was made by `apostille dev`.', 'Give `serve` a store of its own.'],
  damaged: ['Something that has to be there is not.', 'Restore a backup; keep the file for a closer look.'],
  unavailable: [
    'It can not be read or written now: permissions, a full disk, a lost connection.',
    'The message has what the system said.',
  ],
  read_only: ['It takes no writes: a standby, or made so.', 'Point `store` at the primary.'],
  conflict: [
    'What is to be added is there already.',
    'Start again. If it comes back, two gateways that do not know of each other use one store.',
  ],
}

/** Of `--output json`, where they are none of the gateway's. */
export const commandRows: Readonly<Record<string, Row>> = {
  usage: [
    'The command was used wrongly; the exit code is 2.',
    'The message names the flag, and often the one that was meant. `--help` has an example.',
  ],
  configuration: [
    'The configuration has mistakes, or was not found.',
    '`apostille check` shows all of them with their lines.',
  ],
  file: ['A file can not be read or written, or holds something else.', 'The message has the path and why.'],
  store: ['The store can not be used.', 'The message says what is wrong with it: [one of these](#the-store).'],
  seal_key: [
    'The seal key is missing, malformed, or another one than the store was sealed with.',
    'Put the right one back; nothing is overwritten. Without it [nobody opens the store](backup-and-restore.md).',
  ],
  listen: ['The address can not be listened on.', 'Somebody else has the port, or it needs a privilege.'],
  authority: [
    'There are no signing keys to start with, such as an upstream authority that has ended.',
    'The message names the file or what is wrong with it.',
  ],
  dev: ['`apostille dev` can not use its folder.', 'The message says why; `--dir` names another one.'],
  exists: ['The file is there, and is not overwritten.', 'Name another one, or move it away.'],
  unanswered: ['A question was not answered.', 'Answer it, or give the flag that does.'],
  not_running: [
    'Nothing listens on the admin socket.',
    'Start the gateway, or name its configuration with `--config`.',
  ],
  not_allowed: ['This user may not open the admin socket.', 'Be the user of the gateway, or root.'],
  broken_off: [
    'The connection ended before the answer was whole.',
    'Whether it was done is on record: `apostille records list --from 5m`.',
  ],
  server_unreachable: ['The gateway did not answer.', 'Look at `--server`, name resolution and the network.'],
  server_certificate: [
    'The certificate of the server is not one that is trusted.',
    'Name who vouches for it: `--ca-file`, or `APOSTILLE_CA_FILE`. The operator writes it with `apostille bundle --out ca.pem`.',
  ],
  unexpected_answer: ['What answered is no gateway, or a proxy answered for it.', 'Look at `--server`.'],
  credentials: [
    'AWS gave this machine no credentials to prove itself with.',
    'The message says where was looked; `--profile` names others.',
  ],
  metadata_unreachable: [
    'The metadata service of the cloud did not answer.',
    'Run it on the machine whose identity it is; in a container, look at the hop limit.',
  ],
  metadata_refused: [
    'The metadata service gave no token.',
    'Give the machine an identity; `--client-id` or `--service-account` chooses among several.',
  ],
  command: [
    'A command of `--exec`, a process of `--signal`, or what `exec` was to run could not be reached or failed.',
    'The message has its line.',
  ],
  sync_failed: [
    'A sync did not come to its end.',
    '`apostille sync status NAME`, and [when it does not work](secret-sync.md#when-it-does-not-work).',
  ],
  sync_incomplete: [
    'Some secrets are not as they should be.',
    '`apostille sync status NAME` lists them with what to do.',
  ],
  deletions_held: [
    'A run would remove more than `max_deletions`, and removed nothing.',
    'Look at `apostille sync plan NAME`; if it is right, `apostille sync apply NAME --yes`.',
  ],
  no_such_key: ['This version of the secret has no such key.', '`apostille kv get PATH` shows which it has.'],
  malformed_bundle: [
    'No bundle can be made of these files.',
    'SPIFFE JSON, PEM certificates or a JWK Set are expected.',
  ],
  target_unknown: ['The configuration has no such target.', 'The message lists those that it has.'],
  not_found: refusalRows.not_found,
  internal: ['A bug in the command.', 'Please report what it printed.'],
}

export const sdkRows: Readonly<Record<LocalErrorCode, Row>> = {
  unreachable: ['No answer from the gateway.', 'Try again later; sources of SVIDs do so by themselves.'],
  timeout: ['No answer in time.', 'The same.'],
  unexpected_answer: ['The answer is none of a gateway.', 'Look at `server`.'],
  token: [
    'The proof is missing, not to be had, or no token.',
    'Look at the token file, or at the `cause` of the error.',
  ],
  usage: ['Options that do not fit.', 'The message says which.'],
  not_authorized: [
    'The peer has proven who it is, and is nobody who may be here.',
    'Compare its SPIFFE ID with what `authorize` lets in.',
  ],
  no_svid: ['The peer showed nothing.', 'It has to send a client certificate or a bearer token.'],
  files: ['The SVID files can not be used.', 'The message has the path; `apostille svid x509 --watch` writes them.'],
}

export function buildErrorsPage(): string {
  return `# Errors

Every code, what it means, and what to do. Made of the sources by \`npm run generate\`.

- [What a caller is told](#what-a-caller-is-told): the \`code\` of an answer
- [\`/token\`](#token), which answers as OAuth does
- [Reasons on record](#reasons-on-record): why a proof was not accepted
- [Commands](#commands): the \`code\` of \`--output json\`
- [The store](#the-store)
- [The SDK](#the-sdk)
- Errors of clouds: [credentials](cloud-credentials.md#when-it-does-not-work), [secret sync](secret-sync.md#when-it-does-not-work)

Three commands answer most questions: \`apostille records list --request-id ID\` (what was wrong), \`apostille explain ID\` (which rule or
policy, and which comparison in it), \`apostille doctor\` (clock, files, issuers, certificate, discovery; each finding with its remedy).

## What a caller is told

A caller learns a code and a request id, and not why: whoever tries proofs learns nothing from the answers. Text and status of a code do
not change.

| status | code | cause | what to do |
|---|---|---|---|
${Object.entries(refusals)
  .map(([code, { status }]) => `| ${status} | \`${code}\` | ${refusalRows[code as RefusalCode].join(' | ')} |`)
  .join('\n')}

## \`/token\`

| status | \`error\` | is |
|---|---|---|
${formatOauth()}

## Reasons on record

A record of a refusal has a \`reason\`. Those that begin with a code of a specification:

${table('reason begins with', Object.entries(protocolRows))}

Others:

| reason begins with | cause | what to do |
|---|---|---|
${reasonRows.map((row) => `| ${row.join(' | ')} |`).join('\n')}

## Commands

The exit code is 0 when it was done, 1 when it was refused or failed, 2 when it was used wrongly. With \`--output json\` an error is one line on
standard error, and its \`code\` is one of those [a caller is told](#what-a-caller-is-told), or one of these:

${table('code', Object.entries(commandRows))}

## The store

What is wrong with a store is said, in words, by a start that fails, and by the log of a gateway that runs.

${table('what', Object.entries(storeRows))}

## The SDK

An \`ApostilleError\` has a \`code\` that [a caller is told](#what-a-caller-is-told), or one that the SDK found by itself:

${table('code', Object.entries(sdkRows))}
`
}

function table(what: string, rows: readonly (readonly [code: string, row: Row])[]): string {
  const lines = rows.map(([code, row]) => `| \`${code}\` | ${row.join(' | ')} |`)
  return [`| ${what} | cause | what to do |`, '|---|---|---|', ...lines].join('\n')
}

/** Which refusals each of OAuth's errors stands for. */
function formatOauth(): string {
  const all = Object.entries({ ...oauthErrors, unsupported_grant_type: unsupportedGrantType })
  const groups = Map.groupBy(all, ([, { error, status }]) => `${status} | \`${error}\``)
  const said = (codes: readonly string[]) =>
    codes.includes('unsupported_grant_type')
      ? 'a `grant_type` other than that of token exchange'
      : codes.map((code) => `\`${code}\``).join(', ')
  return [...groups].map(([key, entries]) => `| ${key} | ${said(entries.map(([code]) => code))} |`).join('\n')
}
