// The computer of a running daemon as a provider of tools for `@octavus/server-sdk`. Nothing but Node is needed.
//
//   const computer = await connect();
//   client.agentSessions.attach(id, { tools: computer.toolHandlers() });   // tools that the agent's protocol names
//   session.setDynamicTools(computer);                                     // version 3 of the SDK and later

import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { request } from "node:http";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/**
 * Where daemons listen, and the token by which each lets us in: as $COMPUTER_URL and $COMPUTER_TOKEN say, else as they
 * have noted, the one that began last first. One that was killed could not take its notice away.
 */
export function places() {
  const { COMPUTER_URL: url, COMPUTER_TOKEN: token } = process.env;
  if (url) return [{ url, token }];
  const home = join(process.env.XDG_STATE_HOME || join(homedir(), ".local/state"), "computer");
  const homes = existsSync(home) ? readdirSync(home) : [];
  const notices = homes.map((name) => join(home, name, "daemon.json")).filter((path) => existsSync(path));
  notices.sort((one, other) => statSync(other).mtimeMs - statSync(one).mtimeMs);
  return notices.flatMap((path) => {
    const text = readFileSync(path, "utf8");
    const [listens] = (text && JSON.parse(text).http) || [];
    if (!listens) return [];
    const file = join(dirname(path), "token");
    return [{ url: listens, token: token ?? (existsSync(file) ? readFileSync(file, "utf8").trim() : undefined) }];
  });
}

/** The computer of a daemon, its tools known. */
export async function connect(...at) {
  const all = at.length > 0 ? at : places();
  for (const [index, place] of all.entries()) {
    const computer = new DaemonComputer(place);
    try {
      await computer.refresh();
      return computer;
    } catch (error) {
      if (error.code !== "notThere" || index + 1 === all.length) throw error;
    }
  }
  throw new Error("no daemon listens; `computer serve --http` starts one");
}

/** Why the daemon did not do something: `code` is for programs. */
export class DaemonError extends Error {
  constructor({ code, message }) {
    super(message);
    this.code = code;
  }
}

/** A ToolProvider, DeviceProvider and DynamicMcpProvider of the SDK's. */
export class DaemonComputer {
  #at;
  #entries = new Set();
  #schemas = [];

  constructor(at) {
    this.#at = at;
  }

  /** Looks again at what there is; it is looked at by itself after each change that is made here. */
  async refresh() {
    const [{ entries }, { tools }] = await Promise.all([this.#ask("GET", "hello"), this.#ask("GET", "tools")]);
    this.#entries = new Set(entries);
    this.#schemas = tools.map(({ name, description, inputSchema, outputSchema }) => {
      return { name, description: description ?? "", inputSchema, ...(outputSchema && { outputSchema }) };
    });
  }

  /** The tools as they were when they were looked at. */
  toolSchemas() {
    return this.#schemas;
  }

  /** What runs each tool. It knows the tool by its name, and so outlives a restart of the server. */
  toolHandlers() {
    return Object.fromEntries(this.#schemas.map(({ name }) => [name, (args) => this.call(name, args)]));
  }

  /** Calls a tool: what an agent gets of its result. Aborting the signal takes the call back. */
  call(name, args = {}, signal) {
    return this.#ask("POST", "call", { name, arguments: args, value: true }, signal);
  }

  async getHealth() {
    return health(await this.#ask("GET", "status"));
  }

  async ensureReady() {
    const ready = await this.#ask("POST", "ready");
    await this.refresh();
    const { recovered, failedEntries } = ready;
    return { ...health(ready), ...(recovered && { recovered }), ...(failedEntries && { failedEntries }) };
  }

  /** Adds an entry; rejects when there is one of that name. */
  async addEntry(namespace, entry, { deferred = false } = {}) {
    await this.#change(namespace, "add", { entry, deferred });
  }

  /** Removes an entry; nothing happens when there is none. */
  async removeEntry(namespace) {
    await this.#change(namespace, "remove").catch((error) => {
      if (error.code !== "unknownNamespace") throw error;
    });
  }

  async restartEntry(namespace) {
    await this.#change(namespace, "restart");
  }

  hasEntry(namespace) {
    return this.#entries.has(namespace);
  }

  async #change(namespace, verb, args) {
    await this.#ask("POST", `entries/${encodeURIComponent(namespace)}/${verb}`, args);
    await this.refresh();
  }

  // Not `fetch`: that gives a call up after five minutes.
  #ask(method, path, args, signal) {
    const { url, token } = this.#at;
    const headers = { ...(token && { authorization: `Bearer ${token}` }) };
    const body = method === "POST" ? JSON.stringify(args ?? {}) : undefined;
    if (body) Object.assign(headers, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
    return new Promise((resolve, reject) => {
      const asked = request(new URL(`/api/${path}`, url), { method, headers, signal }, async (answer) => {
        try {
          const text = Buffer.concat(await answer.toArray()).toString();
          if (answer.statusCode === 200) return resolve(JSON.parse(text));
          reject(refusal(answer.statusCode, text));
        } catch (error) {
          reject(error);
        }
      });
      asked.on("error", (error) => reject(error.code === "ECONNREFUSED" ? silent(url) : error));
      asked.end(body);
    });
  }
}

const health = ({ healthy, entries, totalTools }) => ({
  healthy,
  entries: entries.map(({ name, healthy, error }) => ({ name, healthy, ...(error && { error }) })),
  totalTools,
});

function silent(url) {
  const message = `nobody listens at ${url}; \`computer serve --http\` starts a daemon`;
  return new DaemonError({ code: "notThere", message });
}

function refusal(status, text) {
  try {
    const { error } = JSON.parse(text);
    if (error?.code && error.message) return new DaemonError(error);
  } catch {
    // Somebody else may listen there.
  }
  return new DaemonError({ code: "refused", message: `the daemon has refused with ${status}: ${text.trim()}` });
}
