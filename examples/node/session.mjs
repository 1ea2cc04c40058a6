#!/usr/bin/env node
// One turn of a session on the platform with the tools of the daemon that runs; its text is printed.
//
//   OCTAVUS_API_KEY=… node session.mjs URL SESSION TRIGGER [INPUT]

import { OctavusClient } from "@octavus/server-sdk";

import { connect } from "./computer.mjs";

const [baseUrl, sessionId, triggerName, input] = process.argv.slice(2);
if (!triggerName) {
  console.error("usage: OCTAVUS_API_KEY=… node session.mjs URL SESSION TRIGGER [INPUT]");
  process.exit(2);
}
const client = new OctavusClient({ baseUrl, apiKey: process.env.OCTAVUS_API_KEY });
const computer = await connect();
const session = client.agentSessions.attach(sessionId, { tools: computer.toolHandlers() });

for await (const event of session.execute({ type: "trigger", triggerName, input: input && JSON.parse(input) })) {
  if (event.type === "text-delta") process.stdout.write(event.delta);
  if (event.type === "text-end") process.stdout.write("\n");
  if (event.type === "tool-output-error") console.error(`${event.toolCallId}: ${event.error}`);
  if (event.type === "error") {
    console.error(event.message);
    process.exitCode = 1;
  }
}
