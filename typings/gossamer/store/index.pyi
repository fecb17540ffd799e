from node.store.index import *
