from node.store.store import *
