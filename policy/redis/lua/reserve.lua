#!lua
-- KEYS: charges, sealed result, tries, user's standing; without a cluster, the address's.
-- ARGV: clock, given?, request, owner, fingerprint, count, lease, per hour, per day, cooldown,
--       sessions, window of tries, most tries.
-- Answers: code, time, and what belongs to the code.
local CLOCK, USER, ADDRESS, RESERVED, REPEATED = 0, 1, 2, 3, 4
local REFUSED, BUSY, REUSED, REPLAYED = 5, 6, 7, 8
local TRIED = { [REFUSED] = 1, [BUSY] = 3, [REUSED] = 3, [REPLAYED] = 4 }

local raw, server = clock()
if not raw then return { CLOCK, server } end
local request, owner, fingerprint = ARGV[3], ARGV[4], ARGV[5]
local count, lease = tonumber(ARGV[6]), tonumber(ARGV[7])

local standing = KEYS[5] and redis.call('GET', KEYS[5])
if blocked(standing, raw) then return { ADDRESS, raw, standing } end
standing = redis.call('GET', KEYS[4])
if blocked(standing, raw) then return { USER, raw, standing } end

local log, v, n, now, last, changed = settle(redis.call('GET', KEYS[1]) or '', raw)

local function tried(code, told)
  local entry = struct.pack('>I6I6Bc4', now, told, TRIED[code], fingerprint)
  return remember(KEYS[3], entry, tonumber(ARGV[12]), tonumber(ARGV[13]))
end

-- Is it a repeat?
local sealed = nil
local known = last_of(log, request, function(entry)
  local state = v[5 * entry - 1]
  if state == PENDING then return true end
  if state ~= ISSUED then return false end
  if sealed == nil then
    sealed = redis.call('GET', KEYS[2])
    if sealed and now >= struct.unpack('>I6', sealed) then sealed = false end
  end
  return sealed
end)
if known then
  if changed then store(KEYS[1], log, last, raw) end
  local theirs = string.sub(log, known * SIZE - 11, known * SIZE)
  if string.sub(theirs, 9) ~= fingerprint then
    return { REUSED, raw, now, tried(REUSED, 0) }
  end
  if v[5 * known - 1] == ISSUED then
    return { REPLAYED, raw, now, tried(REPLAYED, 0), string.sub(sealed, 7), log }
  end
  local ends = v[5 * known - 3]
  if string.sub(theirs, 1, 8) == owner then return { REPEATED, raw, ends } end
  return { BUSY, raw, now, tried(BUSY, ends), ends }
end

-- Does a limit refuse? The strictest is the one that refuses longest; on a par, the first.
local hour, day = tonumber(ARGV[8]), tonumber(ARGV[9])
local cooldown, sessions = tonumber(ARGV[10]), tonumber(ARGV[11])
local NEVER = -1
local strictest, opens = 0, 0

local function refuses(limit, at)
  if opens ~= NEVER and (at == NEVER or at > opens) then strictest, opens = limit, at end
end

-- When `count` more fit into `size` places, of which `taken` are: `first` is the entry whose
-- place is given back first, and `window` after its time.
local function rolls(limit, size, taken, first, window)
  if count > size then return refuses(limit, NEVER) end
  local at = now
  while taken + count > size do
    if v[5 * first - 1] ~= REFUNDED then
      taken = taken - v[5 * first - 2]
      at = v[5 * first - 4] + window
    end
    first = first + 1
  end
  if at > now then refuses(limit, at) end
end

-- From the newest back: what was counted where the hour ends is the hour's.
local taken, hourly, daily, first_of_hour, first_of_day, cools = 0, nil, nil, 1, 1, 0
for entry = n, 1, -1 do
  local o = 5 * entry - 1
  local at, state = v[o - 3], v[o]
  if not hourly and at + HOUR <= now then hourly, first_of_hour = taken, entry + 1 end
  if not daily and at + DAY <= now then daily, first_of_day = taken, entry + 1 end
  if state ~= REFUNDED then
    taken = taken + v[o - 1]
    if at + cooldown > cools then cools = at + cooldown end
    -- A mint that is under way may end in a token later than `at + cooldown`.
    if state == PENDING and v[o - 2] > cools then cools = v[o - 2] end
  end
end
rolls(1, hour, hourly or taken, first_of_hour, HOUR)
rolls(2, day, daily or taken, first_of_day, DAY)
if cooldown > 0 and now < cools then refuses(3, cools) end
if sessions > 0 then
  local held, live = {}, 0
  for i = 1, n do
    if v[5 * i - 1] ~= REFUNDED and v[5 * i - 3] > now then
      held[#held + 1] = { v[5 * i - 3], v[5 * i - 2] }
      live = live + v[5 * i - 2]
    end
  end
  if count > sessions then
    refuses(4, NEVER)
  elseif live + count > sessions then
    table.sort(held, function(a, b) return a[1] < b[1] end)
    local at, i = now, 1
    while live + count > sessions do
      live, at, i = live - held[i][2], held[i][1], i + 1
    end
    refuses(4, at)
  end
end
if strictest > 0 then
  if changed then store(KEYS[1], log, last, raw) end
  return { REFUSED, raw, now, tried(REFUSED, math.max(opens, 0)), strictest, opens }
end

local ends = now + lease
log = log .. struct.pack('>I6I6BB', now, ends, count, PENDING) .. request .. owner .. fingerprint
store(KEYS[1], log, math.max(last, ends), raw)
return { RESERVED, raw, ends }
