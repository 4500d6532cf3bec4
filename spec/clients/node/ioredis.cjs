'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const Redis = require('ioredis');
const { blocked } = require('./run.cjs');

const jobs = {
  async strings_and_pipelines(port) {
    const redis = new Redis(port, { connectionName: 'spec' });
    assert.equal(await redis.set('k', 'v', 'EX', 60, 'NX'), 'OK');
    assert.equal(await redis.set('k', 'w', 'NX'), null);
    const replies = await redis.pipeline().incr('n').hset('h', { a: 1, b: 2 }).hgetall('h').lpop('absent').exec();
    assert.deepEqual(replies, [[null, 1], [null, 2], [null, { a: '1', b: '2' }], [null, null]]);
    assert.deepEqual(await redis.mget('k', 'absent'), ['v', null]);
    assert.deepEqual(await redis.getBuffer('k'), Buffer.from('v'));
    assert.equal(await redis.client('GETNAME'), 'spec');
    await assert.rejects(redis.incr('k'), /not an integer/);
  },

  async transactions(port) {
    const [one, other] = [new Redis(port), new Redis(port)];
    assert.deepEqual(await one.multi().set('a', 1).incr('a').exec(), [[null, 'OK'], [null, 2]]);
    await one.watch('a');
    await other.set('a', 'changed');
    assert.equal(await one.multi().set('a', 'lost').exec(), null);
    await assert.rejects(one.multi().set('a').exec(), /EXECABORT/);
  },

  async pub_sub(port) {
    const [subscriber, publisher] = [new Redis(port), new Redis(port)];
    assert.equal(await subscriber.subscribe('news', 'weather'), 2);
    assert.equal(await subscriber.psubscribe('n*'), 3);
    const heard = Promise.all([once(subscriber, 'message'), once(subscriber, 'pmessage')]);
    assert.equal(await publisher.publish('news', 'hello'), 2);
    assert.deepEqual(await heard, [['news', 'hello'], ['n*', 'news', 'hello']]);
    assert.equal(await subscriber.unsubscribe('news', 'weather'), 1);
  },

  async waiting_for_elements(port) {
    const [waiting, pushing] = [new Redis(port), new Redis(port)];
    const popped = waiting.blpop('list', 30);
    await pushing.rpush('list', 'x');
    assert.deepEqual(await popped, ['list', 'x']);
    const least = waiting.bzpopmin('zset', 30);
    await pushing.zadd('zset', 1.5, 'm');
    assert.deepEqual(await least, ['zset', 'm', '1.5']);
  },

  async scanning(port) {
    const redis = new Redis(port);
    await redis.mset(...Array.from({ length: 300 }, (_, n) => [`key:${n}`, n]).flat());
    const found = new Set();
    for await (const keys of redis.scanStream({ match: 'key:*', count: 50 })) keys.forEach((key) => found.add(key));
    assert.equal(found.size, 300);
    await redis.hset('h', Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`f${n}`, n])));
    let fields = 0;
    for await (const pairs of redis.hscanStream('h')) fields += pairs.length / 2;
    assert.equal(fields, 200);
  },

  async scripts(port) {
    const redis = new Redis(port, { scripts: { echo: { lua: 'return {KEYS[1], ARGV[1], #ARGV}', numberOfKeys: 1 } } });
    assert.deepEqual(await redis.echo('k', 'a', 'b'), ['k', 'a', 2]);
    redis.defineCommand('addTo', { numberOfKeys: 1, lua: "return redis.call('incrby', KEYS[1], ARGV[1])" });
    assert.deepEqual(await redis.pipeline().addTo('n', 5).addTo('n', 6).exec(), [[null, 5], [null, 11]]);
    await redis.script('FLUSH');
    assert.equal(await redis.addTo('n', 1), 12); // NOSCRIPT, and EVAL instead
  },

  async streams(port) {
    const [reader, writer] = [new Redis(port), new Redis(port)];
    const read = reader.xread('BLOCK', 30_000, 'STREAMS', 's', '$');
    await blocked(async () => await writer.info('clients'));
    const id = await writer.xadd('s', '*', 'field', 'value');
    assert.deepEqual(await read, [['s', [[id, ['field', 'value']]]]]);
    await writer.xgroup('CREATE', 's', 'g', '0');
    const [[, [[first]]]] = await reader.xreadgroup('GROUP', 'g', 'c', 'STREAMS', 's', '>');
    assert.equal(await reader.xack('s', 'g', first), 1);
  },

  async monitor(port) {
    const redis = new Redis(port);
    const monitor = await redis.monitor();
    const seen = once(monitor, 'monitor');
    await redis.set('k', 'v');
    assert.deepEqual((await seen)[1], ['set', 'k', 'v']);
    monitor.disconnect();
  },

  async a_connection_that_is_lost_comes_back(port) {
    const [redis, killer] = [new Redis(port, { retryStrategy: () => 1 }), new Redis(port)];
    const id = await redis.client('ID');
    const ready = once(redis, 'reconnecting').then(() => once(redis, 'ready'));
    assert.equal(await killer.client('KILL', 'ID', id), 1);
    await ready;
    assert.notEqual(await redis.client('ID'), id);
  },
};

module.exports = { jobs };
