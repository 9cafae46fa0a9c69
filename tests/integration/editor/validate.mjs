// SPDX-License-Identifier: Apache-2.0
// What a JSON Schema validator says of policy files.
//   node validate.mjs SCHEMA check FILE...        one line of JSON per file: {"file", "errors"}
//   node validate.mjs SCHEMA spoil FILE OUT EACH  makes copies of FILE with one value spoilt or one key misspelt; writes each
//                                                 EACHth that the schema refuses to OUT/N.json, N = 0, 1, ...;
//                                                 prints {"refused", "accepted", "keys", "written"}
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';

const require = createRequire(import.meta.url);
const Ajv = require('ajv').default;
const YAML = require('yaml');

const [schemaFile, verb, ...rest] = process.argv.slice(2);
const validate = new Ajv({strict: true, allowUnionTypes: true}).compile(JSON.parse(readFileSync(schemaFile, 'utf8')));

const read = (file) => YAML.parse(readFileSync(file, 'utf8'));

function check(files) {
  for (const file of files) {
    const ok = validate(read(file));
    const errors = ok ? [] : validate.errors.map((e) => `${e.instancePath} ${e.message} ${JSON.stringify(e.params)}`);
    console.log(JSON.stringify({file, errors}));
  }
}

const SPOILT = ['', 'no such thing', -1, 0, 1e12, 1.5, true, '5', '5s', '5 s', '64KiB', '64KB', '20%', '120%', '9/minute',
  '9/fortnight', 'a:1', 'http://h', 'UPPER', null, [], {}, ['no such thing'], {nokey: 1}];

// [container, key, path] of every value below `value`, x- keys and what users name apart.
function* places(value, path) {
  if (value === null || typeof value !== 'object') return;
  for (const key of Object.keys(value)) {
    if (path === '' && key.startsWith('x-')) continue;
    const at = `${path}/${key}`;
    yield [value, key, at];
    yield* places(value[key], at);
  }
}

function spoil(file, out, each) {
  mkdirSync(out, {recursive: true});
  const document = read(file);
  const counts = {refused: 0, accepted: 0, keys: 0, written: 0};
  const judge = (path) => {
    if (validate(document)) {
      counts.accepted += 1;
    } else {
      if (counts.refused % each === 0) {
        writeFileSync(`${out}/${counts.written}.json`, JSON.stringify({'x-spoilt': path, ...document}));
        counts.written += 1;
      }
      counts.refused += 1;
    }
  };
  for (const [container, key, path] of places(document, '')) {
    const value = container[key];
    counts.keys += 1;
    for (const spoilt of SPOILT) {
      container[key] = spoilt;
      judge(`${path} = ${JSON.stringify(spoilt)}`);
    }
    container[key] = value;
    if (Array.isArray(container)) continue;
    delete container[key];
    container[`${key}x`] = value;
    judge(`${path} misspelt`);
    delete container[`${key}x`];
    container[key] = value;
  }
  console.log(JSON.stringify(counts));
}

if (verb === 'check') check(rest);
else spoil(rest[0], rest[1], Number(rest[2]));
