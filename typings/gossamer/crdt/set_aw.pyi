from crdt.set_aw import *
