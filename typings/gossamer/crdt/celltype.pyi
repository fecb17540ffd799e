from crdt.celltype import *
