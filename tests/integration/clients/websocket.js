// SPDX-License-Identifier: Apache-2.0
// A server of `ws` behind weir and its client in front. Usage: websocket.js SERVER_PORT WEIR_URL
const {WebSocket, WebSocketServer} = require('ws');
const {randomBytes} = require('crypto');
const {once} = require('events');

const next = async socket => (await once(socket, 'message'))[0];

async function status(url) {  // of a handshake that fails
  const socket = new WebSocket(url);
  socket.on('error', () => {});
  const [, response] = await once(socket, 'unexpected-response');
  response.destroy();
  return response.statusCode;
}

async function main(port, url) {
  const server = new WebSocketServer({
    port, host: '127.0.0.1', maxPayload: 64 << 20, perMessageDeflate: true,
    handleProtocols: offered => [...offered][0],
    verifyClient: (info, done) => done(!info.req.url.endsWith('secret'), 401),
  });
  server.on('connection', (socket, request) => {
    socket.on('message', (data, binary) => socket.send(data, {binary}));
    if (request.url.endsWith('ping')) socket.ping('hello');
  });
  await once(server, 'listening');
  const out = {};
  const socket = new WebSocket(url + '/chat', ['chat'], {maxPayload: 64 << 20});
  await once(socket, 'open');
  out.protocol = socket.protocol;
  out.extensions = socket.extensions;
  socket.send('grüße');
  out.text = (await next(socket)).toString();
  const frame = randomBytes(1 << 20);
  socket.send(frame);
  out.big = (await next(socket)).equals(frame);
  const received = [];
  const all = new Promise(done => socket.on('message', data => received.push(data.length) === 200 && done()));
  for (let i = 0; i < 200; i++) socket.send(Buffer.alloc(i * 50));
  await all;
  out.many = received.every((length, i) => length === i * 50);
  const pinged = new WebSocket(url + '/chat?ping');
  out.server_ping = (await once(pinged, 'ping'))[0].toString() === 'hello';
  pinged.terminate();
  out.refused = await status(url + '/chat?secret');
  out.denied = await status(url + '/chat');
  socket.close(4000, 'bye');
  const [code, reason] = await once(socket, 'close');
  out.close = [code, reason.toString()];
  server.close();
  console.log(JSON.stringify(out));
}
main(Number(process.argv[2]), process.argv[3]);
