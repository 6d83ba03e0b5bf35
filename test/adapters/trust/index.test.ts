import { expect, test } from 'vitest'
import { findUnreachableIssuer } from '../../../src/adapters/trust/index.ts'

test.each([
  ['https://id.example.org', true],
  ['https://id.example.org:8443/td', true],
  ['https://9.9.9.9', true],
  ['https://10.0.0.1', false],
  ['https://[::1]', false],
  ['https://[2620:fe::fe]', true],
  ['https://localhost', false],
  ['https://id', false],
  ['https://id.corp.internal', false],
  ['https://id.local', false],
  ['https://internal.example.org', true],
])('whether the internet knows the host of %s: %s', (issuer, isKnown) => {
  expect(findUnreachableIssuer(issuer).map(({ code }) => code)).toEqual(isKnown ? [] : ['issuer_not_public'])
})
