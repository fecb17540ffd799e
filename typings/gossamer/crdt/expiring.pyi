from crdt.expiring import *
