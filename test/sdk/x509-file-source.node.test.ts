import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { writeSvidFolder } from '../../src/cli/svid-folder.ts'
import { createX509FileSource, type X509FileSourceOptions, type X509Source } from '../../src/node.ts'
import { formatPem } from '../../src/protocol/encoding.ts'
import { formatTrustBundle } from '../../src/protocol/trust-bundle.ts'
import { makeFolder } from '../cli/run-cli.ts'
import { authorityOf, bundleOf, svidOf } from '../support/own-source.ts'
import { handClock } from '../support/sdk-gateway.ts'

const ours = authorityOf('example.org')
const uri = 'spiffe://example.org/web'
const newMaterial = () => ({ svid: svidOf(ours, uri), bundles: [bundleOf('example.org', ours)] })

const cleanups: (() => void)[] = []
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean()
})

function newFolder(): string {
  const folder = makeFolder()
  cleanups.push(folder.remove)
  return folder.path
}

async function open(options: X509FileSourceOptions): Promise<X509Source> {
  const source = await createX509FileSource(options)
  cleanups.push(source.close)
  return source
}

const failure = (work: Promise<unknown>) => work.catch((thrown: unknown) => thrown)

describe('a folder', () => {
  test('is followed as it is replaced', async () => {
    const folder = newFolder()
    const [first, second] = [newMaterial(), newMaterial()]
    await writeSvidFolder(folder, first)
    const clock = handClock()
    const source = await open({ folder, ...clock })
    expect(source.svid()).toEqual(first.svid)
    expect(source.bundles().map(({ trustDomain }) => trustDomain)).toEqual(['example.org'])
    await writeSvidFolder(folder, second)
    const told = Promise.all([once(source.events, 'svid'), once(source.events, 'bundles')])
    clock.pass(2_000)
    await told
    expect(source.svid()).toEqual(second.svid)
  })

  test('that did not change is no news', async () => {
    const folder = newFolder()
    await writeSvidFolder(folder, newMaterial())
    const source = await open({ folder })
    const before = source.svid()
    await source.refresh()
    expect(source.svid()).toBe(before)
  })

  test('that can not be used meanwhile leaves what was read, and is told', async () => {
    const folder = newFolder()
    await writeSvidFolder(folder, newMaterial())
    const clock = handClock()
    const source = await open({ folder, ...clock })
    const before = source.svid()
    rmSync(join(folder, 'svid.key'))
    writeFileSync(join(folder, 'svid.pem'), 'half')
    const told = once(source.events, 'failure')
    clock.pass(2_000)
    expect((await told)[0]).toMatchObject({ code: 'files' })
    expect(source.svid()).toBe(before)
    await expect(source.refresh()).rejects.toMatchObject({ code: 'files' })
    await writeSvidFolder(folder, newMaterial())
    await source.refresh()
    expect(source.svid()).not.toBe(before)
  })
})

describe('files', () => {
  /** As other programs write them. */
  function write(changes: Readonly<Record<string, string>> = {}) {
    const folder = newFolder()
    const { svid } = newMaterial()
    const partner = bundleOf('partner.example', authorityOf('partner.example'))
    const texts: Readonly<Record<string, string>> = {
      'svid.0.pem': svid.certificates,
      'svid.0.key': svid.privateKey,
      'bundle.0.pem': formatPem('CERTIFICATE', ours.der),
      'partner.json': formatTrustBundle(partner),
      ...changes,
    }
    for (const [name, content] of Object.entries(texts)) writeFileSync(join(folder, name), content)
    const files = {
      certFile: join(folder, 'svid.0.pem'),
      keyFile: join(folder, 'svid.0.key'),
      bundleFile: join(folder, 'bundle.0.pem'),
      federatedBundles: { 'partner.example': join(folder, 'partner.json') },
    }
    return { svid, files }
  }

  test('may have any name, and bundles either form', async () => {
    const { svid, files } = write()
    const source = await open({ files })
    expect(source.svid()).toEqual(svid)
    expect(source.bundles().map(({ trustDomain }) => trustDomain)).toEqual(['example.org', 'partner.example'])
  })

  test.each([
    ['a key of another certificate', { 'svid.0.key': newMaterial().svid.privateKey }, 'another key'],
    ['a key that is none', { 'svid.0.key': 'secret' }, 'the key is no PEM'],
    ['a certificate that is none', { 'svid.0.pem': 'x' }, 'no CERTIFICATE block'],
    ['a bundle that is none', { 'bundle.0.pem': '{}' }, 'no keys'],
  ])('%s is told by its file, and not quoted', async (_, changes, why) => {
    const { files } = write(changes)
    const error = await failure(open({ files }))
    expect(error).toMatchObject({ code: 'files', message: expect.stringContaining(why) })
    expect(String(error)).not.toContain('secret')
  })

  test('one that is not there is named', async () => {
    const { files } = write()
    rmSync(files.bundleFile)
    expect(await failure(open({ files }))).toMatchObject({
      code: 'files',
      message: expect.stringContaining(`${files.bundleFile} is not there (ENOENT)`),
    })
  })

  test('are named one way or the other', async () => {
    const { files } = write()
    expect(await failure(open({}))).toMatchObject({ code: 'usage' })
    expect(await failure(open({ folder: '.', files }))).toMatchObject({ code: 'usage' })
  })
})
