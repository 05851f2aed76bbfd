# mypy: ignore-errors
# Runs in a virtual environment of its own, whose packages the project's lacks.
"""The floor: what Redis and HTTP cost by themselves.

One ZADD for each customer, one asyncio loop that takes what is due with a lease.

It retries, records, paces, renders and steers nothing: no one would run a business on it. `python app.py` is the
worker.
"""

import asyncio
import json
import time

import redis.asyncio
import uvloop
import work

AT_ONCE, LEASE, CONNECTIONS = 64, 5.0, 16
TAKE = """local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
if #due > 0 then
  redis.call('ZREM', KEYS[1], unpack(due))
  for _, name in ipairs(due) do redis.call('ZADD', KEYS[2], ARGV[1] + ARGV[3], name) end
end
return {due, redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] or ''}"""
RECLAIM = """for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1])) do
  redis.call('ZREM', KEYS[2], name) redis.call('ZADD', KEYS[1], ARGV[1], name)
end"""
KEYS = ["due", "leased"]
_redis = redis.asyncio.Redis.from_url(work.REDIS_URL)


async def enroll(customer, dues):
    """Schedule a customer's emails."""
    await _redis.zadd("due", {json.dumps([customer, step, due]): due for step, due in enumerate(dues, 1)})


async def _sender(waiting, done):
    reader, writer = await asyncio.open_connection("127.0.0.1", work.STUB_PORT)
    while True:
        name = await waiting.get()
        body = work.mail(*json.loads(name))
        writer.write(
            b"POST /emails HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % len(body)
            + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        done.append(name)


async def _acknowledge(done):
    while True:
        if done:
            batch, done[:] = done[:], []
            await _redis.zrem("leased", *batch)
        await asyncio.sleep(0.02)


async def _reclaim():
    script = _redis.register_script(RECLAIM)
    while True:
        await script(keys=KEYS, args=[time.time()])
        await asyncio.sleep(1)


async def main():
    """Send what is due, until ended."""
    take, waiting, done = _redis.register_script(TAKE), asyncio.Queue(AT_ONCE), []
    tasks = [asyncio.create_task(_sender(waiting, done)) for _ in range(CONNECTIONS)]
    tasks += [asyncio.create_task(_acknowledge(done)), asyncio.create_task(_reclaim())]
    while True:
        due, following = await take(keys=KEYS, args=[time.time(), AT_ONCE, LEASE])
        for name in due:
            await waiting.put(name)
        if not due:
            await asyncio.sleep(min(0.05, max(0.001, float(following) - time.time())) if following else 0.05)


if __name__ == "__main__":
    uvloop.run(main())
