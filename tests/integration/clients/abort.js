// SPDX-License-Identifier: Apache-2.0
// A client that loses interest inside a response. Usage: abort.js BASE
const {request} = require('undici');

async function main(base) {
  const abort = new AbortController();
  const answer = await request(base + '/slow', {signal: abort.signal});
  try {
    for await (const part of answer.body) if (part.length > 0) abort.abort();
  } catch (error) {
    console.log(JSON.stringify(error.name));
  }
}
main(process.argv[2]);
