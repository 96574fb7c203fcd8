#!lua flags=allow-oom
-- KEYS: charges, tries, standing. ARGV: clock, given?, how the keys of sealed results begin.
-- Answers: code, time.
local CLOCK, DONE = 0, 1

local raw, server = clock()
if not raw then return { CLOCK, server } end
local log = redis.call('GET', KEYS[1]) or ''
for i = 1, #log / SIZE do
  redis.call('DEL', ARGV[3] .. sealed_name(string.sub(log, i * SIZE - 23, i * SIZE - 12)))
end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
return { DONE, raw }
