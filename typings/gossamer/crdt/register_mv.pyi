from crdt.register_mv import *
