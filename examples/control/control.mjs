#!/usr/bin/env node
// Control of a running daemon from Node, over its Unix socket. Nothing but Node is needed.
//
//   node control.mjs VERB [JSON]      such as: control.mjs call '{"name":"fake__echo","arguments":{"message":"hi"}}'
//   node control.mjs events           follows what happens, a line of JSON each

import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { createConnection } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Where the daemon answers that runs; of several, the one that began last. */
export function place() {
  const home = join(process.env.XDG_STATE_HOME || join(homedir(), ".local/state"), "computer");
  const notices = readdirSync(home).map((name) => join(home, name, "daemon.json")).filter((path) => existsSync(path));
  notices.sort((one, other) => statSync(one).mtimeMs - statSync(other).mtimeMs);
  const running = notices.map((path) => readFileSync(path, "utf8")).filter((text) => text).map((text) => JSON.parse(text));
  if (running.length === 0) throw new Error("no daemon runs; `computer serve --http` starts one");
  return running.at(-1).socket;
}

/** Asks for something, and gives each event and at last the result. */
export async function* follow(verb, args = {}) {
  const socket = createConnection(place());
  socket.write(JSON.stringify({ id: 1, verb, args }) + "\n");
  try {
    for await (const line of createInterface({ input: socket })) {
      const told = JSON.parse(line);
      if (told.error) throw new Error(`${told.error.code}: ${told.error.message}`);
      yield told.event ?? told.result;
      if ("result" in told) return;
    }
    throw new Error("the daemon has ended");
  } finally {
    socket.destroy();
  }
}

if (import.meta.url === `file://${process.argv[1]}`) {
  try {
    for await (const told of follow(process.argv[2] ?? "status", JSON.parse(process.argv[3] ?? "{}"))) {
      console.log(JSON.stringify(told));
    }
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
