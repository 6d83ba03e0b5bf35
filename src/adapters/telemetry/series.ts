/**
 * The values of one metric, one for each set of labels: found by a look-up for each label and changed in place, as several
 * are with each request.
 *
 * @module
 */
import type { Fields } from '../../core/telemetry.ts'

type LabelValue = string | number | boolean | undefined
export type Labels = Readonly<Record<string, string | number>>

export interface Series<Cell> {
  /** The value of these labels; made where there is none. */
  readonly cell: (labels: Fields) => Cell
  readonly delete: (labels: Fields) => void
  readonly entries: () => readonly (readonly [labels: Labels, cell: Cell])[]
}

type Node<Cell> = Map<LabelValue, Node<Cell> | Cell>

/** @param names Of the labels, all of which every set has. */
export function createSeries<Cell>(names: readonly string[], make: () => Cell): Series<Cell> {
  const [only, second] = names
  const last = names.length - 1
  const root: Node<Cell> = new Map()

  /** The map that holds the cells by the value of the last label. */
  function nodeOf(labels: Fields): Node<Cell> {
    let node = root
    for (let at = 0; at < last; at++) {
      const value = labels[names[at] ?? '']
      let next = node.get(value) as Node<Cell> | undefined
      if (next === undefined) {
        next = new Map()
        node.set(value, next)
      }
      node = next
    }
    return node
  }

  const lastName = names[last] ?? ''
  return {
    cell(labels) {
      // Most have one label or none.
      const node = second === undefined ? root : nodeOf(labels)
      const value = only === undefined ? undefined : labels[lastName]
      const known = node.get(value) as Cell | undefined
      if (known !== undefined) return known
      requireLabels(names, labels)
      const made = make()
      node.set(value, made)
      return made
    },
    delete: (labels) => void nodeOf(labels).delete(only === undefined ? undefined : labels[lastName]),
    entries: () => collect(root, names, {}),
  }
}

function collect<Cell>(
  node: Node<Cell>,
  [name, ...others]: readonly string[],
  above: Labels,
): readonly (readonly [Labels, Cell])[] {
  return [...node].flatMap(([value, below]) => {
    const labels = name === undefined ? above : { ...above, [name]: String(value) }
    return others.length === 0 ? [[labels, below as Cell] as const] : collect(below as Node<Cell>, others, labels)
  })
}

/** @throws {Error} for a bug: a label that is missing, or that the metric does not have */
function requireLabels(names: readonly string[], labels: Fields): void {
  const given = Object.keys(labels)
  if (given.length !== names.length || !names.every((name) => labels[name] !== undefined))
    throw new Error(`expected the labels ${names.join(', ') || '(none)'}, not ${given.join(', ') || '(none)'}`)
}
