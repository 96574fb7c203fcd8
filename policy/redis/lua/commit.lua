#!lua flags=allow-oom
-- KEYS: charges, sealed result.
-- ARGV: clock, given?, request, owner, count, expires, sealed until, sealed result.
-- Answers: code, time, and after a commit the time of the log, and the log.
local CLOCK, LOST, COMMITTED = 0, 1, 2

local raw, server = clock()
if not raw then return { CLOCK, server } end
local request, owner, count = ARGV[3], ARGV[4], tonumber(ARGV[5])

local log, v, _, now, last, changed = settle(redis.call('GET', KEYS[1]) or '', raw)
local entry = last_of(log, request .. owner)
if not entry or v[5 * entry - 1] == REFUNDED or count > v[5 * entry - 2] then
  if changed then store(KEYS[1], log, last, raw) end
  return { LOST, raw }
end
if v[5 * entry - 1] == PENDING then
  local expires, until_ = tonumber(ARGV[6]), tonumber(ARGV[7])
  local fingerprint = string.sub(log, entry * SIZE - 3, entry * SIZE)
  -- It moves to now: windows count from when a token was issued.
  log = without(log, entry)
    .. struct.pack('>I6I6BB', now, expires, count, ISSUED) .. request .. owner .. fingerprint
  store(KEYS[1], log, math.max(last, now + DAY, expires), raw)
  if now < until_ then
    keep(KEYS[2], struct.pack('>I6', until_) .. ARGV[8], until_ - raw)
  else
    redis.call('DEL', KEYS[2])
  end
else
  -- Issued before. It is written again as it is: WAIT counts what its own connection wrote,
  -- and the commit that is repeated may have failed to wait, on another one.
  store(KEYS[1], log, last, raw)
end
return { COMMITTED, raw, now, log }
