import { X509Certificate } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { svidFilesOf, writeSvidFolder } from '../../src/cli/svid-folder.ts'
import { readX509Folder } from '../../src/sdk/x509-folder.node.ts'
import { authorityOf, bundleOf, svidOf } from '../support/own-source.ts'
import { makeFolder } from './run-cli.ts'

const ours = authorityOf('example.org')
const partner = authorityOf('partner.example')
const uri = 'spiffe://example.org/web'
const newMaterial = () => ({ svid: svidOf(ours, uri), bundles: [bundleOf('example.org', ours)] })

const folders: ReturnType<typeof makeFolder>[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) folder.remove()
})

function newFolder() {
  const folder = makeFolder()
  folders.push(folder)
  return join(folder.path, 'svid')
}

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)

test('what is written is read again, with bundles of other trust domains', async () => {
  const folder = newFolder()
  const material = { ...newMaterial(), bundles: [bundleOf('example.org', ours), bundleOf('partner.example', partner)] }
  await writeSvidFolder(folder, material)
  expect(await readX509Folder(folder)).toEqual({
    svid: material.svid,
    bundles: material.bundles.map((bundle) => ({
      ...bundle,
      x509Authorities: bundle.x509Authorities.map((der) => Buffer.from(der)),
    })),
  })
  const { certificate, key, bundle } = svidFilesOf(folder)
  expect([certificate, key, bundle].map(modeOf)).toEqual(['644', '600', '644'])
  expect(modeOf(join(folder, 'federated/partner.example.pem'))).toBe('644')
})

test('the key is never of another certificate, whenever a reader comes', async () => {
  const folder = newFolder()
  await writeSvidFolder(folder, newMaterial())
  let writing = true
  const written = (async () => {
    for (let round = 0; round < 20; round++) await writeSvidFolder(folder, newMaterial())
    writing = false
  })()
  const seen = new Set<string>()
  while (writing) seen.add((await readX509Folder(folder)).svid.serialNumber)
  await written
  expect(seen.size).toBeGreaterThan(3)
})

test('no file is missing at any moment, and the certificate is the last to come', async () => {
  for (let round = 0; round < 5; round++) {
    const folder = newFolder()
    const { certificate, key, bundle } = svidFilesOf(folder)
    let writing = true
    const written = (async () => {
      for (let version = 0; version < 5; version++) await writeSvidFolder(folder, newMaterial())
      writing = false
    })()
    let begun = false
    while (writing) {
      begun ||= existsSync(certificate)
      if (begun) expect([certificate, key, bundle].filter((path) => !existsSync(path))).toEqual([])
      await setImmediate()
    }
    await written
  }
})

test('a reader that has found its version reads it to the end, older ones are taken away', async () => {
  const folder = newFolder()
  await writeSvidFolder(folder, newMaterial())
  const versions = () => readdirSync(folder).filter((name) => name.startsWith('..svid-'))
  const [first = ''] = versions()
  await writeSvidFolder(folder, newMaterial())
  expect(existsSync(join(folder, first, 'svid.key'))).toBe(true)
  await writeSvidFolder(folder, newMaterial())
  expect([versions().length, versions().includes(first)]).toEqual([2, false])
  expect(readdirSync(folder).filter((name) => !name.startsWith('..svid-'))).toEqual([
    '..data',
    'bundle.pem',
    'svid.key',
    'svid.pem',
  ])
})

test('plain files of before become links', async () => {
  const folder = newFolder()
  mkdirSync(folder)
  for (const name of ['svid.pem', 'svid.key', 'bundle.pem']) writeFileSync(join(folder, name), 'old')
  const { svid, bundles } = newMaterial()
  await writeSvidFolder(folder, { svid, bundles })
  for (const path of Object.values(svidFilesOf(folder))) expect(lstatSync(path).isSymbolicLink()).toBe(true)
  expect(new X509Certificate(readFileSync(svidFilesOf(folder).certificate)).subjectAltName).toBe(`URI:${uri}`)
})

test('a folder that can not be written is told by its name', async () => {
  const folder = newFolder()
  writeFileSync(folder, 'a file')
  await expect(writeSvidFolder(folder, newMaterial())).rejects.toMatchObject({
    code: 'file',
    message: expect.stringContaining(folder),
  })
})
