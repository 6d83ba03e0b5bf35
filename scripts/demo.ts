/**
 * `npm run demo`: both examples, for somebody who sees SPIFFE for the first time.
 *
 * @module
 */
import { join } from 'node:path'
import { run as runMutualTls } from '../examples/01-mtls-microservices/run.ts'
import { run as runJwtSvid } from '../examples/02-api-with-jwt-svid/run.ts'
import { createNarrator, type Narrator } from '../examples/support/narrator.ts'
import { invocationOf } from '../src/cli/invocation.ts'

const mainFile = join(import.meta.dirname, '../src/cli/main.ts')

function introduce(narrator: Narrator): void {
  narrator.title('Apostille: a proof goes in, a short-lived credential comes out')
  narrator.say(`Programs that talk to each other have to know who is at the other end. The usual answer is a secret: an API key,
    a password, a certificate that somebody copied into a file. Secrets leak, expire at night, and nobody knows who has them.`)
  narrator.say(`A workload has an identity already, though: its platform knows what it is running. Apostille takes the
    platform's word as the proof, decides by rules that you write, and gives the workload a credential that is good for
    minutes or hours. No secret is handed out first, and none is kept in a file. Three words are all you need:`)
  narrator.values({
    'SPIFFE ID': 'the name of a workload, such as spiffe://example.org/ns/payments/sa/payments-api',
    SVID: 'a credential that holds such a name: a certificate (X.509-SVID) or a token (JWT-SVID)',
    bundle: 'the public keys of a trust domain, here example.org, with which SVIDs are verified',
  })
  narrator.say(`Everything below really happens, on this computer and nowhere else: real processes, real TLS, a temporary
    folder. It takes about half a minute and clears up after itself.`)
}

function conclude(narrator: Narrator): void {
  narrator.title('That was it')
  narrator.say(`Two services and an API got along without a secret in a file: certificates changed while requests flowed,
    a valid certificate with the wrong name was turned away, and every credential is on record.`)
  narrator.say('What to do next:')
  narrator.values({
    'get an SVID yourself': `${invocationOf(mainFile)} dev   (prints commands to paste)`,
    'read how it was done': 'examples/01-mtls-microservices and examples/02-api-with-jwt-svid',
    'run it in your cluster': 'README.md, "For a Kubernetes cluster"',
  })
}

async function demonstrate(narrator: Narrator): Promise<void> {
  introduce(narrator)
  narrator.title('Part 1 of 2: two services that trust each other by name')
  await runMutualTls(narrator)
  narrator.title('Part 2 of 2: an API that decides by the claims of a token')
  await runJwtSvid(narrator)
  conclude(narrator)
}

try {
  await demonstrate(createNarrator())
} catch (error) {
  console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
