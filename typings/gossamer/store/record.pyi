from node.store.record import *
