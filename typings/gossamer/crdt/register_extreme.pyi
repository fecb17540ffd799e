from crdt.register_extreme import *
