-- Sends the requests of a file (a length on a line, then as many bytes) one after the other.
--
-- Arguments: the file; "once" or "again" (what comes after its last request); a file of writes, each sent once, of which
-- 15 in 100 requests are, or "-"; milliseconds that a connection waits before each request; "statuses" to count them, and
-- when answers came that were no plain 200.
-- A file of requests that work once and is too short is followed by pings, which are counted as beyond.

local reads, writes = {}, nil
local at, written, turn, once, wait = 0, 0, 0, false, 0
local filler, this_thread = nil, nil
local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long ns; } monotonic_time; int clock_gettime(int, monotonic_time *);")
local clock = ffi.new("monotonic_time")
-- The longest run whose refusals are counted by seconds.
local SECONDS = 600

-- The seconds of the monotonic clock, which Python's time.monotonic() has too.
local function now()
   ffi.C.clock_gettime(1, clock)
   return tonumber(clock.s) + tonumber(clock.ns) / 1e9
end

function setup(thread)
   this_thread = thread
end

local function load(path)
   local found, file = {}, assert(io.open(path, "rb"))
   while true do
      local length = file:read("*l")
      if not length then
         break
      end
      found[#found + 1] = file:read(tonumber(length))
   end
   file:close()
   return found
end

function init(args)
   reads = load(args[1])
   once = args[2] == "once"
   if args[3] ~= "-" then
      writes = load(args[3])
   end
   wait = tonumber(args[4])
   sent, beyond, without_retry = 0, 0, 0
   local body = '{"query":"{ __typename }"}'
   filler = "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
   if wait > 0 then
      -- Spread, so that connections don't march in step.
      delay = function()
         return math.floor(wait * (0.5 + math.random()) + 0.5)
      end
   end
   if args[5] == "statuses" then
      -- A global for each status: what is local here can't be read at the end.
      response = function(status, headers, body)
         local name = "status_" .. status
         if status == 503 and not (headers["Retry-After"] or headers["retry-after"]) then
            without_retry = without_retry + 1
         elseif status == 200 and #body < 2000 and body:find('"UNAVAILABLE"', 1, true) then
            name = "refused_in_200"
         end
         _G[name] = (_G[name] or 0) + 1
         if name ~= "status_200" then
            last_refused = now() - began
            local second = "refused_at_" .. math.floor(last_refused)
            _G[second] = (_G[second] or 0) + 1
         end
      end
   end
end

function request()
   began = began or now()
   turn = turn + 1
   sent = sent + 1
   -- 15 of 100, spread evenly.
   if writes and turn * 15 % 100 < 15 then
      written = written + 1
      if written > #writes then
         beyond = beyond + 1
         return filler
      end
      return writes[written]
   end
   at = at + 1
   if at > #reads then
      if once then
         beyond = beyond + 1
         return filler
      end
      at = 1
   end
   return reads[at]
end

function done(summary, latency)
   local errors, counted = summary.errors, {}
   for status = 100, 599 do
      local number = this_thread:get("status_" .. status)
      if number then
         counted[#counted + 1] = string.format('"%d":%d', status, number)
      end
   end
   local by_second = {}
   for second = 0, math.min(SECONDS, summary.duration / 1e6) do
      by_second[#by_second + 1] = this_thread:get("refused_at_" .. second) or 0
   end
   local last = this_thread:get("last_refused")
   counted[#counted + 1] = string.format('"200 with UNAVAILABLE":%d', this_thread:get("refused_in_200") or 0)
   io.write(string.format(
      'RESULT {"requests":%d,"microseconds":%d,"bytes":%d,"p50_us":%d,"p99_us":%d,"mean_us":%.1f,"max_us":%d,' ..
      '"connect_errors":%d,"read_errors":%d,"write_errors":%d,"status_errors":%d,"timeouts":%d,"sent":%d,"beyond":%d,' ..
      '"statuses":{%s},"without_retry":%d,"began":%.6f,"last_refused":%s,"refused_by_second":[%s]}\n',
      summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99), latency.mean, latency.max,
      errors.connect, errors.read, errors.write, errors.status, errors.timeout,
      this_thread:get("sent"), this_thread:get("beyond"), table.concat(counted, ","), this_thread:get("without_retry"),
      this_thread:get("began"), last and string.format("%.6f", last) or "null", table.concat(by_second, ",")))
end
