from node.store.snapshot import *
