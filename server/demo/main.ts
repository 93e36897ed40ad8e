/**
 * The demo: a Mandelbrot picture rendered tile by tile through a tuple space, by six worker processes.
 * On the way the server is killed twice, or of several nodes one that leads, and another with its disk; and one
 * worker is stopped while a tile is handed over to it, and killed. At the end the picture must equal a sequential render, and no tile may have been
 * rendered twice.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Client, connect, metaOf, type Space, t } from '@tuplet/client';
import { Command, InvalidArgumentError } from 'commander';
import { Picture, pictureSize, renderSequentially, tilesPerSide } from './mandelbrot.ts';
import { encodePng } from './png.ts';
import { Progress } from './progress.ts';
import { oneServer, type Servers, severalNodes } from './servers.ts';

const tiles = tilesPerSide * tilesPerSide;
const workerCount = 6;
const folder = dirname(fileURLToPath(import.meta.url));

/** A tile that was handed over to a worker that will never acknowledge it. */
interface HeldTile {
  readonly id: number;
  readonly name: string;
}

class Demo {
  readonly #servers: Servers;
  readonly #client: Client;
  readonly #space: Space;
  readonly #progress = new Progress(tiles);
  readonly #picture = new Picture();
  readonly #rendered = new Map<string, number>();
  readonly #deliveries = new Map<string, number>();
  readonly #workers: ChildProcess[] = [];

  constructor(servers: Servers, client: Client) {
    this.#servers = servers;
    this.#client = client;
    this.#space = client.space('default');
  }

  async run(): Promise<Picture> {
    for (let i = 1; i <= workerCount; i++) this.#startWorker(`worker ${i}`);
    await this.#until(async () => (await this.#servers.waiters()) >= workerCount);
    const victim = this.#workers.at(-1);
    if (victim === undefined) throw new Error('there are workers');
    victim.kill('SIGSTOP');
    this.#say(`worker ${workerCount} is stopped while it blocks in its take`);
    this.#spawn('producer.js', []);
    const collected = this.#collect();
    const held = await this.#killHolder(victim);
    await collected;
    this.#check(held);
    return this.#picture;
  }

  stop(): void {
    for (const worker of this.#workers) worker.kill('SIGKILL');
  }

  /** Takes the pixels as they come; what is to befall the servers does so at a third and at two thirds. */
  async #collect(): Promise<void> {
    const kills = [Math.floor(tiles / 3), Math.floor((tiles * 2) / 3)];
    for (let done = 0; done < tiles; ) {
      const found = await this.#space.take(['pixels', t.int, t.int, t.bytes, t.int]);
      const [, column, row, pixels, deliveries] = found;
      this.#picture.place(column, row, pixels);
      this.#deliveries.set(`${column} ${row}`, deliveries);
      this.#progress.show(++done);
      const misfortune = this.#servers.misfortunes[kills.indexOf(done)];
      await misfortune?.(this.#client, (line) => this.#say(line));
    }
  }

  /** Waits for the tile that stays handed over to the stopped worker, and kills the worker. */
  async #killHolder(victim: ChildProcess): Promise<HeldTile> {
    let before: readonly HeldTile[] = [];
    let held: HeldTile | undefined;
    while (held === undefined) {
      await pause(1_000);
      const now = await this.#handed();
      held = now.find(({ id }) => before.some((earlier) => earlier.id === id));
      before = now;
    }
    victim.kill('SIGKILL');
    this.#say(`tile ${held.name} was handed over to the stopped worker, which is killed now`);
    return held;
  }

  async #handed(): Promise<HeldTile[]> {
    const found = await this.#space.readMany(['tile', t.int, t.int], {
      waitMs: 0,
      states: ['handed'],
    });
    return found.map((tile) => ({ id: metaOf(tile)?.id ?? 0, name: `${tile[1]} ${tile[2]}` }));
  }

  #check(held: HeldTile): void {
    const twice = [...this.#rendered].filter(([, times]) => times !== 1);
    if (this.#rendered.size !== tiles || twice.length > 0) {
      throw new Error(
        `rendered ${this.#rendered.size} of ${tiles} tiles, more than once: ${twice.join(', ')}`,
      );
    }
    const deliveries = this.#deliveries.get(held.name);
    if (deliveries !== 1)
      throw new Error(`tile ${held.name} came back with deliveries ${deliveries}, not 1`);
    this.#say(`tile ${held.name} came back with deliveries 1 and was rendered by another worker`);
    this.#say(`each of ${tiles} tiles was rendered once`);
  }

  async #until(condition: () => Promise<boolean>): Promise<void> {
    while (!(await condition())) await pause(50);
  }

  #startWorker(name: string): void {
    const worker = this.#spawn('worker.js', [name]);
    this.#workers.push(worker);
    if (worker.stdout === null) throw new Error('the output is piped');
    createInterface({ input: worker.stdout }).on('line', (line) => {
      const tile = line.replace('rendered ', '');
      this.#rendered.set(tile, (this.#rendered.get(tile) ?? 0) + 1);
    });
  }

  #spawn(script: string, args: readonly string[]): ChildProcess {
    return spawn(process.execPath, [join(folder, script), this.#servers.url, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  }

  #say(line: string): void {
    this.#progress.say(line);
  }
}

const examples = `
Examples:
  $ npm run demo                  # one server, killed twice
  $ npm run demo -- --nodes 3     # three nodes: a leader is killed, and a node lost with its disk`;

function nodesOf(text: string): number {
  const count = Number(text);
  if (count === 1 || (Number.isInteger(count) && count >= 3 && count <= 7)) return count;
  throw new InvalidArgumentError('One node, or 3 to 7: two cannot lose one.');
}

const program = new Command('demo')
  .description('render a picture through a tuple space while its server and a worker are killed')
  .option('--out <file>', 'where the picture goes', join(tmpdir(), 'tuplet-mandelbrot.png'))
  .option(
    '--nodes <count>',
    'of how many nodes the cluster is; with 3 or more one is lost for good',
    nodesOf,
    1,
  )
  .addHelpText('after', examples)
  .action(async ({ out, nodes }: { readonly out: string; readonly nodes: number }) => {
    const servers = nodes === 1 ? await oneServer() : await severalNodes(nodes);
    const client = await connect(servers.url, { name: 'demo' });
    const demo = new Demo(servers, client);
    try {
      const picture = await demo.run();
      const png = encodePng(picture.rgb, pictureSize);
      writeFileSync(out, png);
      const hash = sha256(png);
      const expected = sha256(encodePng(renderSequentially().rgb, pictureSize));
      process.stdout.write(`picture    ${hash}  ${out}\nsequential ${expected}\n`);
      if (hash !== expected) throw new Error('the picture differs from the sequential render');
      process.stdout.write('equal\n');
    } finally {
      demo.stop();
      await client.close();
      await servers.dispose();
    }
  });

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

await program.parseAsync();
