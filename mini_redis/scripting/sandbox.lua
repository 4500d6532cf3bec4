-- What a script sees of Lua.
--
-- Scripts share one Lua, and what one leaves behind the next must not find. So every table that they can reach by name
-- is read-only, and so is the table of names itself: a script works with locals. What reaches out of the server (io, os,
-- require) or under Lua's hood (debug, setfenv) is not there.
--
-- Redis's own Lua knows read-only tables. Here one is an empty table that looks everything up in the real one, which no
-- script ever holds; what could see the difference (pairs, next, rawget, table.insert, getmetatable...) is told of it
-- in `behind`. Two more differences are hidden here:
--
-- * Host functions are C functions to Lua, so that a script which ends in `return redis.call(...)` keeps its line in
--   the error: a tail call of a function of Lua would lose it. What they raise arrives as the host's own object and is
--   replaced by its value (`revealed`) wherever it is caught: pcall, xpcall, coroutines, and the end of the script.
-- * A hook written in Lua belongs to one coroutine, so each new one is given it.
--
-- The chunk is called once with what the host provides, and returns what the host needs.

local host = ...

local getinfo, getlocal, sethook, setfenv, newproxy = debug.getinfo, debug.getlocal, debug.sethook, setfenv, newproxy
local error, tostring, type, select, unpack = error, tostring, type, select, unpack
local pcall, xpcall, load, loadstring = pcall, xpcall, load, loadstring
local next, pairs, rawget, rawset, getmetatable, setmetatable = next, pairs, rawget, rawset, getmetatable, setmetatable
local create, resume, status = coroutine.create, coroutine.resume, coroutine.status
local insert, foreach, concat = table.insert, table.foreach, table.concat
local gsub, sub, dump, format = string.gsub, string.sub, string.dump, string.format
local collectgarbage, tonumber = collectgarbage, tonumber

local STACK = 8000 -- places on Lua's stack
local READ_ONLY = 'Attempt to modify a readonly table'
local SIGNATURE = '\27' -- the first byte of compiled code, which Lua trusts, and so nobody else can

-- Read-only tables ----------------------------------------------------------------------------------------------------

local behind = {} -- read-only table -> the real one
local metatables = {} -- read-only table -> what it shows as its metatable

local function refuse()
    error(READ_ONLY, 2)
end

local function protect(real)
    local shown = {}
    behind[shown] = real
    setmetatable(shown, { __index = real, __newindex = refuse })
    return shown
end

