#!lua flags=allow-oom
-- KEYS: the index of blocks. ARGV: clock, given?, most entries, then name and end of a block
--       to list, if any. Answers: code, time, then names of blocks and their ends.
local CLOCK, DONE = 0, 1

local raw, server = clock()
if not raw then return { CLOCK, server } end
if ARGV[4] then
  redis.call('ZADD', KEYS[1], ARGV[5], ARGV[4])
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', whole(raw))
  -- Beyond its bound those that end first leave the list; they stay in force.
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[3]))
  local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
  if last[2] then
    redis.call('PEXPIRE', KEYS[1], whole(tonumber(last[2]) - raw + SLACK))
  end
  return { DONE, raw }
end
local listed = redis.call('ZRANGE', KEYS[1], '(' .. whole(raw), '+inf', 'BYSCORE', 'WITHSCORES')
return { DONE, raw, listed }
