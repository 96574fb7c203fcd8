#!lua flags=allow-oom
-- KEYS: an offender's standing. ARGV: clock, given?, until, the end of the entry.
-- Answers: code, time.
local CLOCK, DONE = 0, 1

local raw, server = clock()
if not raw then return { CLOCK, server } end
local ends = tonumber(ARGV[3])
keep(KEYS[1], 'B' .. struct.pack('>I6I6', raw, ends) .. ARGV[4], ends - raw)
return { DONE, raw }
