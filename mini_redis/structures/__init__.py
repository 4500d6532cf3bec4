"""Pure data structures and pure arithmetic: how is a question answered fast, and exactly as Redis answers it?

Nothing in this folder knows a key, a client, a database or a clock. One file, one question:

    indexed_dict.py   a dict that also gives a random member, and a scan that survives changes
    glob.py           does this name match this pattern?
    numbers.py        which byte strings are integers and doubles, and how is a double written?
    grisu.py          which decimal digits stand for this double?
    long_double.py    the 80 bit arithmetic behind INCRBYFLOAT
    lcs.py            the longest common subsequence of two strings
    lzf.py            how are strings packed at next to no cost?
    histogram.py      how are percentiles told from millions of durations?
    strings.py        what OBJECT ENCODING says of a string, and strings that must not count as integers
"""
