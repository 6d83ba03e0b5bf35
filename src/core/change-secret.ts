/**
 * Changes a secret together with the record of it, again and again while others are faster.
 *
 * @module
 */
import type { SecretAdmission } from './admit-secret.ts'
import { Refusal } from './refusal.ts'
import type { Secret } from './secret.ts'
import type { SecretPath } from './secret-path.ts'
import type { SecretShelf } from './secret-shelf.ts'

/** What becomes of a secret. */
export interface SecretEdit<Result> {
  /** The same one: nothing changes. Absent: it goes. */
  readonly secret: Secret | undefined
  readonly result: Result
  /** For the record. */
  readonly details: Readonly<Record<string, unknown>>
}

/** Of so many that write to one secret at the same moment, each has its turn. */
const maxAttempts = 100

/** @param changed Told of each change once it is durable. */
export function createSecretChanger(shelf: SecretShelf, changed: (path: SecretPath) => void) {
  /** @param edit Runs once for each attempt, on what the secret is by then. */
  return async <Result>(
    admission: SecretAdmission,
    path: SecretPath,
    edit: (secret: Secret | undefined) => SecretEdit<Result> | Promise<SecretEdit<Result>>,
  ): Promise<Result> => {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const { edited, change } = await orRefuse(admission, async () => {
        const held = await shelf.read(path)
        const edited = await edit(held.secret)
        const change = edited.secret === held.secret ? undefined : await shelf.changeOf(held, edited.secret)
        return { edited, change }
      })
      if ((await admission.keep(edited.details, change)) !== 'stored') continue
      if (change !== undefined) changed(path)
      return edited.result
    }
    throw await admission.refuse(new Refusal('overloaded', 'too many write to this secret at once'))
  }
}

/** A refusal of what `run` does is on record before it is thrown on. */
export async function orRefuse<T>(admission: SecretAdmission, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw error instanceof Refusal ? await admission.refuse(error) : error
  }
}
