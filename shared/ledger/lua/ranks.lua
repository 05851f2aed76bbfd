-- @include base
-- How each of a contact's fields is proved. The lists `proved` and `unproved` name fields between commas; a field on
-- neither was restored, or comes from an earlier release. Unproved input never changes what is proved or on no list.

local SAME = {name = 'first_name', first_name = 'name'}  -- two ways to give one name

local function listed(list, field) return string.find(list or ',', ',' .. field .. ',', 1, true) ~= nil end
local function with(list, field) return listed(list, field) and list or (list or ',') .. field .. ',' end
local function without(list, field) return (string.gsub(list or ',', ',' .. field .. ',', ',')) end

-- Remember what a form says about a contact; what it may not change is kept as `claimed.<field>`, for the owner.
local function remember_fields(contact, given, is_proof)
  local known, set, gone = hash(contact), {}, {}
  local proved, unproved = known.proved or ',', known.unproved or ','
  local function is_kept(field) return known[field] and not listed(unproved, field) end
  for field, value in pairs(given) do
    if is_proof then
      set[field], proved, unproved = value, with(proved, field), without(unproved, field)
      gone[#gone + 1] = 'claimed.' .. field
      local typed = SAME[field]  -- the other form of the name, from a stranger
      if typed and not given[typed] and known[typed] and listed(unproved, typed) then
        set['claimed.' .. typed], unproved = known[typed], without(unproved, typed)
        gone[#gone + 1] = typed
      end
    elseif not is_kept(field) and not (SAME[field] and is_kept(SAME[field])) then
      set[field], unproved = value, with(unproved, field)
    elseif known[field] ~= value then
      set['claimed.' .. field] = value
    end
  end
  if proved ~= ',' then set.proved = proved end
  if unproved ~= ',' then set.unproved = unproved else gone[#gone + 1] = 'unproved' end
  local flat = {}
  for field, value in pairs(set) do flat[#flat + 1] = field; flat[#flat + 1] = value end
  if #flat > 0 then redis.call('HSET', contact, unpack(flat)) end
  if #gone > 0 then redis.call('HDEL', contact, unpack(gone)) end
end
