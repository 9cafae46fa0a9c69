// SPDX-License-Identifier: Apache-2.0
// The fetch of Node itself. Usage: fetch.mjs BASE
const base = process.argv[2];
const body = 'z'.repeat(200000);
const out = [];
for (let i = 0; i < 3; i++) {
  const r = await fetch(base + '/p' + i, {method: 'POST', body});
  out.push([r.status, (await r.text()) === body]);
}
const many = await Promise.all([...Array(20).keys()].map(async i =>
  (await (await fetch(base + '/m', {method: 'PUT', body: 'n' + i})).text()) === 'n' + i));
out.push(many.every(x => x));
await (await fetch(base + '/few')).text();
const denied = await fetch(base + '/few');
out.push([denied.status, denied.headers.get('retry-after') > 0, (await denied.json()).error.type]);
console.log(JSON.stringify(out));
