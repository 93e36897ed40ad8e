import test from 'ava';
import { SessionNames } from './sessions.ts';

function names(): { readonly sessions: SessionNames; readonly ended: number[] } {
  const ended: number[] = [];
  return { sessions: new SessionNames(7, (session) => ended.push(session)), ended };
}

test('what may block and what is prompt have sessions of their own, reads have none', (t) => {
  const { sessions } = names();
  t.is(sessions.laneOf('take', { waitMs: null }), 'waiting');
  t.is(sessions.laneOf('take-many', { waitMs: 10 }), 'waiting');
  t.is(sessions.laneOf('take', { waitMs: 0 }), 'prompt');
  t.is(sessions.laneOf('write', {}), 'prompt');
  t.is(sessions.laneOf('read', { waitMs: 10 }), 'none');
  t.is(sessions.answered('none'), undefined);
  t.not(sessions.answered('waiting'), sessions.answered('prompt'));
});

test('a lost session ends under its name, and the other one goes on', (t) => {
  const { sessions, ended } = names();
  const prompt = sessions.answered('prompt');
  const waiting = sessions.answered('waiting');
  sessions.lost('prompt');
  t.deepEqual(ended, [prompt]);
  t.not(sessions.answered('prompt'), prompt);
  t.is(sessions.answered('waiting'), waiting);
});

test('many calls of one lost session end one name', (t) => {
  const { sessions, ended } = names();
  sessions.answered('waiting');
  for (let call = 0; call < 5; call++) sessions.lost('waiting');
  t.is(ended.length, 1);
});
