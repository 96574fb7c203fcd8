#!lua flags=allow-oom
-- Takes back one try: of an attempt from an address that turned out to be blocked.
-- KEYS: tries. ARGV: clock, given?, tries as they were with it.
-- Answers: code, time.
local CLOCK, DONE = 0, 1

local raw, server = clock()
if not raw then return { CLOCK, server } end
local entry = string.sub(ARGV[3], -TRY)
local tries = redis.call('GET', KEYS[1]) or ''
for i = #tries / TRY, 1, -1 do
  if string.sub(tries, (i - 1) * TRY + 1, i * TRY) == entry then
    tries = string.sub(tries, 1, (i - 1) * TRY) .. string.sub(tries, i * TRY + 1)
    if tries == '' then
      redis.call('DEL', KEYS[1])
    else
      redis.call('SET', KEYS[1], tries, 'KEEPTTL')
    end
    break
  end
end
return { DONE, raw }
