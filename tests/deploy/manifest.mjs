// SPDX-License-Identifier: Apache-2.0
// Checks Kubernetes manifests without a cluster, as `kubeconform` would:
//   node manifest.mjs check FILE...           types, required and unknown fields, and the rules of a native sidecar
//   node manifest.mjs policies FOLDER FILE... writes each *.yaml of each ConfigMap into FOLDER
// Problems go to standard error, one a line; exit 1 if there are any.
import {spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {basename, dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseAllDocuments} from 'yaml';

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);

function readManifests(file) {
  return parseAllDocuments(readFileSync(file, 'utf8')).map((document, i) => {
    if (document.errors.length) throw new Error(`${file}: ${document.errors[0].message}`);
    const content = document.toJS();
    return {name: `${file}#${i + 1} ${content.kind}`, content};
  });
}

/** Wrong types and missing fields; says nothing about fields it does not know. */
function wrongFields({name, content}) {
  let Model;
  try {
    Model = require(`kubernetes-models/${content.apiVersion}/${content.kind}`)[content.kind];
  } catch {
    return [`${name}: no such kind in ${content.apiVersion}`];
  }
  try {
    new Model(content).validate();
    return [];
  } catch (error) {
    return [`${name}: ${error.message}`];
  }
}

/** Fields that the API does not have, found by the compiler: the manifest as a literal of its type. */
function unknownFields(manifests) {
  const folder = mkdtempSync(join(here, 'node_modules', '.manifest-'));
  try {
    manifests.forEach(({content}, i) => {
      const [version, group = 'core'] = content.apiVersion.split('/').reverse();
      writeFileSync(join(folder, `manifest${i}.mts`),
          `import type {${content.kind}} from 'kubernetes-types/${group.split('.')[0]}/${version}.js';\n` +
          `export const manifest: ${content.kind} = ${JSON.stringify(content, null, 2)};\n`);
    });
    const files = manifests.map((_, i) => join(folder, `manifest${i}.mts`));
    const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--pretty', 'false'];
    const {stdout} = spawnSync(process.execPath, [require.resolve('typescript/bin/tsc'), ...options, ...files],
        {cwd: folder, encoding: 'utf8'});
    return stdout.split('\n').filter((line) => line.includes('error'))
        .map((line) => line.replace(/^.*?manifest(\d+)\.mts\(.*?\)/, (_, i) => manifests[i].name));
  } finally {
    rmSync(folder, {recursive: true});
  }
}

/** What a native sidecar must not have: it would close the door while the app still serves, or miss updates. */
function sidecarRules({name, content}) {
  const sidecars = (content.spec?.template?.spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always');
  const problems = [];
  for (const sidecar of sidecars) {
    if (sidecar.lifecycle?.preStop) problems.push('preStop runs while the app still serves');
    if ((sidecar.volumeMounts ?? []).some((mount) => mount.subPath)) problems.push('a subPath mount never updates');
    if (sidecar.securityContext?.runAsUser !== 65532) problems.push('does not run as uid 65532');
    if (!sidecar.securityContext?.readOnlyRootFilesystem) problems.push('the root file system is writable');
  }
  return problems.map((problem) => `${name}: sidecar: ${problem}`);
}

function check(files) {
  const manifests = files.flatMap(readManifests);
  const known = manifests.filter((manifest) => wrongFields(manifest).length === 0);
  return [...manifests.flatMap(wrongFields), ...unknownFields(known), ...manifests.flatMap(sidecarRules)];
}

function writePolicies(folder, files) {
  for (const {content} of files.flatMap(readManifests).filter(({content}) => content.kind === 'ConfigMap')) {
    for (const [key, text] of Object.entries(content.data ?? {})) {
      if (key.endsWith('.yaml')) writeFileSync(join(folder, `${content.metadata.name}-${basename(key)}`), text);
    }
  }
  return [];
}

const [verb, ...args] = process.argv.slice(2);
const problems = verb === 'policies' ? writePolicies(args[0], args.slice(1)) : check(args);
problems.forEach((problem) => console.error(problem));
process.exit(problems.length ? 1 : 0);
