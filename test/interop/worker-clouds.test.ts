/** The clouds' libraries in workerd, against doubles that check what the clouds check. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Clouds, issuer, roleArn, startClouds } from '../support/clouds-world.ts'
import { createTestAuthority } from '../support/tls.ts'
import { createOutbound, startTestWorker, type TestWorker } from '../support/worker-subject.ts'

let clouds: Clouds
let worker: TestWorker

beforeAll(async () => {
  const authority = await createTestAuthority('public CA')
  const resolve: Record<string, string> = {}
  clouds = await startClouds({ authority, publicCas: [authority.ca], resolve, now: () => new Date() })
  clouds.knowSubjects(['spiffe://example.org/ci/build'])
  // A Worker trusts the public authorities alone: here they are those of the doubles.
  const targets = Object.fromEntries(
    Object.entries(clouds.targets).map(([name, { ca_file: _, ...target }]) => [name, target]),
  )
  const policies = [{ permit: 'exchange', to: '*', when: 'true' }]
  const tls = await authority.issue(['id.example.org'])
  worker = await startTestWorker({ targets, policies }, { tls, outbound: createOutbound(authority.ca) })
  resolve['id.example.org'] = `127.0.0.1:${worker.url.port}`
})

afterAll(async () => {
  await worker.close()
  await clouds.close()
})

test.each([
  ['aws', { RoleArn: roleArn, AccessKeyId: expect.any(String), Token: expect.any(String) }],
  ['azure', { access_token: expect.any(String), token_type: 'Bearer' }],
  ['gcp', { access_token: expect.any(String), token_type: 'Bearer' }],
])('a proof becomes a credential of %s', async (target, expected) => {
  const authorization = `Bearer ${worker.issuer.token({ aud: issuer })}`
  const answer = await worker.ask(`/v1/credentials/${target}`, { headers: { authorization } })
  expect([answer.status, JSON.parse(answer.text)]).toMatchObject([200, expected])
})
