#!lua flags=allow-oom
-- Writes a user's charges as they are, so that WAIT on this connection covers them: it counts
-- what its own connection wrote.
-- KEYS: charges. ARGV: clock, given?. Answers: code, time, whether there were any.
local CLOCK, DONE = 0, 1

local raw, server = clock()
if not raw then return { CLOCK, server } end
local left = redis.call('PTTL', KEYS[1])
if left > 0 then redis.call('PEXPIRE', KEYS[1], whole(left)) end
return { DONE, raw, left > 0 and 1 or 0 }
