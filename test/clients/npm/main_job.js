// The main job of a user with the npm package "opennebula":
//   node main_job.js ENDPOINT SESSION PREFIX
// A user, a host, a network, an image, a template, a machine of it, which the
// scheduler places, RUNNING, then shut down. Prints the events as lines.
'use strict';

const { promisify } = require('util');
const OpenNebula = require('opennebula');

const [endpoint, session, prefix] = process.argv.slice(2);
const ACTIVE = 3, DONE = 6, RUNNING = 3, IMAGE_READY = 1;

// p makes a promise of a method with a callback.
const p = (object, method) => promisify(object[method].bind(object));

async function until(what, read, done) {
  let last;
  for (const end = Date.now() + 60000; Date.now() < end;) {
    last = await read();
    if (done(last)) return last;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what}: ${JSON.stringify(last)}`);
}

function expect(what, got, want) {
  if (String(got) !== String(want)) throw new Error(`${what} is ${got}, not ${want}`);
}

async function main() {
  const admin = new OpenNebula(session, endpoint);
  expect('version', await p(admin, 'version')(), '4.6.2');

  const name = `${prefix}-用户`;
  const newUser = await p(admin, 'createUser')(name, 'geheim', 'core');
  const user = (await p(admin.getUser(newUser.id), 'info')()).USER;
  expect('user name', user.NAME, name);

  const host = await p(admin, 'createHost')(`${prefix}-host`, 'dummy', 'dummy', 'dummy', -1);
  await until('host', p(admin.getHost(host.id), 'info'), (d) => d.HOST.STATE === '2');

  const one = new OpenNebula(`${name}:geheim`, endpoint);
  const network = await p(one, 'createVNet')(
    `NAME="${prefix} 网络"\nTYPE=FIXED\nBRIDGE=br0\nLEASES=[IP=10.9.2.7]`, -1);
  const image = await p(one, 'createImage')(`NAME="${prefix} 镜像"\nTYPE=OS\nPATH=/image`, 1);
  await until('image', p(one.getImage(image.id), 'info'), (d) => Number(d.IMAGE.STATE) === IMAGE_READY);
  const template = await p(one, 'createTemplate')(
    `NAME="${prefix} 模板"\nCPU=0.5\nMEMORY=64\nDISK=[IMAGE_ID=${image.id}]\nNIC=[NETWORK_ID=${network.id}]\n` +
    `SCHED_REQUIREMENTS="NAME=\\"${prefix}-host\\""`);

  const vm = await p(one.getTemplate(template.id), 'instantiate')(`${prefix} 机器`, false, '');
  const id = vm.id;
  const info = p(one.getVM(id), 'info');
  const running = (await until('VM', info, (d) => Number(d.VM.STATE) === ACTIVE && Number(d.VM.LCM_STATE) === RUNNING)).VM;
  expect('name', running.NAME, `${prefix} 机器`);
  expect('owner', running.UNAME, name);
  expect('address', running.TEMPLATE.NIC.IP, '10.9.2.7');
  expect('host', running.HISTORY_RECORDS.HISTORY.HOSTNAME, `${prefix}-host`);
  await p(one.getVM(id), 'action')('shutdown');
  await until('VM', info, (d) => Number(d.VM.STATE) === DONE);
  expect('state of the image', (await p(one.getImage(image.id), 'info')()).IMAGE.STATE, IMAGE_READY);

  // An error has 4.6's text.
  const err = await p(one.getVM(id), 'action')('resume').then(() => null, (e) => e);
  if (!err || !/Wrong state to perform action/.test(err.message)) throw new Error(`resume of a machine that is done: ${err}`);
  console.log(`VM ${id} DONE`);
}

main().catch((err) => {
  console.error(err);
  process.exit(1);
});
