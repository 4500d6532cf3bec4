'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { BasicClientSideCache, createClient, createClientPool, defineScript, WatchError } = require('redis');
const { blocked } = require('./run.cjs');

async function open(port, options = {}) {
  return createClient({ socket: { port }, ...options }).connect();
}

const jobs = {
  async types(port) {
    for (const RESP of [2, 3]) {
      const client = await open(port, { RESP });
      await client.flushAll();
      assert.equal(await client.set('k', 'v', { expiration: { type: 'EX', value: 60 }, condition: 'NX' }), 'OK');
      assert.equal(await client.ttl('k'), 60);
      assert.equal(await client.hSet('h', { a: '1', b: '2' }), 2);
      assert.deepEqual({ ...(await client.hGetAll('h')) }, { a: '1', b: '2' });
      await client.zAdd('z', [{ score: 1, value: 'one' }, { score: 2.5, value: 'two' }]);
      assert.deepEqual((await client.zRangeWithScores('z', 0, -1)).map((one) => ({ ...one })), [
        { score: 1, value: 'one' },
        { score: 2.5, value: 'two' },
      ]);
      assert.equal(await client.sAdd('s', ['x', 'y']), 2);
      assert.deepEqual(new Set(await client.sMembers('s')), new Set(['x', 'y']));
      assert.equal(await client.get('absent'), null);
      await assert.rejects(client.incr('k'), /not an integer/);
      await client.close();
    }
  },

  async transactions(port) {
    const client = await open(port);
    assert.deepEqual(await client.multi().set('a', '1').incr('a').exec(), ['OK', 2]);
    assert.deepEqual(await Promise.all([client.incr('a'), client.incr('a'), client.incr('a')]), [3, 4, 5]);
    const [watching, other] = [await open(port), await open(port)];
    await watching.watch('a');
    await other.set('a', 'changed');
    await assert.rejects(watching.multi().set('a', 'lost').exec(), WatchError);
  },

  async pub_sub(port) {
    const [subscriber, publisher] = [await open(port), await open(port)];
    const heard = [];
    const all = new Promise((resolve) => {
      const note = (message, channel) => heard.push([channel, message]) === 3 && resolve();
      return subscriber
        .subscribe('news', note)
        .then(() => subscriber.pSubscribe('n*', note))
        .then(() => subscriber.sSubscribe('shard', note))
        .then(() => publisher.publish('news', 'hello'))
        .then(() => publisher.sPublish('shard', 'hi'));
    });
    await all;
    assert.deepEqual(heard, [['news', 'hello'], ['news', 'hello'], ['shard', 'hi']]);
    assert.equal(await subscriber.ping(), 'PONG'); // RESP3: a subscriber may ask
    await subscriber.unsubscribe();
  },

  async a_pool_waits_in_parallel(port) {
    const pool = createClientPool({ socket: { port } }, { minimum: 2, maximum: 4 });
    await pool.connect();
    const waiting = [pool.blPop('l', 30), pool.blPop('l', 30)];
    await pool.rPush('l', ['a', 'b']);
    assert.deepEqual((await Promise.all(waiting)).map((one) => one.element).sort(), ['a', 'b']);
    await pool.close();
  },

  async scanning(port) {
    const client = await open(port);
    await client.mSet(Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`key:${n}`, String(n)])));
    const found = new Set();
    for await (const keys of client.scanIterator({ MATCH: 'key:*', COUNT: 40 })) keys.forEach((key) => found.add(key));
    assert.equal(found.size, 300);
  },

  async scripts(port) {
    const add = defineScript({
      SCRIPT: "return redis.call('incrby', KEYS[1], ARGV[1])",
      NUMBER_OF_KEYS: 1,
      parseCommand(parser, key, by) {
        parser.pushKey(key);
        parser.push(String(by));
      },
      transformReply: (reply) => reply,
    });
    const client = await open(port, { scripts: { add } });
    assert.equal(await client.add('n', 5), 5);
    assert.equal(await client.add('n', 6), 11);
    assert.equal(await client.eval('return ARGV[1]', { arguments: ['x'] }), 'x');
  },

  async streams(port) {
    const client = await open(port);
    const reader = await open(port);
    const read = reader.xRead({ key: 's', id: '$' }, { BLOCK: 30_000 });
    await blocked(() => client.info('clients'));
    const id = await client.xAdd('s', '*', { field: 'value' });
    const [stream] = await read;
    assert.equal(stream.name, 's');
    assert.equal(stream.messages[0].id, id);
    assert.deepEqual({ ...stream.messages[0].message }, { field: 'value' });
  },

  async client_side_caching(port) {
    const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 100, recordStats: true });
    const client = await open(port, { RESP: 3, clientSideCache: cache });
    const other = await open(port);
    await other.set('k', 'one');
    assert.equal(await client.get('k'), 'one');
    assert.equal(await client.get('k'), 'one');
    assert.deepEqual([cache.stats().hitCount, cache.stats().missCount], [1, 1]);
    const invalidated = once(cache, 'invalidate');
    await other.set('k', 'two');
    assert.equal(String(await invalidated), 'k');
    assert.equal(await client.get('k'), 'two');
  },

  async a_connection_that_is_lost_comes_back(port) {
    const client = await open(port, { socket: { port, reconnectStrategy: () => 1 } });
    const killer = await open(port);
    client.on('error', () => {});
    const id = await client.sendCommand(['CLIENT', 'ID']);
    const ready = new Promise((resolve) => client.once('ready', resolve)); // once() would take an error for the end
    await killer.sendCommand(['CLIENT', 'KILL', 'ID', String(id)]);
    await ready;
    assert.notEqual(await client.sendCommand(['CLIENT', 'ID']), id);
  },
};

module.exports = { jobs };
