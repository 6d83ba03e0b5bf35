/**
 * Signing authorities on a time line: published and waiting, signing, published and no longer signing.
 *
 * @module
 */
import { html } from 'hono/html'
import type { Authority } from '../../core/authority-plan.ts'
import { code, distanceOf, type Markup, status, table, timeOf } from './layout.ts'

interface Span {
  readonly state: Authority['state']
  readonly from: Date
  readonly until: Date
}

const after = (date: Date, seconds: number) => new Date(date.getTime() + seconds * 1000)
const later = (a: Date, b: Date) => (a > b ? a : b)

/** The three thirds of its life; those that it does not have, such as after a taint, have no length. */
export function spansOf({ createdAt, activeUntil, expiresAt, slotSeconds, state }: Authority): readonly Span[] {
  const startsAt = later(createdAt, activeUntil ? after(activeUntil, -slotSeconds) : after(expiresAt, -2 * slotSeconds))
  const endsAt = activeUntil ?? after(startsAt, slotSeconds)
  // It never signed: it was replaced while it was prepared.
  const signs = state !== 'retiring' || activeUntil === undefined || activeUntil > createdAt
  const spans: readonly Span[] = [
    { state: 'prepared', from: createdAt, until: startsAt },
    { state: 'active', from: startsAt, until: signs ? endsAt : startsAt },
    { state: 'retiring', from: signs ? endsAt : startsAt, until: expiresAt },
  ]
  return spans.filter(({ from, until }) => until > from)
}

const width = 960
const labelWidth = 220
const rowHeight = 28
const axisHeight = 28

export function authoritiesPage(authorities: readonly Authority[], now: Date): Markup {
  const sorted = [...authorities].sort(
    (a, b) => a.ring.localeCompare(b.ring) || a.createdAt.getTime() - b.createdAt.getTime(),
  )
  return html`${sorted.length > 0 ? timeLine(sorted, now) : ''}
${table('Authorities', columns(now), sorted, 'There is none yet.')}`
}

function columns(now: Date) {
  return [
    { title: 'Key', cell: ({ id }: Authority) => code(shortId(id)) },
    { title: 'Signs', cell: ({ ring }: Authority) => ring },
    { title: 'State', cell: stateOf },
    { title: 'Made', cell: ({ createdAt }: Authority) => timeOf(createdAt) },
    {
      title: 'Signs until',
      cell: ({ activeUntil }: Authority) =>
        activeUntil ? html`${timeOf(activeUntil)} (${distanceOf(activeUntil, now)})` : '',
    },
    {
      title: 'Ends',
      cell: ({ expiresAt }: Authority) => html`${timeOf(expiresAt)} (${distanceOf(expiresAt, now)})`,
    },
  ]
}

function stateOf({ state, taintedAt }: Authority): Markup {
  if (taintedAt) return html`${status('bad', 'tainted')} ${timeOf(taintedAt)}`
  return state === 'active' ? status('good', 'active') : html`${state}`
}

const shortId = (id: string) => (id.length > 16 ? `${id.slice(0, 16)}…` : id)

/** Drawn for those who see it; the table below has all of it in words. */
function timeLine(authorities: readonly Authority[], now: Date): Markup {
  const start = Math.min(now.getTime(), ...authorities.map(({ createdAt }) => createdAt.getTime()))
  const end = Math.max(now.getTime() + 1, ...authorities.map(({ expiresAt }) => expiresAt.getTime()))
  const x = (date: Date) => labelWidth + ((date.getTime() - start) / (end - start)) * (width - labelWidth)
  const height = axisHeight + authorities.length * rowHeight
  const rows = authorities.map((authority, index) => {
    const y = axisHeight + index * rowHeight
    const bars = spansOf(authority).map(
      ({ state, from, until }) =>
        html`<rect class="${state}${authority.taintedAt ? ' tainted' : ''}" x="${fixed(x(from))}" y="${y + 5}" width="${fixed(Math.max(1, x(until) - x(from)))}" height="${rowHeight - 10}"></rect>`,
    )
    return html`<text x="0" y="${y + 18}">${authority.ring} <tspan class="soft">${authority.id.slice(0, 10)}</tspan></text>${bars}`
  })
  return html`<div class="scroll" role="region" aria-label="Time line" tabindex="0">
<svg viewBox="0 0 ${width} ${height}" aria-hidden="true" focusable="false">
<text class="soft" x="${labelWidth}" y="16">${new Date(start).toISOString().slice(0, 16).replace('T', ' ')}</text>
<text class="soft" x="${width}" y="16" text-anchor="end">${new Date(end).toISOString().slice(0, 16).replace('T', ' ')}</text>
<line class="axis" x1="${labelWidth}" x2="${width}" y1="${axisHeight - 4}" y2="${axisHeight - 4}"></line>
${rows}
<line class="now" x1="${fixed(x(now))}" x2="${fixed(x(now))}" y1="${axisHeight - 8}" y2="${height}"></line>
</svg>
</div>
<p><span class="key prepared"></span> prepared: published, not signing
<span class="key active"></span> active: signing
<span class="key retiring"></span> retiring: published, no longer signing. The line is now.</p>`
}

const fixed = (value: number) => value.toFixed(1)
