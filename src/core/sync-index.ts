/**
 * What a destination holds, in a few dozen bytes for each secret, so that one with 100,000 of them is compared in memory
 * that hardly shows.
 *
 * Names, groups and fingerprints are kept as digests of 128 bits; nothing can be read back from them.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { createDigestTable, createFlags, createNumbers, type Digest } from './digest-table.ts'
import { type HeldSecret, type Ownership, ownershipOf } from './secret-destination.ts'

/** A secret that is held, as far as the index knows it. */
export interface IndexedSecret {
  readonly ownership: Ownership
  readonly state: HeldSecret['state']
  /** Whether it holds the value with this fingerprint. */
  readonly holds: (fingerprint: string) => boolean
  /** Whether it was made for this group. */
  readonly isOf: (group: string) => boolean
  readonly hasBasis: (basis: string) => boolean
}

export interface SyncIndex {
  readonly add: (held: HeldSecret) => void
  readonly find: (name: string) => IndexedSecret | undefined
  /** Whether all secrets of the group stand as they were written from this basis. How many there are; 0 where not. */
  readonly current: (group: string, basis: string) => number
  /** The group is still at its source: whatever it has here stays, unless {@link claim} says more. */
  readonly keep: (group: string) => void
  /** The name is now the group's; false where it is another's: claimed before, or held for a path that keeps it. */
  readonly claim: (name: string, group: string) => boolean
  /** The group was looked at secret by secret: what it has here and nobody claimed goes. */
  readonly settle: (group: string) => void
  /** Of what is ours, what nothing at the source stands for any more. */
  readonly isLeftOver: (held: HeldSecret) => boolean
  readonly count: () => { readonly ours: number; readonly leftOver: number }
}

const states = ['whole', 'edited', 'empty'] as const
const ownerships = ['ours', 'free', 'foreign'] as const
const none = 0xffff_ffff

/** @param nameKey Names with equal keys are one name at the destination. */
export function createSyncIndex(owner: string, nameKey: (name: string) => string): SyncIndex {
  const names = createDigestTable()
  const groups = createDigestTable()
  const ofName = {
    ownership: createFlags(),
    state: createFlags(),
    isHeld: createFlags(),
    claimedBy: createNumbers(),
    group: createNumbers(),
    fingerprint: createNumbers(),
    basis: createNumbers(),
  }
  const ofGroup = {
    kept: createFlags(),
    settled: createFlags(),
    parts: createNumbers(),
    whole: createNumbers(),
    basis: createNumbers(),
    mixed: createFlags(),
  }
  const slotOf = (name: string) => names.find(digestOf(nameKey(name)))
  const groupOf = (group: string) => groups.find(digestIn(group))
  let ours = 0

  function addToGroup({ state, stamp }: HeldSecret): number {
    if (stamp === undefined) return none
    const group = groups.add(digestIn(stamp.group))
    const basis = shortDigest(stamp.basis)
    if (ofGroup.parts.get(group) === 0) {
      ofGroup.parts.set(group, stamp.parts)
      ofGroup.basis.set(group, basis)
    }
    const agrees = ofGroup.parts.get(group) === stamp.parts && ofGroup.basis.get(group) === basis
    if (state !== 'whole' || !agrees) ofGroup.mixed.set(group, 1)
    ofGroup.whole.set(group, ofGroup.whole.get(group) + 1)
    return group
  }

  /** For another path, which stands as it was written and so was not looked at, or could not be read. */
  function isHeldFast(slot: number, claimant: number): boolean {
    if (ofName.isHeld.get(slot) === 0 || ofName.ownership.get(slot) !== 0) return false
    const group = ofName.group.get(slot)
    return group !== none && group !== claimant && ofGroup.kept.get(group) === 1 && ofGroup.settled.get(group) === 0
  }

  function isLeftOverAt(slot: number): boolean {
    if (ofName.isHeld.get(slot) === 0 || ofName.ownership.get(slot) !== 0 || ofName.claimedBy.get(slot) !== 0)
      return false
    const group = ofName.group.get(slot)
    if (group === none) return true
    return ofGroup.kept.get(group) === 0 || ofGroup.settled.get(group) === 1
  }

  return {
    add(held) {
      const slot = names.add(digestOf(nameKey(held.name)))
      if (ofName.isHeld.get(slot) === 1) return
      const ownership = ownershipOf(held.stamp, owner)
      ofName.isHeld.set(slot, 1)
      ofName.ownership.set(slot, ownerships.indexOf(ownership))
      ofName.state.set(slot, states.indexOf(held.state))
      ofName.group.set(slot, ownership === 'ours' ? addToGroup(held) : none)
      if (ownership !== 'ours' || held.stamp === undefined) return
      ours += 1
      ofName.fingerprint.set(slot, shortDigest(held.stamp.fingerprint))
      ofName.basis.set(slot, shortDigest(held.stamp.basis))
    },
    find(name) {
      const slot = slotOf(name)
      if (slot === undefined || ofName.isHeld.get(slot) === 0) return undefined
      return {
        ownership: ownerships[ofName.ownership.get(slot)] ?? 'foreign',
        state: states[ofName.state.get(slot)] ?? 'edited',
        holds: (fingerprint) =>
          ofName.state.get(slot) === 0 && ofName.fingerprint.get(slot) === shortDigest(fingerprint),
        isOf: (group) => ofName.group.get(slot) === groupOf(group),
        hasBasis: (basis) => ofName.basis.get(slot) === shortDigest(basis),
      }
    },
    current(group, basis) {
      const at = groupOf(group)
      if (at === undefined || ofGroup.mixed.get(at) === 1 || ofGroup.basis.get(at) !== shortDigest(basis)) return 0
      const parts = ofGroup.parts.get(at)
      return ofGroup.whole.get(at) === parts ? parts : 0
    },
    keep: (group) => ofGroup.kept.set(groups.add(digestIn(group)), 1),
    claim(name, group) {
      const slot = names.add(digestOf(nameKey(name)))
      const claimant = groups.add(digestIn(group)) + 1
      const former = ofName.claimedBy.get(slot)
      if (former !== claimant && (former !== 0 || isHeldFast(slot, claimant - 1))) return false
      ofName.claimedBy.set(slot, claimant)
      return true
    },
    settle: (group) => ofGroup.settled.set(groups.add(digestIn(group)), 1),
    isLeftOver({ name, stamp }) {
      const slot = slotOf(name)
      return slot !== undefined && ownershipOf(stamp, owner) === 'ours' && isLeftOverAt(slot)
    },
    count() {
      let leftOver = 0
      for (let slot = 0; slot < names.size(); slot++) if (isLeftOverAt(slot)) leftOver += 1
      return { ours, leftOver }
    },
  }
}

function digestOf(text: string): Digest {
  return wordsOf(createHash('sha256').update(text).digest())
}

/** Of a digest already, as stamps have them. */
function digestIn(text: string): Digest {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.length === 16 ? wordsOf(bytes) : digestOf(text)
}

function wordsOf(bytes: Buffer): Digest {
  return [bytes.readUInt32LE(0), bytes.readUInt32LE(4), bytes.readUInt32LE(8), bytes.readUInt32LE(12)]
}

/** 48 bits, as a number: to be told apart within one secret. */
function shortDigest(text: string): number {
  const [low, high] = digestIn(text)
  return low + (high & 0xffff) * 0x1_0000_0000
}
