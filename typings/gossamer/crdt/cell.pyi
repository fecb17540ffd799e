from crdt.cell import *