local function missing(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end

-- `protect` for tables in which a wrong name is an error.
local function protect_strictly(real)
    setmetatable(real, { __index = missing })
    local shown = protect(real)
    metatables[shown] = protect({ __index = missing })
    return shown
end

-- Errors --------------------------------------------------------------------------------------------------------------

local revealed = host.revealed

local function value_of(err)
    if type(err) == 'string' then
        err = gsub(err, '^sandbox:%d+: ', '')
    end
    if type(err) ~= 'userdata' then
        return err
    end
    local value, is_reply, is_counted = revealed(err)
    collectgarbage('step', 4) -- to Lua the host's object is a few bytes, so that it would be in no hurry to free it
    if not is_reply then
        return value
    end
    local reply = { err = value }
    if is_counted then
        reply.ignore_error_stats_update = true
    end
    return reply
end

-- Calls a function of Lua's with arguments that it will refuse, and complains as if the script had called it itself. Only
-- if a script ends in such a call, it has no line any more: these wrappers are functions of Lua.
local function complain(name, original, ...)
    local _, text = pcall(original, ...)
    if getinfo(3, 'S').what ~= 'tail' then
        name = getinfo(2, 'n').name or '?'
    end
    error((gsub(text, "'%?'", "'" .. name .. "'", 1)), 3)
end

-- Redis's handler: an error becomes a table with its text and the place where it arose.
local function located(err)
    err = value_of(err)
    local level = 2
    local info = getinfo(level, 'S')
    if info and info.what == 'C' then
        level = 3
        info = getinfo(level, 'S')
    end
    local is_lost = false -- the line of who called one of the functions here, and did nothing after it
    while info and (info.source == '=sandbox' or info.what == 'tail') do
        is_lost = is_lost or info.what == 'tail'
        level = level + 1
        info = getinfo(level, 'S')
    end
    if type(err) ~= 'table' then
        err = { err = 'ERR ' .. tostring(err) }
    elseif behind[err] then
        -- Redis's handler fails here, and handles that.
        return { err = 'ERR err_handler_def:10: ' .. READ_ONLY, source = '@err_handler_def', line = 10 }
    end
    if info and not (is_lost and info.what == 'C') then
        err.source = info.source
        err.line = getinfo(level, 'l').currentline
    end
    return err
end

-- Globals -------------------------------------------------------------------------------------------------------------

local function copy(from, names)
    local made = {}
    for _, name in next, names or {} do
        made[name] = from[name]
    end
    if not names then
        for name, value in next, from do
            made[name] = value
        end
    end
    return made
end

local globals = copy(_G, {
    '_VERSION', 'assert', 'error', 'gcinfo', 'ipairs', 'rawequal', 'select', 'tonumber', 'tostring', 'type',
})
globals.math, globals.string, globals.table = copy(math), copy(string), copy(table)
globals.coroutine = copy(coroutine)
globals.os = { clock = os.clock }

-- An error that is a table with a text is caught as that text.
local function caught(ok, ...)
    if ok then
        return true, ...
    end
    local err = value_of((...))
    if type(err) == 'table' then
        local text = err.err
        if type(text) == 'string' or type(text) == 'number' then
            return false, text
        end
        return false, err, text -- so it has always been
    end
    return false, err
end

function globals.pcall(...)
    if select('#', ...) == 0 then
        return false, 'attempt to call a boolean value'
    end
    return caught(pcall(...))
end

function globals.xpcall(...)
    local action, handler = ...
    if type(handler) ~= 'function' then
        if select('#', ...) < 2 then
            complain('xpcall', xpcall, ...)
        end
    elseif handler ~= located then
        local inner = handler
        handler = function(err)
            return inner(value_of(err))
        end
    end
    return xpcall(action, handler)
end

-- Lua 5.1 counts the elements in 32 bits, and believes the result.
function globals.unpack(...)
    local list, first, last = ...
    if type(list) ~= 'table' then
        complain('unpack', unpack, ...)
    end
    local distance = (tonumber(last) or #list) - (tonumber(first) or 1)
    if distance > STACK - 1000 and (distance >= STACK or not pcall(unpack, ...)) then
        error('too many results to unpack', 2)
    end
    return unpack(...)
end

-- What is written here is nobody's business, and would be no use to anybody.
function globals.string.dump(...)
    local action = ...
    if type(action) ~= 'function' then
        complain('dump', dump, ...)
    elseif getinfo(action, 'S').what == 'C' or getinfo(action, 'S').source == '=sandbox' then
        error('unable to dump given function', 2)
    end
    return dump(action)
end

local AS_ALWAYS = { stop = 0, restart = 0, setpause = 200, setstepmul = 200 }

-- How the garbage of all scripts is collected is not for one of them to say.
function globals.collectgarbage(...)
    local option = ...
    if AS_ALWAYS[option] then
        return AS_ALWAYS[option]
    end
    if option ~= nil and option ~= 'collect' and option ~= 'count' and option ~= 'step' then
        complain('collectgarbage', collectgarbage, ...)
    end
    return collectgarbage(...)
end

function globals.next(...)
    local container, key = ...
    if type(container) ~= 'table' then
        complain('next', next, ...)
    end
    return next(behind[container] or container, key)
end

function globals.pairs(...)
    local container = ...
    if type(container) ~= 'table' then
        complain('pairs', pairs, ...)
    end
    if behind[container] then
        return globals.next, container, nil -- and never the real table
    end
    return next, container, nil
end

function globals.rawget(...)
    local container, key = ...
    if type(container) ~= 'table' or select('#', ...) < 2 then
        complain('rawget', rawget, ...)
    end
    return rawget(behind[container] or container, key)
end

function globals.rawset(...)
    local container, key, value = ...
    if behind[container] then
        error(READ_ONLY, 0)
    end
    if type(container) ~= 'table' or select('#', ...) < 3 then
        complain('rawset', rawset, ...)
    end
    return rawset(container, key, value)
end

function globals.setmetatable(...)
    local container, metatable = ...
    if behind[container] then
        error(READ_ONLY, 0)
    end
    if type(container) ~= 'table' or getmetatable(container) ~= nil or type(metatable) ~= 'table' then
        if not pcall(setmetatable, ...) then
            complain('setmetatable', setmetatable, ...)
        end
        return container
    end
    return setmetatable(container, metatable)
end

local null = newproxy(true) -- what JSON calls null, where nil would end an array
getmetatable(null).__tostring = function()
    return 'userdata: (nil)'
end
metatables[''] = protect({})

function globals.getmetatable(...)
    local value = ...
    if type(value) == 'string' then
        return metatables['']
    end
    if behind[value] or value == null then
        return metatables[value]
    end
    if select('#', ...) == 0 then
        complain('getmetatable', getmetatable, ...)
    end
    return getmetatable(value)
end

function globals.table.insert(...)
    local container = ...
    if behind[container] then
        error(READ_ONLY, 0)
    end
    local count = select('#', ...)
    if type(container) ~= 'table' or not (count == 2 or (count == 3 and type(select(2, ...)) == 'number')) then
        complain('insert', insert, ...)
    end
    return insert(...)
end

function globals.table.foreach(container, action)
    return foreach(behind[container] or container, action)
end

-- Code from text ------------------------------------------------------------------------------------------------------

local environment -- what is global to a script

-- Compiled code is read as if it were text, which fails at its first byte.
local function not_text(name)
    local _, text = loadstring('\1', name)
    text = gsub(text, 'char%(1%)', 'char(27)')
    return nil, text
end

local function in_sandbox(chunk, err)
    if chunk then
        return setfenv(chunk, environment)
    end
    return nil, value_of(err)
end

function globals.loadstring(...)
    local text, name = ...
    if type(text) ~= 'string' and type(text) ~= 'number' then
        complain('loadstring', loadstring, ...)
    end
    if sub(text, 1, 1) == SIGNATURE then
        return not_text(name or text)
    end
    return in_sandbox(loadstring(...))
end

local function compiled(text, name)
    if sub(text, 1, 1) == SIGNATURE then
        return not_text(name)
    end
    return in_sandbox(loadstring(text, name))
end

function globals.load(reader, name)
    if type(reader) ~= 'function' then
        complain('load', load, reader, name)
    end
    local begun, is_compiled = false, false
    local chunk, err = load(function()
        local piece = reader()
        if not begun and type(piece) == 'string' and piece ~= '' then
            begun, is_compiled = true, sub(piece, 1, 1) == SIGNATURE
        end
        return not is_compiled and piece or nil
    end, name)
    if is_compiled then
        return not_text(name or '=(load)')
    end
    return in_sandbox(chunk, err)
end

-- Coroutines ----------------------------------------------------------------------------------------------------------

local hook, events = nil, '' -- called now and then, in whatever runs; while somebody debugs, at each line
local running -- the coroutine that runs, nil outside of them

function globals.coroutine.create(...)
    if type((...)) ~= 'function' then
        complain('create', create, ...)
    end
    local thread = create(...)
    sethook(thread, hook, events, host.instructions)
    return thread
end

local function resumed(thread, before, ok, ...)
    running = before
    if status(thread) == 'dead' then
        sethook(thread)
    end
    if ok then
        return true, ...
    end
    return false, value_of((...))
end

function globals.coroutine.resume(...)
    local thread = ...
    if type(thread) ~= 'thread' then
        complain('resume', resume, ...)
    end
    local before = running
    running = thread
    return resumed(thread, before, resume(...))
end

local function unwrapped(ok, ...)
    if ok then
        return ...
    end
    error(..., 3) -- which adds the place to a text
end

function globals.coroutine.wrap(...)
    if type((...)) ~= 'function' then
        complain('wrap', create, ...)
    end
    local thread = globals.coroutine.create(...)
    return function(...)
        local before = running
        running = thread
        return unwrapped(resumed(thread, before, resume(thread, ...)))
    end
end

-- What the host brings ------------------------------------------------------------------------------------------------

local as_function = python.as_function

local function library(functions)
    local made = {}
    for name, value in next, functions do
        made[name] = type(value) == 'userdata' and as_function(value) or value
    end
    return made
end

local function cjson(functions)
    local made = library(functions)
    made.null = null
    return made
end

for name, functions in next, host.libraries do
    globals[name] = name == 'cjson' and cjson(functions) or library(functions)
end
globals.math.random, globals.math.randomseed = as_function(host.random), as_function(host.randomseed)
getmetatable('').__index = copy(globals.string)

local redis, while_loading = library(host.api), library(host.loading_api)
globals.redis = redis
if host.is_for_eval then
    globals.__redis__err__handler = located
end
for name, value in next, globals do
    if type(value) == 'table' then
        globals[name] = protect(value)
    end
end
behind[metatables['']].__index = globals.string
environment = protect_strictly(globals)
globals._G = environment

-- A library sees nothing but the means to register its functions while it is loaded.
local loading = { redis = protect_strictly(while_loading) }
setmetatable(loading, { __index = missing })

-- For the host --------------------------------------------------------------------------------------------------------

local interrupted, killed = as_function(host.interrupted), false

local function end_if_told()
    if getinfo(2, 'S').source == '=sandbox' then
        return -- an error here might find nobody who catches it
    end
    local why = interrupted()
    if why then
        killed = true
        sethook(end_if_told, 'l') -- whatever the script catches, its next line is its last again
        error({ err = why }, 0)
    end
end

local function watch()
    killed, running = false, nil
    hook, events = end_if_told, ''
    sethook(hook, events, host.instructions)
end

watch()

local MOST_ELEMENTS = 4000 -- Lua's stack has room for twice as many
local EXACT = 2 ^ 53

-- How long an array of nothing but strings and integers is, which is what most scripts return if they return a table: its
-- elements are handed over as they are. Others, with their structure, are for the host to walk.
local function flat_length(value)
    local length = 0
    for at, element in next, value do
        length = length + 1
        if at ~= length or length > MOST_ELEMENTS then
            return nil
        end
        local kind = type(element)
        if kind ~= 'string' and not (kind == 'number' and element % 1 == 0 and element < EXACT and element > -EXACT) then
            return nil
        end
    end
    return length
end

-- What the host is told: a single value is what was returned; of several the first says what the others are.
local function outcome(ok, value)
    if killed then
        watch()
    end
    running = nil
    if ok then
        if type(value) == 'table' then
            local length = flat_length(value)
            if length then
                return 'array', length, unpack(value, 1, length)
            end
            local status = rawget(value, 'ok')
            if type(status) == 'string' and rawget(value, 'err') == nil then
                return 'status', status
            end
        end
        return value
    end
    if type(value) ~= 'table' then
        return 'failure', nil, value
    end
    return 'failure', value.err, value.source, value.line, value.ignore_error_stats_update
end

-- A call's keys and its other words: `count` of them are keys; or it is the keys' table, and the others come in another.
local function divided(count, ...)
    if count == 1 then
        return { (...) }, { select(2, ...) }
    elseif count == 0 then
        return {}, { ... }
    elseif type(count) == 'table' then
        return count, (...)
    end
    return { unpack({ ... }, 1, count) }, { select(count + 1, ...) }
end

local action, keys, words

local function act()
    return action(keys, words)
end

-- For who debugs a script ---------------------------------------------------------------------------------------------

local DEEPEST = 10
local quoted = as_function(host.quoted)

-- A value as the debugger shows it; a table in one of two ways, of which only its end tells which it is.
local function described(value, depth)
    if depth == DEEPEST then
        return '<max recursion level reached! Nested table?>'
    end
    local kind = type(value)
    if kind == 'string' then
        return quoted(value)
    elseif kind == 'number' then
        return format('%g', value)
    elseif kind == 'nil' or kind == 'boolean' then
        return tostring(value)
    elseif value == null then
        return '"light-userdata@(nil)"'
    elseif kind ~= 'table' then
        return '"' .. gsub(tostring(value), ': ', '@', 1) .. '"'
    end
    local as_list, as_map, is_list = {}, {}, true
    for key, element in next, behind[value] or value do
        local told = described(element, depth + 1)
        insert(as_list, told)
        is_list = is_list and key == #as_list
        insert(as_map, '[' .. described(key, depth + 1) .. ']=' .. told)
    end
    return '{' .. concat(is_list and as_list or as_map, '; ') .. '}'
end

local TEMPORARY = '(*temporary)'

-- What the debugger can wish for, looked up where the script stands: that is three levels up.
local granted = {}

function granted.locals()
    local told, at = {}, 1
    local name, value = getlocal(3, at)
    while name do
        if name ~= TEMPORARY then
            insert(told, name)
            insert(told, described(value, 0))
        end
        at = at + 1
        name, value = getlocal(3, at)
    end
    return unpack(told)
end

function granted.variable(wanted)
    local level = 3
    local info = getinfo(level, 'S')
    while info and info.source ~= '=sandbox' do
        local at = 1
        local name, value = getlocal(level, at)
        while name do
            if name == wanted then
                return described(value, 0)
            end
            at = at + 1
            name, value = getlocal(level, at)
        end
        level = level + 1
        info = getinfo(level, 'S')
    end
    if wanted == 'KEYS' or wanted == 'ARGV' then
        return described(globals[wanted], 0)
    end
end

function granted.trace()
    local told, level = {}, 3
    local info = getinfo(level, 'Snl')
    while info do
        if info.source == '@user_script' then
            insert(told, info.name or false)
            insert(told, info.currentline)
        end
        level = level + 1
        info = getinfo(level, 'Snl')
    end
    return unpack(told)
end

function granted.eval(code)
    local chunk, err = compiled('return ' .. code, '@ldb_eval')
    if not chunk then
        chunk, err = compiled(code, '@ldb_eval')
    end
    if not chunk then
        return false, err
    end
    local ok, value = pcall(chunk)
    if ok then
        return true, described(value, 0)
    end
    value = value_of(value)
    return false, tostring(type(value) == 'table' and value.err or value)
end

function granted.redis(...)
    pcall(redis.call, ...)
end

function granted.abort(why)
    error(why, 0)
end

-- The hook: stops at the lines where the debugger says so, for as long as it has wishes.
local function stops(reached, told)
    return function(event)
        local info = getinfo(2, 'Sl')
        if info.source ~= '@user_script' then
            return
        end
        local wish = { reached(info.currentline, event == 'count') }
        while wish[1] do
            wish = { told(wish[1], granted[wish[1]](unpack(wish, 2))) }
        end
    end
end

local function restored(...)
    watch()
    return ...
end

return {
    null = null,
    cjson = cjson,
    -- EVAL
    run = function(script, ...)
        globals.KEYS, globals.ARGV = divided(...)
        return outcome(xpcall(script, located))
    end,
    -- EVAL, when somebody looks on
    debug = function(reached, told, script, ...)
        globals.KEYS, globals.ARGV = divided(...)
        hook, events = stops(reached, told), 'l'
        sethook(hook, events, host.instructions)
        return restored(outcome(xpcall(script, located)))
    end,
    described = function(...)
        local told = {}
        for at = 1, select('#', ...) do
            told[at] = described((select(at, ...)), 0)
        end
        return concat(told, ', ')
    end,
    -- FCALL
    apply = function(callback, ...)
        action = callback
        keys, words = divided(...)
        return outcome(xpcall(act, located))
    end,
    -- FUNCTION LOAD
    load = function(chunk)
        behind[environment] = loading
        getmetatable(environment).__index = loading
        local ok, value = xpcall(chunk, located)
        behind[environment] = globals
        getmetatable(environment).__index = globals
        return outcome(ok, value)
    end,
    compile = compiled,
    where = function()
        local called, caller
        if running then
            called, caller = getinfo(running, 0, 'n'), getinfo(running, 1, 'Sl')
        else
            called, caller = getinfo(2, 'n'), getinfo(3, 'Sl')
        end
        local place = caller and caller.currentline > 0 and caller.short_src .. ':' .. caller.currentline .. ': ' or ''
        return place, called and called.name or '?'
    end,
    used_bytes = function()
        return collectgarbage('count') * 1024
    end,
}
