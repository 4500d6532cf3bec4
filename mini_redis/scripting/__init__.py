"""Scripts: Lua inside the server, one at a time, as if each were a command.

    interpreter.py    one Lua 5.1: compile, run, interrupt
    sandbox.lua       what scripts see of Lua, and what they do not
    api.py            the table `redis`
    values.py         replies as values of Lua, and back
    functions.py      libraries of functions (FUNCTION LOAD); function_dump.py their form as bytes
    cjson.py cmsgpack.py struct.py bit.py chance.py    the libraries that scripts find, math.random included
    lua.py            how values and errors cross between Python and Lua

Who calls what when, which commands a script may call, and what the others hear meanwhile: server/scripting.py.
"""
