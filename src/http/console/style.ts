/**
 * The one style sheet of the console: light and dark by what the reader prefers, readable from 360 pixels on.
 *
 * @module
 */
export const style = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #55606e; --paper: #ffffff; --line: #d5dbe3; --tint: #f2f5f9;
  --link: #0b57a4; --good: #14683a; --warning: #7a4d00; --bad: #a3171f;
  --prepared: #7d8fb3; --active: #1f7a4d; --retiring: #b0843a; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9f0; --soft: #a5b0be; --paper: #12171e; --line: #333d4a; --tint: #1b222c;
    --link: #86bdf5; --good: #6fd39b; --warning: #efb755; --bad: #ff8f8f;
    --prepared: #6f83ab; --active: #3ba873; --retiring: #c6984a; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: .5rem; top: .5rem; padding: .5rem; background: var(--paper); }
header { display: flex; flex-wrap: wrap; gap: .25rem 2rem; align-items: baseline; padding: .75rem 1rem; background: var(--tint);
  border-bottom: 1px solid var(--line); }
.name { margin: 0; font-weight: 700; }
.name span { font-weight: 400; color: var(--soft); overflow-wrap: anywhere; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 0; padding: 0; list-style: none; }
nav a { display: block; padding: .25rem 0; }
nav a[aria-current] { color: var(--ink); font-weight: 700; text-decoration: none; border-bottom: 2px solid currentColor; }
main, footer { max-width: 90rem; margin: 0 auto; padding: 0 1rem; }
footer { margin-top: 2rem; color: var(--soft); font-size: .875rem; border-top: 1px solid var(--line); }
h1 { font-size: 1.5rem; margin: 1rem 0; }
h2 { font-size: 1.125rem; margin: 1.5rem 0 .5rem; }
a { color: var(--link); }
a:focus-visible, input:focus-visible, select:focus-visible, button:focus-visible, .scroll:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
code { font: .875rem ui-monospace, monospace; overflow-wrap: anywhere; }
time { white-space: nowrap; }
.nothing { color: var(--soft); }
.status { white-space: nowrap; font-weight: 600; }
.good { color: var(--good); } .warning { color: var(--warning); } .bad { color: var(--bad); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: .75rem 1.5rem; margin: 0 0 1rem; }
dt { color: var(--soft); font-size: .875rem; }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: 1.5rem 0; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; font-size: 1.125rem; font-weight: 700; padding: 0 0 .5rem; }
th, td { text-align: left; vertical-align: top; padding: .375rem .75rem .375rem 0; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-size: .875rem; font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 600; }
.number { text-align: right; white-space: nowrap; }
td code, th code { overflow-wrap: normal; }
tbody th .status { white-space: normal; }
.wide { display: inline-block; min-width: 16rem; }
form { display: flex; flex-wrap: wrap; gap: .75rem; align-items: end; padding: .75rem; background: var(--tint); border: 1px solid var(--line); border-radius: .25rem; }
label { display: grid; gap: .125rem; font-size: .875rem; color: var(--soft); min-width: 0; }
input, select, button { font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--soft); border-radius: .25rem; padding: .25rem .5rem; max-width: 100%; }
input, select { height: 2.125rem; }
button { cursor: pointer; }
@media (max-width: 30rem) { form label { flex: 1 1 100%; } }
svg { display: block; width: 100%; height: auto; min-width: 40rem; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg .axis { stroke: var(--line); } svg .now { stroke: var(--bad); stroke-width: 2; } svg .soft { fill: var(--soft); }
svg .prepared { fill: var(--prepared); } svg .active { fill: var(--active); } svg .retiring { fill: var(--retiring); }
svg .tainted { stroke: var(--bad); stroke-width: 2; stroke-dasharray: 4 3; fill-opacity: .35; }
.key { display: inline-block; width: .875rem; height: .875rem; vertical-align: -.125rem; border-radius: .125rem; }
.key.prepared { background: var(--prepared); } .key.active { background: var(--active); } .key.retiring { background: var(--retiring); }
@media (forced-colors: active) { svg .prepared, svg .active, svg .retiring { forced-color-adjust: none; } }
`
