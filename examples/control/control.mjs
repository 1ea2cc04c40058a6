#!/usr/bin/env node
// Control of a running daemon from Node, over its Unix socket. Nothing but Node is needed.
//
//   node control.mjs VERB [JSON]      such as: control.mjs call '{"name":"fake__echo","arguments":{"message":"hi"}}'
//   node control.mjs events           follows what happens, a line of JSON each

import { once } from "node:events";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { createConnection } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** A connection to the daemon that runs; of several, to the one that began last. */
export async function connect() {
  const home = join(process.env.XDG_STATE_HOME || join(homedir(), ".local/state"), "computer");
  const homes = existsSync(home) ? readdirSync(home) : [];
  const notices = homes.map((name) => join(home, name, "daemon.json")).filter((path) => existsSync(path));
  notices.sort((one, other) => statSync(other).mtimeMs - statSync(one).mtimeMs);
  for (const text of notices.map((path) => readFileSync(path, "utf8")).filter((text) => text)) {
    const socket = createConnection(JSON.parse(text).socket);
    // One that was killed could not take its notice away.
    if (await once(socket, "connect").then(() => true, () => false)) return socket;
  }
  throw new Error("no daemon runs; `computer serve --http` starts one");
}

/** Asks for something, and gives each event and at last the result. */
export async function* follow(verb, args = {}) {
  const socket = await connect();
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
