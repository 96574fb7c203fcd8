#!lua
-- KEYS: an offender's standing. ARGV: clock, given?, rule, violations that block, within, for
--       how long, and the end of the entry that is a block.
-- Answers: code, time, standing: 'V' and violations of 7 bytes, or 'B' and a block.
local CLOCK, DONE = 0, 1

local raw, server = clock()
if not raw then return { CLOCK, server } end
local standing = redis.call('GET', KEYS[1]) or ''
if blocked(standing, raw) then return { DONE, raw, standing } end -- it lasts as long as it was set for

local window, kept = tonumber(ARGV[5]), {}
if string.sub(standing, 1, 1) == 'V' then
  local old = string.sub(standing, 2)
  local v, n = numbers(old, 7, 'I6B', 2)
  for i = 1, n do
    if raw - window < v[2 * i - 1] then kept[#kept + 1] = string.sub(old, i * 7 - 6, i * 7) end
  end
end
kept[#kept + 1] = struct.pack('>I6B', raw, tonumber(ARGV[3]))
if #kept < tonumber(ARGV[4]) then
  standing = 'V' .. table.concat(kept)
  keep(KEYS[1], standing, window + STANDSTILL)
else
  local length = tonumber(ARGV[6])
  standing = 'B' .. struct.pack('>I6I6', raw, raw + length) .. ARGV[7]
  keep(KEYS[1], standing, length)
end
return { DONE, raw, standing }
