/**
 * Which authorities the configuration wants.
 *
 * @module
 */
import type { RingPlan } from '../core/authority-plan.ts'
import type { Configuration } from '../core/config.ts'

export function ringPlans({ authorities: { x509, jwt } }: Configuration): readonly RingPlan[] {
  return [
    { ring: 'x509', algorithm: x509.algorithm, ttlSeconds: x509.ttlSeconds },
    ...jwt.algorithms.map(
      (algorithm): RingPlan => ({ ring: `jwt/${algorithm}`, algorithm, ttlSeconds: jwt.ttlSeconds }),
    ),
  ]
}
