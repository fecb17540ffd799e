from crdt.register_lww import *
