from node.store.identity import *
