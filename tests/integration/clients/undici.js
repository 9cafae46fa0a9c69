// SPDX-License-Identifier: Apache-2.0
// undici: one pipelining connection, and a pool of fifty. Usage: undici.js BASE
const {Client, Pool} = require('undici');
const {randomBytes} = require('crypto');
const {Readable} = require('stream');

async function bytes(body) {
  const parts = [];
  for await (const part of body) parts.push(part);
  return Buffer.concat(parts);
}

async function main(base) {
  const out = {bodies: []};
  const client = new Client(base, {pipelining: 10});
  for (const size of [0, 1, 70000, 3000000]) {
    const sent = randomBytes(size);
    const answer = await client.request({path: '/up', method: 'PUT', body: sent});
    out.bodies.push((await bytes(answer.body)).equals(sent));
  }
  const turns = [...Array(40).keys()];
  const own = async (dispatcher, i) => {
    const answer = await dispatcher.request({path: '/' + i, method: 'PUT', body: 'body ' + i});
    return (await answer.body.text()) === 'body ' + i;
  };
  out.pipelined = (await Promise.all(turns.map(i => own(client, i)))).every(Boolean);
  const chunks = async function* () { for (let i = 0; i < 50; i++) yield Buffer.alloc(10000, i); };
  const streamed = await client.request({path: '/up', method: 'POST', body: Readable.from(chunks())});
  const expected = Buffer.concat(await Readable.from(chunks()).toArray());
  out.streamed = (await bytes(streamed.body)).equals(expected);
  const head = await client.request({path: '/', method: 'HEAD'});
  out.head = [head.statusCode, await head.body.text()];
  const packed = await client.request({path: '/packed', method: 'GET', headers: {'accept-encoding': 'gzip'}});
  out.packed = packed.headers['content-encoding'];
  await packed.body.text();
  await (await client.request({path: '/few', method: 'GET'})).body.text();
  const denied = await client.request({path: '/few', method: 'GET'});
  out.denied = denied.statusCode;
  await denied.body.text();
  await client.close();
  const pool = new Pool(base, {connections: 50});
  out.parallel = (await Promise.all([...Array(200).keys()].map(i => own(pool, i)))).every(Boolean);
  await pool.close();
  console.log(JSON.stringify(out));
}
main(process.argv[2]);
