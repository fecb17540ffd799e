from crdt.counter_bounded import *
