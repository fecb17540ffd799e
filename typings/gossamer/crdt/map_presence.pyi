from crdt.map_presence import *
