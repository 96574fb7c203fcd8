#!lua flags=no-writes
-- Changes nothing.
-- KEYS: charges, and for all that is known tries and standing; without a cluster, the
--       address's standing. ARGV: clock, given?, how the keys of sealed results begin, or ''.
-- Answers: code, time, the values of the keys, then requests and their sealed results.
local CLOCK, DONE = 0, 1

local raw, server = clock()
if not raw then return { CLOCK, server } end
local answer = { DONE, raw }
for i = 1, #KEYS do answer[i + 2] = redis.call('GET', KEYS[i]) or '' end
if ARGV[3] ~= '' then
  local log = answer[3]
  for i = 1, #log / SIZE do
    local request = string.sub(log, i * SIZE - 23, i * SIZE - 12)
    local sealed = redis.call('GET', ARGV[3] .. sealed_name(request))
    if sealed then
      answer[#answer + 1] = request
      answer[#answer + 1] = sealed
    end
  end
end
return answer
