from crdt.vector import *
