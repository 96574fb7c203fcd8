-- What the scripts share. Each is sent as its own shebang line, this, and itself.
--
-- A user's charges are one string of entries, ordered by `at`:
--   at 6, expires 6, count 1, state 1, request 12, owner 8, fingerprint 4: 38 bytes.
-- policy/account.py says what they mean; what is done here must be what it does.

local HOUR, DAY = 3600000, 86400000
local STANDSTILL = 60000 -- a clock that steps back by no more stands still
local APART = 60000 -- the server's clock and the caller's, at most
local SLACK = 60000 -- keys outlast what they hold: time is judged by what is stored
local PENDING, ISSUED, REFUNDED = 1, 2, 3
local SIZE, TRY, CHUNK = 38, 17, 64

-- ARGV[1] is the caller's clock. In production (ARGV[2] is 0) it must agree with the
-- server's, whose time counts; tests give the time. Returns nil if they disagree.
local function clock()
  local told = tonumber(ARGV[1])
  if ARGV[2] == '1' then return told, told end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if math.abs(now - told) > APART then return nil, now end
  return now, now
end

local function sealed_name(request)
  return (string.gsub(request, '.', function(c) return string.format('%02x', string.byte(c)) end))
end

local function whole(number) return string.format('%.0f', number) end

local function keep(key, value, ms) -- at least as long as it matters
  redis.call('SET', key, value, 'PX', whole(math.max(ms, 0) + SLACK))
end

-- Unpacks the numbers of fixed-size entries, few calls for many entries: a flat table, and
-- how many entries there are.
local function numbers(packed, size, format, width)
  local count = #packed / size
  local flat, at = nil, 0
  while at < count do
    local some = math.min(CHUNK, count - at)
    local part = { struct.unpack('>' .. string.rep(format, some), packed, at * size + 1) }
    if flat then
      for i = 1, some * width do flat[at * width + i] = part[i] end
    else
      flat = part
    end
    at = at + some
  end
  return flat or {}, count
end

local ENTRY = 'I6I6BBc24' -- skipping bytes one by one takes longer than reading them

-- Brings log and clock into line and forgets what no longer counts. Returns the log, its
-- numbers (five to an entry: at, expires, count, state, and the rest as it is), how many
-- entries, the time, until when the last of them counts, and whether anything changed.
local function settle(log, now)
  local v, n = numbers(log, SIZE, ENTRY, 5)
  local changed = false
  local newest = n > 0 and v[5 * n - 4] or now
  if newest - now > STANDSTILL then
    local pieces = {}
    for i = 0, n - 1 do
      local o = 5 * i
      local ahead = v[o + 1] - now
      if ahead > 0 then
        v[o + 1] = now
        if v[o + 4] == PENDING then v[o + 2] = v[o + 2] - ahead end
      end
      pieces[i + 1] = struct.pack('>I6I6', v[o + 1], v[o + 2])
        .. string.sub(log, i * SIZE + 13, (i + 1) * SIZE)
    end
    log = table.concat(pieces)
    changed = true
  elseif newest > now then
    now = newest
  end
  local last, kept = 0, nil
  for i = 0, n - 1 do
    local o = 5 * i
    local state, ends = v[o + 4], nil
    if state == ISSUED then
      ends = v[o + 1] + DAY
      if v[o + 2] > ends then ends = v[o + 2] end
    elseif state == PENDING then
      ends = v[o + 2]
    else
      ends = v[o + 1] + HOUR
    end
    if now < ends then
      if ends > last then last = ends end
      if kept then kept[#kept + 1] = string.sub(log, i * SIZE + 1, (i + 1) * SIZE) end
    elseif not kept then
      kept = { string.sub(log, 1, i * SIZE) }
    end
  end
  if kept then
    log = table.concat(kept)
    v, n = numbers(log, SIZE, ENTRY, 5)
    changed = true
  end
  return log, v, n, now, last, changed
end

-- Counted from the server's time, not from a clock that stands still ahead of it.
local function store(key, log, last, raw)
  if log == '' then
    redis.call('DEL', key)
  else
    keep(key, log, last - raw)
  end
end

-- Returns the last entry, counted from 1, whose bytes from the 15th on begin with `bytes`
-- and which `wanted`.
local function last_of(log, bytes, wanted)
  local found, from = nil, 1
  while true do
    local at = string.find(log, bytes, from, true)
    if not at then return found end
    local entry = (at - 15) / SIZE
    if entry == math.floor(entry) and (not wanted or wanted(entry + 1)) then found = entry + 1 end
    from = at + 1
  end
end

local function without(log, entry)
  return string.sub(log, 1, (entry - 1) * SIZE) .. string.sub(log, entry * SIZE + 1)
end

-- Whether what is stored of an offender is a block that is in force. One that begins in the
-- future was set by a clock that has been set back since: it would last longer than it was set for.
local function blocked(standing, now)
  if not standing or string.sub(standing, 1, 1) ~= 'B' then return false end
  local since, ends = struct.unpack('>I6I6', standing, 2)
  return since <= now + STANDSTILL and now < ends
end

-- Appends to the user's recent tries, at most `most` within `window`; returns them.
local function remember(key, entry, window, most)
  local old = redis.call('GET', key) or ''
  local at = struct.unpack('>I6', entry)
  local v, n = numbers(old, TRY, 'I6c11', 2)
  local kept, runs, first = 0, {}, nil -- runs of entries that stay: mostly one
  for i = 1, n do
    local before = v[2 * i - 1]
    if at - window < before and before <= at + STANDSTILL then
      kept, first = kept + 1, first or i
    elseif first then
      runs[#runs + 1] = string.sub(old, (first - 1) * TRY + 1, (i - 1) * TRY)
      first = nil
    end
  end
  if first then runs[#runs + 1] = string.sub(old, (first - 1) * TRY + 1) end
  runs[#runs + 1] = entry
  local tries = table.concat(runs)
  if kept + 1 > most then tries = string.sub(tries, -most * TRY) end
  -- Tries may be this far ahead of the clock: one standstill for the charge they are dated
  -- by, one for being kept when the clock steps back.
  keep(key, tries, window + 2 * STANDSTILL)
  return tries
end
