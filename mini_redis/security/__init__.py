"""Who may do what: users, their passwords, and the rules about commands, keys and channels.

    catalogue.py   which commands there are to allow, and what a category stands for
    selector.py    one set of rules: which commands, on which keys, on which channels
    user.py        a user: passwords and one or more selectors
    users.py       all users of a node; the ACL file
    log.py         ACL LOG: who was refused what

Everything here is arithmetic on names: nothing knows a client or a server. server/access.py is where they meet.
"""
