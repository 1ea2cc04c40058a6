// Talks over the bridge with clients that others wrote:
//
//   node bridge.mjs MODULES URL TOKEN CLIENT
//
// MODULES is where the npm packages are, URL where the bridge is, CLIENT `ws`, `sockjs-client`, or
// `polling`, which is the latter without a WebSocket. It triggers a turn and
// hears it to its end, triggers another and stops it, and prints what it was told of both, and how the connection ended.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [modules, url, token, client] = process.argv.slice(2);
const require = createRequire(join(modules, 'x.js'));

function connect() {
  if (client === 'ws') {
    const WebSocket = require('ws');
    return new WebSocket(`${url.replace(/^http/, 'ws')}/websocket?token=${token}`);
  }
  const SockJS = require('sockjs-client');
  return new SockJS(`${url}?token=${token}`, null, { transports: [client === 'polling' ? 'xhr-polling' : 'websocket'] });
}

const sock = connect();
const told = [];
let wake = () => {};
sock.onmessage = ({ data }) => {
  told.push(JSON.parse(data));
  wake();
};
const closed = new Promise((done) => {
  sock.onclose = ({ code, reason }) => done({ code, reason });
});
await new Promise((done, failed) => {
  sock.onopen = done;
  sock.onerror = failed;
  closed.then(failed);
});

const say = (message) => sock.send(JSON.stringify(message));
async function hears(type) {
  while (told.at(-1)?.type !== type) await new Promise((done) => (wake = done));
  return told.splice(0);
}

const trigger = { type: 'trigger', triggerName: 'user-message', input: { USER_MESSAGE: 'hello' } };
say(trigger);
const first = await hears('finish');
say(trigger);
const second = await hears('start');
say({ type: 'stop' });
say(trigger);
const third = await hears('finish');
console.log(JSON.stringify({ first, second, third }));
sock.close();
console.log(JSON.stringify(await closed));
