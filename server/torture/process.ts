/** What the round starts: a client or a watcher, as its argument says. */
import { runClient } from './client.ts';
import type { ClientSettings, WatcherSettings } from './messages.ts';
import { runWatcher } from './watcher.ts';

const settings = JSON.parse(process.argv[2] ?? '') as ClientSettings | WatcherSettings;
// Without its round it has nothing to do.
process.on('disconnect', () => process.exit(2));
if (settings.kind === 'client') await runClient(settings);
else await runWatcher(settings);
