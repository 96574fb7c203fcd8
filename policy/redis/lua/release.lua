#!lua flags=allow-oom
-- KEYS: charges, sealed result.
-- ARGV: clock, given?, request, owner, ambiguous?, refunds per hour.
-- Answers: code, time.
local CLOCK, NOTHING, RELEASED, KEPT = 0, 1, 2, 3

local raw, server = clock()
if not raw then return { CLOCK, server } end
local request, owner, ambiguous = ARGV[3], ARGV[4], ARGV[5] == '1'

local log, v, n, now, last, changed = settle(redis.call('GET', KEYS[1]) or '', raw)
local entry = last_of(log, request .. owner)
if not entry or v[5 * entry - 1] ~= PENDING then
  if changed then store(KEYS[1], log, last, raw) end
  return { NOTHING, raw }
end
local refunds = 0
for i = 1, n do
  if v[5 * i - 1] == REFUNDED then refunds = refunds + 1 end
end
local fingerprint = string.sub(log, entry * SIZE - 3, entry * SIZE)
if ambiguous and refunds >= tonumber(ARGV[6]) then
  local at = v[5 * entry - 4]
  -- It stays, but is nobody's: it can neither be committed nor answer a repeat.
  log = string.sub(log, 1, (entry - 1) * SIZE)
    .. struct.pack('>I6I6BB', at, at, v[5 * entry - 2], ISSUED)
    .. request .. string.rep('\0', 8) .. fingerprint
    .. string.sub(log, entry * SIZE + 1)
  store(KEYS[1], log, math.max(last, at + DAY), raw)
  redis.call('DEL', KEYS[2])
  return { KEPT, raw }
end
log = without(log, entry)
if ambiguous then
  log = log .. struct.pack('>I6I6BB', now, now, 0, REFUNDED) .. request .. owner .. fingerprint
  last = math.max(last, now + HOUR)
end
store(KEYS[1], log, last, raw)
return { RELEASED, raw }
