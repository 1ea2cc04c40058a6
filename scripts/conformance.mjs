// Says what one run of a conformance suite showed, and compares it with the baseline: the same run against the
// fixture alone. Some checks pass without the thing they check, so that a pass alone says little.
//
//   node conformance.mjs [option…] RUN
//     --baseline DIRECTORY  the run to compare with
//     --required FILE       the scenarios that must pass, a line each
//     --without FILE        checks that say nothing here, a line each: only the required scenarios ran, and names differ
//     --broken FILE         scenarios that the suite itself counts as failed, a line each
//     --tally FILE          gets a line `passed failed`
//     --notes FILE          gets what was left out, a line each
import { appendFileSync, existsSync, readFileSync, readdirSync } from "node:fs";
import { isDeepStrictEqual, parseArgs } from "node:util";
import { join } from "node:path";

const text = { type: "string" };
const { values: options, positionals } = parseArgs({
  options: { baseline: text, required: text, without: text, broken: text, tally: text, notes: text },
  allowPositionals: true,
});
const lines = (file) => new Set(file ? readFileSync(file, "utf8").split("\n").filter(Boolean) : []);
const required = lines(options.required);
const without = lines(options.without);

// What a check of that status is worth; the higher, the better.
const RANK = { SUCCESS: 3, INFO: 2, SKIPPED: 2, WARNING: 1, FAILURE: 0 };

// The details that say what was seen, and not how it travelled. Where they differ from the baseline's, a pass is none.
const SUBSTANCE = [
  "result", "content", "messages", "schema", "logs", "progressNotifications", "uri", "mimeType", "hasBlob", "hasText",
  "defsValue", "schemaValue", "anchorValue", "audioDataLength", "hasData", "contentCount", "contentTypes",
  "resourceUri", "messageCount", "elicitationRequested", "samplingRequested", "resultType", "cancelAck",
  "statusAfterCancel", "observedStatus", "contentLength",
];
// These depend on what there is in the lists, and on tools that the suites call by their names.
const NAMED = [
  "tools", "toolCount", "prompts", "promptCount", "resources", "resourceCount", "inspectedNotificationCount",
];
// What a host may say in its own way.
const OWN = new Set(["_meta", "resultType", "ttlMs", "cacheScope", "capabilities", "supportedVersions", "instructions"]);
// These look at how messages travel, which is a matter of the front.
const TRAVEL = new Set(["server-sse-multiple-streams", "server-sse-polling"]);

function normal(value) {
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([key, inner]) => !OWN.has(key) && !(key === "isError" && inner === false));
  return Object.fromEntries(kept.map(([key, inner]) => [key, normal(inner)]));
}

function substance(scenario, check) {
  if (TRAVEL.has(scenario)) return {};
  const keys = options.without ? SUBSTANCE : [...SUBSTANCE, ...NAMED];
  const seen = keys.filter((key) => check.details?.[key] !== undefined);
  return Object.fromEntries(seen.map((key) => [key, normal(check.details[key])]));
}

// Every check of a run under a name of its own: a scenario may make one check several times.
function read(run) {
  const checks = new Map();
  for (const folder of existsSync(run) ? readdirSync(run).sort() : []) {
    const file = join(run, folder, "checks.json");
    if (!existsSync(file)) continue;
    const scenario = folder.replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, "").replace(/^server-/, "");
    const seen = new Map();
    for (const check of JSON.parse(readFileSync(file, "utf8"))) {
      // What was said and heard, in an order of its own each time.
      if (/^(incoming|outgoing)-/.test(check.id)) continue;
      const name = `${scenario} / ${check.id}`;
      const count = (seen.get(name) ?? 0) + 1;
      seen.set(name, count);
      checks.set(count > 1 ? `${name} (${count})` : name, { ...check, scenario });
    }
  }
  return checks;
}

const checks = read(positionals[0]);
const baseline = options.baseline ? read(options.baseline) : undefined;
const failures = [];
const notes = [];
let passed = 0;

for (const scenario of required) {
  if (![...checks.values()].some((check) => check.scenario === scenario)) failures.push(`${scenario}: did not run`);
}
for (const [name, check] of checks) {
  if (without.has(check.id)) continue;
  const before = baseline?.get(name);
  const worse = before && RANK[check.status] < RANK[before.status];
  const other = before && !worse && !isDeepStrictEqual(substance(check.scenario, check), substance(check.scenario, before));
  const why = check.errorMessage ? `: ${check.errorMessage.split("\n")[0].slice(0, 240)}` : "";
  if (worse) {
    failures.push(`${name} is ${check.status}, alone it is ${before.status}${why}`);
  } else if (check.status === "FAILURE" && required.has(check.scenario)) {
    failures.push(`${name} is ${check.status}${why}`);
  } else if (other) {
    failures.push(`${name} is ${check.status}, but saw other things than alone: ${differences(check, before)}`);
  } else if (check.status === "SUCCESS") {
    passed += 1;
  } else {
    notes.push(`${name} is ${check.status}${why}`);
  }
  if (baseline && check.status === "SUCCESS" && before?.status !== "SUCCESS") {
    notes.push(`${name} passes, alone it is ${before?.status ?? "absent"}: look whether it means anything`);
  }
}
const ran = new Set([...checks.values()].map((check) => check.scenario));
for (const [name, check] of baseline ?? []) {
  // What follows from a check that failed is often not tried any more; that counts as well.
  if (check.status !== "SUCCESS" || checks.has(name) || without.has(check.id)) continue;
  if (ran.has(check.scenario) || !options.without) {
    failures.push(`${name} is absent, alone it is SUCCESS`);
  }
}

for (const scenario of lines(options.broken)) {
  // A client that ends with an error fails, whatever was checked before.
  if (!failures.some((failure) => failure.startsWith(`${scenario}:`) || failure.startsWith(`${scenario} /`))) {
    failures.push(`${scenario}: the suite counts it as failed; its log says why`);
  }
}

function differences(check, before) {
  const [here, there] = [substance(check.scenario, check), substance(check.scenario, before)];
  const keys = [...new Set([...Object.keys(here), ...Object.keys(there)])];
  const differing = keys.filter((key) => !isDeepStrictEqual(here[key], there[key]));
  const short = (value) => JSON.stringify(value)?.slice(0, 160) ?? "nothing";
  return differing.map((key) => `${key} ${short(here[key])} for ${short(there[key])}`).join("; ");
}

for (const failure of failures) console.log(`  FAILED ${failure}`);
console.log(`  ${ran.size} scenarios: ${passed} checks passed, ${failures.length} failed`);
if (options.tally) appendFileSync(options.tally, `${passed} ${failures.length}\n`);
if (options.notes && notes.length) appendFileSync(options.notes, notes.map((note) => `${note}\n`).join(""));
