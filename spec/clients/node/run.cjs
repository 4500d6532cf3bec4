// One job of a program: node run.cjs ./ioredis.cjs PORT NAME. Whatever is wrong ends the process with 1 and says so.
'use strict';

const LONGEST_MS = 60_000;

// Until a client of the server waits in a blocking command; `ask` answers with INFO clients.
async function blocked(ask) {
  while (!/blocked_clients:[1-9]/.test(await ask()));
}

module.exports = { blocked };

function fail(error) {
  console.error(error);
  process.exit(1);
}

if (require.main === module) {
  const [file, port, name] = process.argv.slice(2);
  process.on('unhandledRejection', fail);
  setTimeout(() => fail(new Error('it takes too long')), LONGEST_MS).unref();
  require(file)
    .jobs[name](Number(port))
    .then(() => process.exit(0), fail);
}
