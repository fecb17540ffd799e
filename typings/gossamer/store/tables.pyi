from node.store.tables import *
