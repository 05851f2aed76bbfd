-- @include base lifecycle
-- What calendars report about meetings, in any order: which enrollments a meeting has begun, and which end with it. A
-- meeting is a booking, or in a booking with seats the seat of one attendee; then the booking's own record only says
-- so. What ends is remembered, so that a booking that arrives after its end has no effect: of a booking for good, of a
-- seat until it is booked again, of a series under the contact.

local function meeting_key(id) return 'eg:meeting:' .. id end
local function series_key(contact) return 'eg:cancelled:' .. contact end

local function keep_for(key, milliseconds)
  if redis.call('PTTL', key) < milliseconds then redis.call('PEXPIRE', key, int(milliseconds)) end
end

-- An earlier release kept one record for all seats, with the reminders of the first who booked: it becomes their seat.
local function adopt(own, known, seat, contact)
  local owner = known.run and redis.call('HGET', enrollment_key(known.run), 'contact') or known.contact
  if owner ~= contact or redis.call('EXISTS', meeting_key(seat)) == 1 then return end
  redis.call('RENAME', own, meeting_key(seat))
  redis.call('HSET', meeting_key(seat), 'contact', contact)
end

-- The id of the meeting in a booking.
local function meeting_in(m, booking, seat, contact)
  if not seat then return booking end
  local own, known = meeting_key(booking), fields(meeting_key(booking), 'seats', 'contact', 'at', 'run')
  if m.seated or known.seats then
    adopt(own, known, seat, contact)
    redis.call('HSET', own, 'seats', '1')
    keep_for(own, m.keep)
    return seat
  end
  if m.what == 'booked' or m.what == 'cancelled' then return booking end
  -- of a booking that the ledger does not know, each attendee is marked apart
  local of_another = known.contact and known.contact ~= contact and not known.at
  return (of_another or redis.call('EXISTS', meeting_key(seat)) == 1) and seat or booking
end

local function cancel(enrollment, why)
  if is_open(enrollment) then stop_enrollment(enrollment, 'cancelled', why) end
end

-- The calendar withdraws what began an enrollment of the meeting; if it sends the same again, that is the next
-- enrollment.
local function take_back(id, enrollment, why)
  cancel(enrollment, why)
  if enrollment then redis.call('HSET', meeting_key(id), 'taken_back.' .. enrollment, '1') end
end

local function is_taken_back(id, enrollment)
  return redis.call('HEXISTS', meeting_key(id), 'taken_back.' .. enrollment) == 1
end

-- The meeting will not take place; if its booking arrives only after this, it has no effect. A seat may be taken again.
local function drop(m, id, is_seat, contact, why)
  local key, known = meeting_key(id), fields(meeting_key(id), 'at', 'run', 'gone')
  if is_seat and tonumber(known.at or '-1') > m.at then return end
  take_back(id, known.run, why)
  redis.call('HSET', key, 'gone', is_seat and int(math.max(m.at, tonumber(known.gone or '0'))) or '1')
  if is_seat then redis.call('HSET', key, 'contact', contact) end
  keep_for(key, m.keep)
end

-- The other meetings of the contact that end with it: at certain dates, or all that remains of the series.
local function drop_others(m, contact)
  local function ends(starts, series)
    if #m.dates == 0 then return series == m.series and starts >= m.at end
    for _, date in ipairs(m.dates) do if date == starts then return true end end
  end
  for _, enrollment in ipairs(redis.call('SMEMBERS', 'eg:enrollments:' .. contact)) do
    local e = fields(enrollment_key(enrollment), 'meeting', 'slug', 'anchor')
    local known = e.meeting and fields(meeting_key(e.meeting), 'at', 'starts', 'series', 'seat') or {}
    -- an earlier release did not link reminders to their meeting, but they count from its start
    if not e.meeting and e.slug == m.reminds then known = {at = '0', starts = e.anchor} end
    if known.starts and tonumber(known.at) <= m.at and ends(tonumber(known.starts), known.series) then
      if e.meeting then
        drop(m, e.meeting, known.seat, contact, 'the meeting was cancelled')
      else
        cancel(enrollment, 'the meeting was cancelled')
      end
    end
  end
  local key = series_key(contact)
  for _, date in ipairs(m.dates) do redis.call('HSET', key, int(date), int(m.at)) end
  if #m.dates == 0 then redis.call('HSET', key, 'series.' .. m.series, int(m.at)) end
  keep_for(key, m.keep)
