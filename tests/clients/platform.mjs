// Plays a recording with the platform's own SDK for Node, as the example `replay` does with ours:
//
//   node platform.mjs MODULES ORIGIN RECORDING.json
//
// MODULES is where the npm packages are, ORIGIN the platform that plays the recording's script. It prints the steps and
// the calls of handlers.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, origin, recording] = process.argv.slice(2);
const sdk = pathToFileURL(join(modules, '@octavus/server-sdk/dist/index.js'));
const { OctavusClient } = await import(sdk);
const { definition } = JSON.parse(readFileSync(recording, 'utf8'));

const handlerCalls = [];
const resourceUpdates = [];
const barriers = new Map();
let abort = {};
let stop;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms ?? 0));

function meet(name, count) {
  const barrier = barriers.get(name) ?? { waiting: [], count };
  barriers.set(name, barrier);
  return new Promise((done) => {
    barrier.waiting.push(done);
    if (barrier.waiting.length === barrier.count) barrier.waiting.forEach((go) => go());
  });
}

function handler(tool, spec) {
  return async (args) => {
    handlerCalls.push({ tool, args });
    if (abort.onHandlerStart === tool) setTimeout(() => stop.abort(), abort.delayMs ?? 0);
    await sleep(spec.delayMs);
    if (spec.barrier) await meet(spec.barrier, spec.count);
    await sleep(spec.delayAfterMs);
    if ('throw' in spec) throw new Error(spec.throw);
    if ('throwValue' in spec) throw spec.throwValue;
    return spec.echoArgs ? args : spec.return;
  };
}

function attach(client, spec) {
  const tools = Object.entries(spec.tools ?? {}).map(([name, tool]) => [name, handler(name, tool)]);
  const resources = (spec.resources ?? []).map((resource) => {
    const name = resource.name ?? resource;
    const onUpdate = (value) => {
      resourceUpdates.push({ name, value });
      if (resource.throw) throw new Error(resource.throw);
    };
    return { name, onUpdate };
  });
  return client.agentSessions.attach(spec.sessionId ?? 'sess_1', { tools: Object.fromEntries(tools), resources });
}

const client = new OctavusClient({ baseUrl: origin, ...definition.client.options });
const steps = [];
let session;
for (const step of definition.steps) {
  if (step.attach) {
    session = attach(client, step.attach);
    steps.push({ do: 'attach', sessionId: session.getSessionId() });
  } else if (step.execute) {
    abort = step.abort ?? {};
    stop = new AbortController();
    if (abort.beforeStart) stop.abort();
    const events = [];
    for await (const event of session.execute(step.execute, { signal: stop.signal })) {
      events.push(event);
      if (events.length === abort.afterEvents) stop.abort();
    }
    steps.push({ do: 'execute', events });
  } else if (step.sleepMs) {
    await sleep(step.sleepMs);
    steps.push({ do: 'sleepMs' });
  } else {
    throw new Error(`this version has no ${Object.keys(step)[0]}`);
  }
}
console.log(JSON.stringify({ steps, handlerCalls, resourceUpdates }));
