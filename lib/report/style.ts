/**
 * The style sheet of the report's page.
 *
 * @module
 */

/** Colours have a contrast of at least 4.5 for text and 3 for bars. */
export const STYLE = `
:root { color-scheme: light dark; --paper: #fff; --panel: #f3f5f7;
  --ink: #1b1f24; --soft: #535b64; --rule: #d5dae0;
  --stopped: #0a6ea8; --delayed: #c2570c; --open: #7d868f; --at-once: #00805a;
  --trouble: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a;
  --panel: #1e2327; --ink: #e7eaed; --soft: #a9b2bb; --rule: #3a4249;
  --stopped: #56b0e6; --delayed: #e6903c; --open: #8a949d; --at-once: #34b28a;
  --trouble: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; }
h2 { font-size: 1.15rem; margin: 0; }
h3 { font-size: 1rem; margin: 1rem 0 0; }
p { margin: .25rem 0; color: var(--soft); }
section { margin-top: 2.25rem; }
.tiles { display: grid; gap: .75rem; margin: 1.25rem 0 0;
  grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); }
.tiles div { background: var(--panel); border-radius: .5rem; padding: .75rem 1rem; }
dt { color: var(--soft); font-size: .875rem; }
dd { margin: 0; font-size: .875rem; color: var(--soft); }
dt + dd { font-size: 1.5rem; line-height: 1.3; font-weight: 600; white-space: nowrap;
  color: var(--ink); font-variant-numeric: tabular-nums; }
dt svg { vertical-align: -1px; }
.story { font-size: 1.35rem; line-height: 1.4; color: var(--ink);
  margin: 1.25rem 0; text-wrap: pretty; }
.shares { margin-bottom: 1rem; }
.shares > svg { display: block; border-radius: .25rem; }
.troubles { border-left: .25rem solid var(--trouble); padding-left: 1rem;
  margin-top: 1.25rem; }
.troubles section { margin: 0; }
.troubles h2 { color: var(--trouble); }
.troubles thead th { overflow-wrap: normal; }
p strong { overflow-wrap: anywhere; }
pre { margin: .25rem 0; padding: .4rem .6rem; background: var(--panel);
  border-radius: .25rem; font-size: .875rem; white-space: pre-wrap;
  overflow-wrap: anywhere; }
figure { margin: 0; }
.key span { margin-right: 1rem; white-space: nowrap; }
.key svg { vertical-align: -1px; }
.plot { display: flex; gap: .5rem; margin-top: 1.25rem; }
.scale { position: relative; flex: none; width: 4.25rem; height: 180px; }
.scale span { position: absolute; right: 0; transform: translateY(-50%);
  font-size: .75rem; color: var(--soft); font-variant-numeric: tabular-nums; }
.chart { flex: 1; min-width: 0; width: 100%; overflow: visible; }
.chart line { stroke: var(--rule); }
.chart text { fill: var(--soft); font-size: 12px; text-anchor: middle; }
.chart g:hover { opacity: .75; }
rect { stroke: var(--paper); stroke-width: 1px; }
.key rect, dt rect { stroke: none; }
.stopped { fill: var(--stopped); }
.delayed { fill: var(--delayed); }
.open { fill: var(--open); }
.atOnce { fill: var(--at-once); }
summary { cursor: pointer; font-size: .875rem; color: var(--soft); padding: .25rem 0; }
table { border-collapse: collapse; width: 100%; margin-top: .5rem;
  font-size: .9375rem; font-variant-numeric: tabular-nums; }
details table { width: auto; min-width: min(100%, 20rem); }
th, td { padding: .3rem .75rem .3rem 0; text-align: right; vertical-align: top;
  border-bottom: 1px solid var(--rule); }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--soft); font-weight: 400; font-size: .8125rem;
  vertical-align: bottom; }
tbody th { font-weight: 400; }
th:first-child { text-align: left; overflow-wrap: anywhere; }
td { white-space: nowrap; }
.periods td { width: 27%; }
.in { padding-left: 1.25rem; }
.joined th, .joined td { border-bottom: 0; padding-bottom: 0; }
.example td { text-align: left; white-space: normal; padding: 0 0 .3rem; }
.example div { color: var(--soft); font-size: .8125rem; overflow: hidden;
  overflow-wrap: anywhere; display: -webkit-box; -webkit-box-orient: vertical;
  -webkit-line-clamp: 2; }
footer { margin-top: 2.25rem; border-top: 1px solid var(--rule); font-size: .875rem; }
@media (max-width: 40rem) {
  .wide { display: none; }
  .scale { width: 3.25rem; }
  table { font-size: .8125rem; }
  .joined th { width: 45%; }
  .shares .tiles { gap: .5rem; grid-template-columns: repeat(3, minmax(0, 1fr)); }
  .shares .tiles div { padding: .5rem .6rem; }
  .shares dd, .shares dt { font-size: .8125rem; line-height: 1.35; }
  .shares dt + dd { font-size: 1.2rem; }
  th, td { padding-right: .5rem; }
}
@media print {
  :root { color-scheme: light; --paper: #fff; --panel: #f3f5f7; --ink: #000;
    --soft: #444; --rule: #bbb; --stopped: #0a6ea8; --delayed: #c2570c;
    --open: #7d868f; --at-once: #00805a; --trouble: #b3261e; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  section, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
  .tiles div { border: 1px solid var(--rule); }
  details, .wide { display: none; }
}
`;
