from crdt.set_rw import *
