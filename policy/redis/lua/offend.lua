#!lua flags=allow-oom
-- On a full server, too: who offends shall not be safe there. An offender's key ends by itself,
-- and has never more violations than block, less one.
-- KEYS: an offender's standing. ARGV: clock, given?, rule, violations that block, within, for
--       how long, the end of the entry that is a block, and evidence: 4 bytes, zeros for none.
-- Answers: code, time, standing: 'V' and violations of 11 bytes, or 'B' and a block; and 1 where
--          the block came with what was just counted.
local CLOCK, DONE = 0, 1
local NONE, VIOLATION = '\0\0\0\0', 11

local raw, server = clock()
if not raw then return { CLOCK, server } end
local standing = redis.call('GET', KEYS[1]) or ''
if blocked(standing, raw) then return { DONE, raw, standing } end -- it lasts as long as it was set for

local window, rule, evidence = tonumber(ARGV[5]), tonumber(ARGV[3]), ARGV[8]
local kept, known = {}, false
if string.sub(standing, 1, 1) == 'V' then
  local old = string.sub(standing, 2)
  local v, n = numbers(old, VIOLATION, 'I6Bc4', 3)
  for i = 1, n do
    if raw - window < v[3 * i - 2] then
      kept[#kept + 1] = string.sub(old, (i - 1) * VIOLATION + 1, i * VIOLATION)
      known = known or (v[3 * i - 1] == rule and v[3 * i] == evidence)
    end
  end
end
-- The same mistake again is one.
if known and evidence ~= NONE then return { DONE, raw, 'V' .. table.concat(kept) } end
kept[#kept + 1] = struct.pack('>I6Bc4', raw, rule, evidence)
if #kept < tonumber(ARGV[4]) then
  standing = 'V' .. table.concat(kept)
  keep(KEYS[1], standing, window + STANDSTILL)
else
  local length = tonumber(ARGV[6])
  standing = 'B' .. struct.pack('>I6I6', raw, raw + length) .. ARGV[7]
  keep(KEYS[1], standing, length)
  return { DONE, raw, standing, 1 }
end
return { DONE, raw, standing }
