#!lua
-- KEYS: tries. ARGV: clock, given?, kind, fingerprint, window of tries, most tries.
-- Answers: code, time, tries.
local CLOCK, DONE = 0, 1

local raw, server = clock()
if not raw then return { CLOCK, server } end
local entry = struct.pack('>I6I6Bc4', raw, 0, tonumber(ARGV[3]), ARGV[4])
return { DONE, raw, remember(KEYS[1], entry, tonumber(ARGV[5]), tonumber(ARGV[6])) }
