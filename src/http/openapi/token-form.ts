/**
 * The form of `/token`, as `protocol/token-exchange.ts` reads it.
 *
 * @module
 */
import * as z from 'zod'
import { subjectTokenTypes, tokenExchangeGrantType } from '../../protocol/token-exchange.ts'
import { spiffeId } from './fields.ts'

const jwtType = z.literal(subjectTokenTypes[0])

export const tokenForm = z
  .looseObject({
    grant_type: z.literal(tokenExchangeGrantType),
    subject_token: z.string().min(1).meta({ description: 'The proof: whatever may stand as a bearer token.' }),
    subject_token_type: z.enum(subjectTokenTypes),
    audience: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
      .meta({ description: 'Who the JWT-SVID is for; the one parameter that may be repeated.' }),
    requested_token_type: jwtType.optional(),
    spiffe_id: spiffeId.optional().meta({ description: 'Which identity of the proof is meant. Default: the first.' }),
  })
  .meta({ id: 'TokenExchange' })
