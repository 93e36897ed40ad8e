/** The page of a comparison: one file that needs nothing else. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Machine } from '../report.ts';
import type { Row } from '../rounds.ts';
import { isLatency, type Outcome } from './aims.ts';
import { cpuLines, mediansOf, outcomeLine, seriesOf } from './table.ts';

const colors = ['#2563eb', '#93c5fd', '#ea580c', '#16a34a', '#9333ea'];

/** What the page tells of. */
export interface PageContent {
  readonly machine: Machine;
  readonly nodes: number;
  readonly rows: readonly Row[];
  readonly outcomes: readonly Outcome[];
}

/** Writes the page. */
export function writePage(file: string, content: PageContent): void {
  writeFileSync(file, pageOf(content));
}

/** Its text: medians in a table, the aims, and by workload a plot with a point for each round. */
export function pageOf({ machine, nodes, rows, outcomes }: PageContent): string {
  const { model, cpus, kernel, node, at, load } = machine;
  const where = `${model}, ${cpus} CPUs, Linux ${kernel}, Node ${node}, load ${load.toFixed(1)}, ${at}`;
  const verdicts = [...outcomes.map(outcomeLine), ...cpuLines(rows)];
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Tuplet: ${nodes} nodes and their peers</title>
<style>
${uplot('uPlot.min.css')}
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.8rem; text-align: right; border-bottom: 1px solid #ddd; }
th:nth-child(-n + 2), td:nth-child(-n + 2) { text-align: left; }
</style>
<h1>${nodes} nodes and their peers</h1>
<p>${escaped(where)}</p>
<h2>Medians</h2>
${table(rows)}
<h2>Aims</h2>
<ul>${verdicts.map((line) => `<li>${escaped(line)}</li>`).join('')}</ul>
<h2>By round</h2>
<div id="plots"></div>
<script>${uplot('uPlot.iife.min.js')}</script>
<script>
const plots = ${JSON.stringify(plotsOf(rows)).replaceAll('<', '\\u003c')};
${script}
</script>
</html>
`;
}

function table(rows: readonly Row[]): string {
  const head = [
    'workload',
    'target',
    'ops/s',
    'p50 ms',
    'p99 ms',
    'CPU µs',
    'by node',
    'client µs',
  ];
  const lines = mediansOf(rows).map((line) => [
    escaped(line.workload),
    escaped(line.target),
    line.perSecond.toFixed(0),
    line.p50Ms.toFixed(2),
    line.p99Ms.toFixed(2),
    line.serverCpuUs.toFixed(1),
    line.nodeCpuUs.map((us) => us.toFixed(0)).join(', '),
    line.clientCpuUs.toFixed(1),
  ]);
  const cells = (row: readonly string[], tag: string): string =>
    `<tr>${row.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
  return `<table>${cells(head, 'th')}${lines.map((line) => cells(line, 'td')).join('')}</table>`;
}

/** A plot's title, its rounds, and its lines. */
interface Plot {
  readonly title: string;
  readonly rounds: readonly number[];
  readonly lines: readonly {
    readonly label: string;
    readonly stroke: string;
    readonly values: readonly (number | null)[];
  }[];
}

function plotsOf(rows: readonly Row[]): Plot[] {
  const rounds = [...new Set(rows.map(({ round }) => round))];
  const targets = [...new Set(rows.map(({ target }) => target))];
  return [...new Set(rows.map(({ workload }) => workload))].map((workload) => ({
    title: `${workload}, ${isLatency(workload) ? 'ms (p50)' : 'operations a second'}`,
    rounds,
    lines: [...seriesOf(rows, workload)].map(([label, values]) => ({
      label,
      stroke: colors[targets.indexOf(label) % colors.length] ?? '#000',
      values: rounds.map((round) => values[round - 1] ?? null),
    })),
  }));
}

/** Runs in the browser. */
const script = `
for (const { title, rounds, lines } of plots) {
  new uPlot(
    {
      title,
      width: 900,
      height: 300,
      scales: { x: { time: false }, y: { range: (_plot, _min, max) => [0, max * 1.05] } },
      axes: [{ incrs: [1] }, { size: 70 }],
      series: [
        { label: 'round' },
        ...lines.map(({ label, stroke }) => ({ label, stroke, width: 2, points: { show: true } })),
      ],
    },
    [rounds, ...lines.map(({ values }) => values)],
    document.getElementById('plots'),
  );
}`;

function uplot(file: string): string {
  const main = createRequire(import.meta.url).resolve('uplot');
  return readFileSync(join(dirname(main), file), 'utf8');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
