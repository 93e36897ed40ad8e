/** Runs contract.py against a real server, with code generated from the published `.proto` files. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerProcess } from '../process/server-process.ts';
import { repositoryRoot } from '../repository.ts';

/** Debian's python3, which has Debian's python3-grpcio; another one may come first on the PATH. */
const python = '/usr/bin/python3';

function run(args: readonly string[], cwd: string): number {
  return spawnSync(python, args, { cwd, stdio: 'inherit' }).status ?? 1;
}

function protoFiles(): string[] {
  const root = join(repositoryRoot, 'proto');
  return ['tuplet/v1', 'google/rpc'].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.proto'))
      .map((name) => `${folder}/${name}`),
  );
}

async function main(): Promise<number> {
  const generated = mkdtempSync(join(tmpdir(), 'tuplet-python-'));
  const out = [`--python_out=${generated}`, `--grpc_python_out=${generated}`];
  const made = run(
    ['-m', 'grpc_tools.protoc', '-I.', ...out, ...protoFiles()],
    join(repositoryRoot, 'proto'),
  );
  if (made !== 0) return made;
  const server = await ServerProcess.start();
  try {
    const script = join(repositoryRoot, 'server/test/python/contract.py');
    return run([script, server.address, generated], repositoryRoot);
  } finally {
    await server.dispose();
    rmSync(generated, { recursive: true });
  }
}

process.exitCode = await main();