end

-- Whether a booking was cancelled with its series before it arrived.
local function is_cancelled(m, contact)
  local key = series_key(contact)
  local date = redis.call('HGET', key, int(m.starts))
  local rest = m.series and redis.call('HGET', key, 'series.' .. m.series)
  return date and tonumber(date) >= m.at or rest and tonumber(rest) >= m.at and m.starts >= tonumber(rest)
end

-- Whether a booking was followed by what is known. Of two from the same millisecond the later meeting counts, whichever
-- arrives first.
local function is_superseded(m, known)
  local at = tonumber(known.at or '-1')
  return at > m.at or at == m.at and tonumber(known.starts) > m.starts
end

-- Each returns whether the event enrolls, and if not, what became of it and of which enrollment.
local meet = {}
function meet.booked(m, known, id, contact)
  local is_seat, gone = id == m.seat, known.gone
  if gone and is_seat and tonumber(gone) < m.at then gone = nil end
  local is_same = known.starts and tonumber(known.starts) == m.starts and not known.gone
  -- one who has sat in the new slot all along moves nowhere
  if m.replaces and (m.first or not (is_seat and is_same)) then
    local old = meeting_in(m, m.replaces, m.replaces_seat, contact)
    drop(m, old, old == m.replaces_seat, contact, 'the meeting was moved')
  end
  if gone or is_superseded(m, known) or is_cancelled(m, contact) then return false, 'ignored' end
  redis.call('HSET', meeting_key(id), 'at', int(m.at), 'starts', int(m.starts), 'contact', contact)
  if m.series then redis.call('HSET', meeting_key(id), 'series', m.series) end
  if is_seat then redis.call('HSET', meeting_key(id), 'seat', '1') end
  redis.call('HDEL', meeting_key(id), 'gone')
  if is_seat and is_same and known.run then return false, 'exists', known.run end
  if known.starts and not is_same then take_back(id, known.run, 'the meeting was moved') end
  return true
end

function meet.cancelled(m, known, id, contact)
  drop(m, id, id == m.seat, contact, 'the meeting was cancelled')
  if #m.dates > 0 or m.series then drop_others(m, known.contact or contact) end
  return false, 'cancelled'
end

-- Whether a mark says nothing new: only the booker is asked to book again, and a guest's mark is not about the booker.
local function is_settled(m, known, contact)
  local has_seats = redis.call('HEXISTS', meeting_key(m.uid), 'seats') == 1
  return known.contact and known.contact ~= contact or has_seats and not known.contact
    or known.judged and tonumber(known.judged) >= m.at
end

meet['no-show'] = function(m, known, id, contact)
  if known.gone or is_settled(m, known, contact) then return false, 'ignored' end
  redis.call('HSET', meeting_key(id), 'judged', int(m.at), 'contact', contact)
  return true
end

meet['no-show-undone'] = function(m, known, id, contact)
  if is_settled(m, known, contact) then return false, 'ignored' end
  redis.call('HSET', meeting_key(id), 'judged', int(m.at), 'contact', contact)
  take_back(id, known.recovery, 'the no-show was taken back')
  return false, 'cancelled'
end

-- Apply what a calendar reports about a contact's meeting. Only what identifies the person at the meeting is
-- remembered: a cancellation says nothing new about them. Returns what `meet` does, after the meeting's id.
local function apply_meeting(m, contact)
  local id = meeting_in(m, m.uid, m.seat, contact)
  local known = fields(meeting_key(id), 'gone', 'at', 'starts', 'contact', 'judged', 'run', 'recovery')
  local enrolls, what, enrollment = meet[m.what](m, known, id, contact)
  keep_for(meeting_key(id), m.keep)
  return id, enrolls, what, enrollment
end
