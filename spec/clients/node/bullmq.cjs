'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { FlowProducer, Queue, QueueEvents, UnrecoverableError, Worker } = require('bullmq');

const SOON_MS = 30_000;

const connection = (port) => ({ host: '127.0.0.1', port, maxRetriesPerRequest: null });

// A queue, its events, and a worker that does what `work` says with each job.
async function bench(port, work, { worker = {}, name = 'work', link = connection(port) } = {}) {
  const queue = new Queue(name, { connection: link }).setMaxListeners(50);
  const events = new QueueEvents(name, { connection: link });
  await events.setMaxListeners(50).waitUntilReady();
  const start = async (event) => {
    const one = new Worker(name, work, { connection: link, ...worker });
    const heard = event && once(one, event); // it may come before the worker is ready
    await one.waitUntilReady();
    await heard;
    return one;
  };
  const result = (job) => job.waitUntilFinished(events, SOON_MS);
  return { queue, events, start, result };
}

const jobs = {
  async jobs_and_results(port) {
    const { queue, start, result } = await bench(port, async (job) => job.data.a + job.data.b);
    const added = await queue.addBulk(Array.from({ length: 20 }, (_, n) => ({ name: 'add', data: { a: n, b: 1 } })));
    assert.equal(await queue.count(), 20);
    const worker = await start();
    assert.deepEqual(await Promise.all(added.map(result)), Array.from({ length: 20 }, (_, n) => n + 1));
    assert.equal((await queue.getJob(added[3].id)).returnvalue, 4);
    assert.equal((await queue.getJobCounts('completed', 'waiting', 'active')).completed, 20);
    assert.equal((await queue.getCompleted(0, 4)).length, 5);
    await worker.close();
  },

  async what_waits_in_a_worker_is_woken(port) {
    const { queue, start, result } = await bench(port, async () => 'done');
    const worker = await start('drained');
    assert.equal(await result(await queue.add('later', {})), 'done');
    await worker.close();
  },

  async delayed(port) {
    const { queue, start, result } = await bench(port, async (job) => job.name);
    const late = await queue.add('late', {}, { delay: 300 });
    const never = await queue.add('never', {}, { delay: 3_600_000 });
    assert.equal(await late.getState(), 'delayed');
    const worker = await start();
    assert.equal(await result(late), 'late');
    assert.equal(await never.getState(), 'delayed');
    await never.promote();
    assert.equal(await result(never), 'never');
    await worker.close();
  },

  async repeated(port) {
    const { queue, events, start } = await bench(port, async (job) => job.data);
    await queue.upsertJobScheduler('every', { every: 100, limit: 3 }, { name: 'tick', data: 1 });
    await queue.upsertJobScheduler('night', { pattern: '0 3 * * *' }, { name: 'report', data: 2 });
    assert.equal(await queue.getJobSchedulersCount(), 2);
    let ticks = 0;
    const ticked = new Promise((resolve) => events.on('completed', () => ++ticks === 3 && resolve()));
    const worker = await start();
    await ticked;
    assert.equal((await queue.getJobScheduler('night')).pattern, '0 3 * * *');
    assert.equal(await queue.removeJobScheduler('night'), true);
    await worker.close();
  },

  async failed_and_retried(port) {
    const { queue, start, result } = await bench(port, async (job) => {
      if (job.name === 'hopeless') throw new UnrecoverableError('no use');
      if (job.attemptsMade < 2) throw new Error('not yet');
      return job.attemptsMade;
    });
    const flaky = await queue.add('flaky', {}, { attempts: 3, backoff: { type: 'fixed', delay: 10 } });
    const hopeless = await queue.add('hopeless', {}, { attempts: 5 });
    const worker = await start();
    assert.equal(await result(flaky), 2);
    await assert.rejects(result(hopeless), /no use/);
    const [failed] = await queue.getFailed();
    assert.equal(failed.id, hopeless.id);
    assert.match(failed.stacktrace[0], /no use/);
    await worker.close();
    await queue.retryJobs({ state: 'failed' });
    assert.equal(await failed.getState(), 'waiting');
  },

  async the_urgent_goes_first(port) {
    const done = [];
    const { queue, start, result } = await bench(port, async (job) => done.push(job.name));
    const added = [];
    for (const [name, priority] of [['later', 10], ['soon', 5], ['soon too', 5], ['now', 1]]) {
      added.push(await queue.add(name, {}, { priority }));
    }
    const worker = await start();
    await Promise.all(added.map(result));
    assert.deepEqual(done, ['now', 'soon', 'soon too', 'later']);
    await worker.close();
  },

  async rate_limited(port) {
    const limiter = { max: 2, duration: 3_600_000 };
    const { queue, start, result } = await bench(port, async () => 'done', { worker: { limiter, maximumRateLimitDelay: 20 } });
    const added = await queue.addBulk(Array.from({ length: 4 }, (_, n) => ({ name: 'limited', data: n })));
    const worker = await start();
    await Promise.all(added.slice(0, 2).map(result));
    assert.ok((await queue.getRateLimitTtl()) > 3_000_000);
    assert.deepEqual((await queue.getWaiting()).map((job) => job.data), [2, 3]);
    await worker.close();
    await queue.removeRateLimitKey();
    const next = await start();
    await Promise.all(added.map(result));
    await next.close();
  },

  async flows(port) {
    const { queue, start, result } = await bench(port, async (job) => {
      if (job.name === 'leaf') return job.data;
      const values = Object.values(await job.getChildrenValues());
      return values.reduce((sum, value) => sum + value, 0);
    });
    const flow = new FlowProducer({ connection: connection(port) });
    const leaf = (data) => ({ name: 'leaf', queueName: 'work', data });
    const tree = await flow.add({
      name: 'sum',
      queueName: 'work',
      children: [{ name: 'sum', queueName: 'work', children: [leaf(1), leaf(2)] }, leaf(10)],
    });
    assert.equal(await tree.job.getState(), 'waiting-children');
    const worker = await start();
    assert.equal(await result(tree.job), 13);
    const found = await flow.getFlow({ id: tree.job.id, queueName: 'work' });
    assert.equal(found.children.length, 2);
    await worker.close();
    await flow.close();
  },

  async progress_logs_and_pausing(port) {
    const { queue, events, start, result } = await bench(port, async (job) => {
      await job.updateProgress({ done: 50 });
      await job.log('half');
      await job.updateData({ seen: true });
      return 'done';
    });
    const progress = new Promise((resolve) => events.on('progress', resolve));
    await queue.pause();
    assert.equal(await queue.isPaused(), true);
    const job = await queue.add('slow', {});
    const worker = await start();
    await queue.resume();
    assert.equal(await result(job), 'done');
    assert.deepEqual((await progress).data, { done: 50 });
    assert.deepEqual((await queue.getJobLogs(job.id)).logs, ['half']);
    assert.deepEqual((await queue.getJob(job.id)).data, { seen: true });
    assert.equal((await queue.getWorkers()).length, 1);
    await worker.close();
  },

  async stalled(port) {
    // A worker that died holds no lock any more; another one finds its job and does it.
    const { queue, start, result } = await bench(port, async () => 'done', { worker: { stalledInterval: 50 } });
    const job = await queue.add('left behind', {});
    const dead = new Worker('work', null, { connection: connection(port), lockDuration: 1 });
    assert.equal((await dead.getNextJob('token')).id, job.id);
    const worker = await start();
    assert.equal(await result(job), 'done');
    await worker.close();
  },

  async cleaning(port) {
    const { queue, start, result } = await bench(port, async () => 'x'.repeat(100));
    const added = await queue.addBulk(Array.from({ length: 10 }, (_, n) => ({ name: 'n', data: { n } })));
    const gone = await queue.add('gone', {}, { removeOnComplete: true });
    const worker = await start();
    await Promise.all([...added, gone].map(result));
    await worker.close();
    assert.equal(await queue.getJob(gone.id), undefined);
    assert.equal((await queue.clean(0, 100, 'completed')).length, 10);
    await queue.add('waits', {});
    await queue.add('once', {}, { deduplication: { id: 'once' } });
    await queue.add('once', {}, { deduplication: { id: 'once' } });
    assert.equal(await queue.count(), 2);
    await queue.drain();
    await queue.obliterate();
    assert.equal(await queue.count(), 0);
  },

  async over_node_redis(port) {
    const link = await require('redis').createClient({ socket: { port } }).connect();
    const { queue, start, result } = await bench(port, async (job) => job.data.n * 2, { link });
    const worker = await start();
    assert.equal(await result(await queue.add('double', { n: 21 })), 42);
    await worker.close();
  },
};

module.exports = { jobs };
