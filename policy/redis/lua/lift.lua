#!lua flags=allow-oom
-- KEYS: an offender's standing. ARGV: clock, given?. Answers: code, time, standing before.
local CLOCK, DONE = 0, 1

local raw, server = clock()
if not raw then return { CLOCK, server } end
local standing = redis.call('GET', KEYS[1]) or ''
redis.call('DEL', KEYS[1])
return { DONE, raw, standing }
