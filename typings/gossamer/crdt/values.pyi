from crdt.values import *
