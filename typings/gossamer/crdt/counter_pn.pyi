from crdt.counter_pn import *
